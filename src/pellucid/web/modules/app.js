// The page: its head with model and sentence, the list of chapters, and one view. Read views.js next.
import {Component, html, useEffect, useRef, useState} from "pellucid/ui";
import {forget, get, isFile, makeTrace, ofTrace, onLost, useData} from "pellucid/data";
import {getState, setHover, setState, useAppState} from "pellucid/state";
import {Glossary} from "pellucid/glossary";
import {Sentence} from "pellucid/sentence";
import {LANGUAGES, currentLanguage, loadTexts, t, withTexts} from "pellucid/texts";
import {toggleTheme, useTheme} from "pellucid/theme";
import {Tour, TourButton} from "pellucid/tour";
import {VIEWS, viewNamed} from "pellucid/views";
import {useLayer, within} from "pellucid/views/beginning";
import {lazy} from "pellucid/views/lazy";
import {Waiting} from "pellucid/pictures/figure";

const EditBar = lazy("edit_bar", () => import("pellucid/editing/bar"), "EditBar");
const Change = lazy("edit_change", () => withTexts("editing", import("pellucid/editing/change")), "Change");
const EditPanel = lazy("edit_panel", () => import("pellucid/editing/panel"), "EditPanel");
const hasTranslator = document.documentElement.dataset.translator === "yes"; // the server has the page for translators
const OF_ATTENTION = ["attention", "matrices", "heads", "links", "atlas"];
const EDITABLE = ["translate", "attention", "matrices", "heads", "links", "atlas", "decoder", "softmax"];

export function App() {
  const state = useAppState();
  const [, redraw] = useState(0);
  const [attempt, setAttempt] = useState(0);
  const models = useData(`models ${attempt}`, () => get("api/models"));
  const modelId = state.model || models.value?.models[0]?.id;
  const model = useData(modelId ? `model ${modelId} ${attempt}` : null, () => get(`api/models/${modelId}`));
  // A file has one sentence, whatever its address says.
  const source = (!isFile && state.source) || model.value?.examples[0];
  const isReady = modelId && source && model.value?.id === modelId;
  const trace = useData(
    isReady ? `trace ${modelId}\n${source}\n${state.target}\n${state.ids}\n${state.edits}\n${attempt}` : null,
    () => makeTrace({model: modelId, source, target: state.target, ids: state.ids, edits: state.edits}),
  );
  // A model and a trace of it; they stay until both have been replaced.
  const pair = useRef({});
  if (!trace.isStale && trace.value && model.value && [model.value.id, null].includes(trace.value.model))
    pair.current = {trace: trace.value, model: model.value, attempt};
  const shown = source ? pair.current : {};
  const hasEdits = shown.trace?.provenance.edits.length > 0;
  const isBefore = hasEdits && state.shown === "before" && state.view !== "compare"; // which shows both
  window.__inspect.trace = trace.isStale ? null : trace.value;
  const place = useRef({layer: 0}); // the layer that is shown, also where nobody has chosen one
  useKeys(place);
  const [isAlone, setAlone] = useState(false); // the server does not answer
  const main = useRef(null);
  const again = () => {
    // Keep the scroll position while the view is drawn again.
    main.current.style.minHeight = `${main.current.offsetHeight}px`;
    forget();
    setAlone(false);
    setAttempt((number) => number + 1);
  };
  const lost = useRef(null);
  onLost(({trace: id}) => {
    if (id === undefined) return setAlone(true);
    if (id === lost.current || id !== shown.trace?.id) return; // reported already, or about an earlier sentence
    lost.current = id;
    again();
  });
  useEffect(() => {
    main.current.style.minHeight = "";
  }, [state.view, source, modelId]);
  useEffect(() => {
    if (trace.value) setAlone(false);
  }, [trace.value]);
  useEffect(() => {
    if (state.lang)
      loadTexts(state.lang).then(
        () => {
          document.title = t("page.title");
          redraw((n) => n + 1);
        },
        () => setAlone(true),
      ); // chosen on the page, by a link or by "back"
  }, [state.lang, attempt]);
  const problem = models.error ?? model.error ?? trace.error;
  const isBusy = Boolean(source) && trace.isLoading && !problem;
  const message = isAlone ? t("error.gone") : problem?.message;
  // A refused sentence leaves the chapters with the one before it, and the line under the sentence says so.
  const isDrawn = shown.trace && (!problem || (trace.error?.isRefusal && model.value?.id === shown.model.id));
  return html`
    <a class="skip" href="#view" onClick=${skip}>${t("page.skip")}</a>
    <${Head} ...${{models: models.value, modelId}} />
    <div class="columns">
      <${Chapters} state=${state} />
      <main id="view" tabindex="-1" aria-busy=${isBusy} ref=${main}>
        <${Sentence} ...${{
          source,
          target: state.target || state.ids,
          trace: problem ? null : shown.trace,
          shown: isDrawn ? shown.trace : null,
          problem,
          isBusy,
          isBroken: Boolean(message),
          again,
        }} />
        ${
          message &&
          html`<p class="problem notice" role="alert">
            ${message} ${!problem?.isRefusal && html`<button onClick=${again}>${t("sentence.again")}</button>`}
          </p>`
        }
        ${!source && !problem && model.value && html`<${Welcome} model=${model.value} />`}
        ${(state.edits || hasEdits) && html`<${EditBar} ...${{trace: isDrawn ? shown.trace : null, state, problem}} />`}
        ${isDrawn && html`<${Banner} trace=${shown.trace} />`}
        ${
          isDrawn &&
          html`<${Fenced} key=${`${state.view} ${shown.attempt}`} subject=${shown.trace}>
            <${isBefore ? BeforeEdits : Chapter} ...${{state, ...shown, hasEdits, place}} />
          <//>`
        }
      </main>
    </div>
    <${Tour} ...${shown} isWaiting=${trace.isStale || Boolean(problem)} />
  `;
}

function skip(event) {
  event.preventDefault();
  document.getElementById("view").focus();
}

function Head({models, modelId}) {
  const theme = useTheme();
  const known =
    models?.models.flatMap(({id, name, steps}) => [
      [id, name],
      ...(steps ?? []).map((step) => [`${id}@${step}`, t("page.snapshot", {name, step})]),
    ]) ?? [];
  // A link, or a server before this one, may name a model that is not in the list.
  const ids = !models || known.some(([id]) => id === modelId) ? known : [[modelId, modelId], ...known];
  return html`
    <header class="page-head">
      <h1>
        <button class="brand" onClick=${() => setState({view: "translate"})}>pellucid</button> <small>
          ${t("page.subtitle")}
        </small>
      </h1>
      <div class="page-tools">
        ${
          ids.length > 1 &&
          html`<label>
            <span>${t("page.model")}</span> <select
              value=${modelId} onChange=${(event) => setState({model: event.currentTarget.value})}
            >
              ${ids.map(([id, label]) => html`<option key=${id} value=${id}>${label}</option>`)}
            </select>
          </label>`
        }
        <label>
          <span>${t("page.language")}</span> <select
            value=${currentLanguage()} onChange=${(event) => setState({lang: event.currentTarget.value})}
          >
            ${LANGUAGES.map(([name, label]) => html`<option key=${name} value=${name} lang=${name}>${label}</option>`)}
          </select>
        </label>
        <button onClick=${toggleTheme}>${t(theme === "dark" ? "page.light" : "page.dark")}</button>
        ${
          hasTranslator &&
          html`<a class="button" href=${`./translator#lang=${currentLanguage()}`}>${t("page.translator")}</a>`
        }
        <${TourButton} />
      </div>
    </header>
  `;
}

function Chapters({state}) {
  const own = viewNamed(state.view).name;
  const list = useRef(null);
  useEffect(() => {
    const current = list.current?.querySelector("[aria-current]");
    if (current) list.current.scrollTo({left: current.offsetLeft - 40});
  }, [own]);
  return html`
    <nav class="chapters" aria-label=${t("page.chapters")} ref=${list}>
      <ol>
        ${VIEWS.map(
          ({name}, i) => html`
            <li key=${name}>
              <button aria-current=${name === own ? "page" : undefined} onClick=${() => setState({view: name})}>
                <span class="count">${i + 1}</span> ${t(`${name}.name`)}
              </button>
            </li>
          `,
        )}
      </ol>
    </nav>
  `;
}

/** Shown for a model without example sentences. */
function Welcome({model}) {
  const [from, to] = model.languages.map(languageName);
  return html`
    <article class="welcome">
      <h2>${t("welcome.title")}</h2>
      <p class="lede">${t("welcome.model", {name: model.name, from, to})}</p>
      <p>${t("welcome.text")}</p>
    </article>
  `;
}

/** The name of a language in the language of the page, or its code if it has no name. */
function languageName(code) {
  try {
    return new Intl.DisplayNames([currentLanguage()], {type: "language"}).of(code);
  } catch {
    return code;
  }
}

/** Failed checks, shown above every picture. */
function Banner({trace}) {
  if (trace.check?.passed !== false) return null;
  return html`<div class="banner" role="alert">
    <b>${t("check.failed", {n: trace.check.failures.length, tested: trace.check.tested})}</b>
    <ul>
      ${trace.check.failures
        .slice(0, 5)
        .map(({site, equation, error}, i) => html`<li key=${i}><code>${site}</code> ${equation}: ${error}</li>`)}
    </ul>
  </div>`;
}

/** The chapter as it is without the edits. */
function BeforeEdits({trace, ...more}) {
  const data = useData(`${trace.id} before`, () => ofTrace(trace, "before"));
  return html`<${Waiting} data=${data}>
    ${(before) => html`<${Chapter} ...${{...more, trace: before, after: trace}} />`}
  <//>`;
}

function Chapter({state, trace, model, after = trace, hasEdits, place}) {
  const {name, Component: View} = viewNamed(state.view);
  const index = VIEWS.findIndex((view) => view.name === name);
  const next = VIEWS[index + 1];
  const layer = useLayer(state, trace, model);
  const own = {trace, model, state: within({...state, layer: layer.value ?? 0}, trace, model)};
  place.current = {layer: own.state.layer};
  const editing = EDITABLE.includes(name) && html`<${Editing} key=${`edit ${name}`} ...${own} />`;
  const isFirst = index === 0; // it begins with the story, and places the editing below it
  useEffect(() => setHover(null), [name]);
  return html`
    <article class="chapter" data-view=${name}>
      ${
        state["whole.from"] &&
        name !== "translate" &&
        html`<button class="whole-back" onClick=${() => setState({view: "translate", "whole.from": ""})}>
          ← ${t("whole.back")}
        </button>`
      }
      <h2>${t(`${name}.title`)}</h2>
      <details class="lede" key=${name}>
        <summary><span>${t(`${name}.lede`)}</span> <span class="more">${t("page.more")}</span></summary>
        <p>${t(`${name}.more`)}</p>
      </details>
      ${
        OF_ATTENTION.includes(name) &&
        html`<p class="hint">
        ${t("page.no_effect")} <button onClick=${() => setState({view: "why", "why.show": "heads"})}>
          ${t("page.effect")}
        </button>
      </p>`
      }
      ${!isFirst && editing}
      ${
        layer.value === undefined
          ? html`<${Waiting} data=${layer} />`
          : html`<${View} ...${own} editing=${isFirst && editing} />`
      }
      ${hasEdits && html`<div class="edit-change"><${Change} ...${{...own, trace: after}} /></div>`}
      <${Glossary} view=${name} />
      ${
        next &&
        html`<p class="next">
          <button onClick=${() => {
            setState({view: next.name});
            scrollTo({top: 0});
          }}>
            ${t("page.next")} ${t(`${next.name}.name`)} →
          </button>
        </p>`
      }
    </article>
  `;
}

/** Where a reader changes something; its code comes when it is opened. */
const Editing = (own) =>
  html`<details
  class="editing" open=${own.state.editing === "1"}
  onToggle=${({currentTarget: {open}}) => setState({editing: open ? "1" : ""})}
>
  <summary>${t("editing.open")}</summary>
  ${own.state.editing === "1" && html`<${EditPanel} ...${own} />`}
</details>`;

/** Shows the error of a view that fails; the rest of the page works, and the view returns with the next sentence. */
class Fenced extends Component {
  componentDidCatch(error) {
    this.setState({error});
    console.error(error);
  }
  componentDidUpdate({subject}) {
    if (this.state.error && subject !== this.props.subject) this.setState({error: null});
  }
  render({children}, {error}) {
    return error ? html`<p class="problem" role="alert">${t("error.view")} ${error.message}</p>` : children;
  }
}

/** [ and ] change the layer, { and } the head, except while the reader types. */
function useKeys(place) {
  useEffect(() => {
    const onKey = (event) => {
      if (event.target.closest?.("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
      const {heads} = getState();
      const {layer} = place.current;
      const head = heads[0] ?? -1;
      const change = {
        "[": {layer: Math.max(layer - 1, 0)},
        "]": {layer: layer + 1},
        "{": {heads: head > 0 ? [head - 1] : []},
        "}": {heads: [head + 1]},
      }[event.key];
      if (change) setState(change);
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}
