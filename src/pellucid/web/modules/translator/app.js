// The page for translators: its head, the two panes, and what belongs to the chosen sentence. Read work.js next.
import {html, useEffect, useLayoutEffect, useMemo, useRef, useState} from "pellucid/ui";
import {setState, useAppState} from "pellucid/state";
import {LANGUAGES, currentLanguage, loadTexts, t} from "pellucid/texts";
import {toggleTheme, useTheme} from "pellucid/theme";
import {copy} from "pellucid/translator/copying";
import {Files} from "pellucid/translator/files";
import {keep, kept} from "pellucid/translator/kept";
import {relight} from "pellucid/translator/light";
import {Panel} from "pellucid/translator/panel";
import {Source} from "pellucid/translator/source";
import {Legend, Target} from "pellucid/translator/target";
import {Terms, termsIn} from "pellucid/translator/terms";
import {Work, textOf} from "pellucid/translator/work";

const nameOf = (code) => {
  try {
    return new Intl.DisplayNames([currentLanguage()], {type: "language"}).of(code);
  } catch {
    return code;
  }
};

const idOf = ({source, target}) => `${source}-${target}`;

/** A language pair of the server with its name. */
const labelled = (pair) => ({...pair, label: `${nameOf(pair.source)} → ${nameOf(pair.target)}`});

export function Translator({facts}) {
  const state = useAppState();
  const [, redraw] = useState(0);
  const again = () => redraw((n) => n + 1);
  const [text, setText] = useState(() => kept("text"));
  const [terms, setTerms] = useState(() => kept("terms"));
  const [key, setKey] = useState(() => kept("key"));
  const [open, setOpen] = useState(null); // {number, source, word} of the panel
  const [isShaded, shade] = useState(true);
  const work = useMemo(() => new Work({charLimit: facts.charLimit, changed: again}), [facts]);
  const pair = labelled(facts.pairs.find((one) => idOf(one) === state.pair) ?? facts.pairs[0]);
  const isLocked = facts.needsKey && !key;
  const job = {pair: {source: pair.source, target: pair.target, model: pair.model}, terms: termsIn(terms).terms};
  const isTyped = useRef(false);
  useEffect(() => {
    if (isLocked) work.hold({...job, text});
    else work.want({...job, text}, isTyped.current);
    isTyped.current = false;
  }, [text, terms, key, idOf(pair)]);
  useEffect(() => () => work.stop(), [work]);
  useEffect(() => {
    if (state.lang) loadTexts(state.lang, "translator/").then(again, () => {});
  }, [state.lang]);
  useEffect(() => {
    document.title = t("translator.document");
  });
  useLayoutEffect(relight);
  const type = (typed) => {
    isTyped.current = true;
    keep("text", typed);
    setText(typed);
  };
  const lines = work.job ? work.lines() : [];
  const sentences = lines.flatMap((line) => line.sentences);
  const shown = open && sentences.find((one) => one.number === open.number && one.source === open.source);
  const openAt = (number, word) =>
    setOpen({number, word, source: sentences.find((one) => one.number === number).source});
  const close = () => {
    setOpen(null);
    document.querySelector(`[data-number="${open.number}"][data-word="${open.word ?? 0}"]`)?.focus();
  };
  const names = {source: t("translator.source", {language: nameOf(pair.source)})};
  names.target = t("translator.target", {language: nameOf(pair.target)});
  return html`
    <a class="skip" href="#source" onClick=${skip}>${t("translator.skip")}</a>
    <${Head} facts=${facts} />
    <main class="translator">
      <${Pairs} ...${{facts, pair}} />
      ${facts.needsKey && html`<${Key} ...${{value: key, onChange: (typed) => (keep("key", typed), setKey(typed))}} />`}
      <${Status} ...${{status: work.status, n: sentences.length, isLocked, again: () => work.want({...job, text})}} />
      <div class="panes">
        <section aria-label=${names.source}>
          <h2>${nameOf(pair.source)}</h2>
          <${Source} ...${{text, lines, language: pair.source, name: names.source, onType: type}} />
          <p class="row">
            <button disabled=${!text} onClick=${() => type("")}>${t("translator.clear")}</button>
            <span class="hint">${t("translator.size", {n: text.length, sentences: sentences.length})}</span>
          </p>
        </section>
        <section aria-label=${names.target} aria-busy=${work.status.kind === "busy"}>
          <h2>${nameOf(pair.target)}</h2>
          <${Target} ...${{
            lines,
            language: pair.target,
            name: names.target,
            open: shown && open,
            onOpen: openAt,
            isShaded,
          }} />
          <div class="row">
            <${Copy} text=${() => textOf(lines)} isEmpty=${!sentences.length} />
          </div>
        </section>
      </div>
      <${Legend} isShaded=${isShaded} onChange=${shade} />
      <${Flagged} ...${{sentences, openAt}} />
      <${Terms} text=${terms} onChange=${(typed) => (keep("terms", typed), setTerms(typed))} />
      <${Files} ...${{facts, pair, terms: job.terms}} />
      <p class="hint private">${t("translator.private")}</p>
      ${
        shown &&
        html`<${Panel} ...${{
          sentence: shown,
          word: open.word,
          count: sentences.length,
          job,
          facts,
          onChange: (result) => work.change(shown.source, result),
          onWord: (word) => setOpen({...open, word}),
          onClose: close,
        }} />`
      }
    </main>
  `;
}

function skip(event) {
  event.preventDefault();
  document.querySelector(".source textarea").focus();
}

function Head({facts}) {
  const theme = useTheme();
  return html`<header class="page-head">
    <h1>pellucid <small>${t("translator.subtitle")}</small></h1>
    <div class="page-tools">
      <label>
        <span>${t("translator.language")}</span> <select
          value=${currentLanguage()} onChange=${(event) => setState({lang: event.currentTarget.value})}
        >
          ${LANGUAGES.map(([name, label]) => html`<option key=${name} value=${name} lang=${name}>${label}</option>`)}
        </select>
      </label>
      <button onClick=${toggleTheme}>${t(theme === "dark" ? "translator.light" : "translator.dark")}</button>
      ${facts.isShown && html`<a class="button" href=${`./#lang=${currentLanguage()}`}>${t("translator.inside")}</a>`}
    </div>
  </header>`;
}

/** The language pairs of the server, and the way around where there is a model for it. */
function Pairs({facts, pair}) {
  const back = facts.pairs.find((one) => one.source === pair.target && one.target === pair.source);
  const choose = (id) => setState({pair: id});
  return html`<div class="row pairs">
    <label>
      <span>${t("translator.pair")}</span> <select
        value=${idOf(pair)} onChange=${(event) => choose(event.currentTarget.value)}
      >
        ${facts.pairs.map(
          (one) => html`<option key=${idOf(one)} value=${idOf(one)}>${labelled(one).label} (${one.model})</option>`,
        )}
      </select>
    </label>
    ${back && html`<button onClick=${() => choose(idOf(back))}>⇄ ${t("translator.swap")}</button>`}
  </div>`;
}

/** The key of a server that needs one. */
function Key({value, onChange}) {
  const [typed, type] = useState(value);
  const submit = (event) => {
    event.preventDefault();
    onChange(typed.trim());
  };
  return html`<form class="row key" onSubmit=${submit}>
    <label>
      <span>${t("translator.key")}</span> <input
        type="password" autocomplete="off" value=${typed} onInput=${(event) => type(event.currentTarget.value)}
      />
    </label>
    <button disabled=${typed.trim() === value}>${t("translator.use_key")}</button>
    <span class="hint">${t("translator.key_hint")}</span>
  </form>`;
}

/** What the server does now, or why it does not, in words; while it asks for time, how long. */
function Status({status, n, isLocked, again}) {
  const [, tick] = useState(0);
  const {kind, message, until} = status;
  useEffect(() => {
    if (kind !== "waiting") return undefined;
    const timer = setInterval(() => tick((count) => count + 1), 1000);
    return () => clearInterval(timer);
  }, [kind, until]);
  if (isLocked) return html`<p class="state" role="status">${t("translator.needs_key")}</p>`;
  if (kind === "waiting") {
    const seconds = Math.max(Math.ceil((until - Date.now()) / 1000), 1);
    // The seconds are not part of what a screen reader says again and again.
    return html`<p class="state problem">
      <span role="alert">${message}</span> <span>${t("translator.retry", {n: seconds})}</span>
    </p>`;
  }
  if (kind === "problem")
    return html`<p class="state problem" role="alert">
      ${message} <button onClick=${again}>${t("translator.again")}</button>
    </p>`;
  return html`<p class="state hint" role="status">
    ${kind === "busy" ? t("translator.busy") : n > 0 ? t("translator.done", {n}) : ""}
  </p>`;
}

function Copy({text, isEmpty}) {
  const [said, say] = useState("");
  const take = async () => {
    await copy(text());
    say(t("translator.copied"));
    setTimeout(() => say(""), 2000);
  };
  return html`<button disabled=${isEmpty} onClick=${take}>${t("translator.copy")}</button>
    <span class="hint" role="status">${said}</span>`;
}

/** The sentences that need a look, as a list that a keyboard reaches. */
function Flagged({sentences, openAt}) {
  const flagged = sentences.filter(({flags, error, by}) => !by && (flags.length > 0 || error));
  if (!flagged.length) return null;
  return html`<section class="box flagged-list" aria-label=${t("translator.flagged")}>
    <h2>${t("translator.flagged_count", {n: flagged.length, all: sentences.length})}</h2>
    <ul>
      ${flagged.map(
        ({number, flags, error}) =>
          html`<li key=${number}>
          <button data-sentence=${number} onClick=${() => openAt(number, null)}>
            ${t("translator.number", {n: number + 1})}
          </button> ${error ? t("translator.failed", {error}) : flags.map((flag) => flag.text).join(" ")}
        </li>`,
      )}
    </ul>
  </section>`;
}
