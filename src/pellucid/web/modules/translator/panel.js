// What is known of one sentence and can be done with it: signs with their evidence, other words, other translations, a
// correction, and the way to the inside. Read correcting.js next.
import {html, useEffect, useRef, useState} from "pellucid/ui";
import {otherTrace} from "pellucid/data";
import {doubtsOf} from "pellucid/sentence";
import {currentLanguage, t} from "pellucid/texts";
import {copy} from "pellucid/translator/copying";
import {Correcting} from "pellucid/translator/correcting";
import {Matches} from "pellucid/translator/matches";
import {modelOf, nextWords, translated} from "pellucid/translator/service";
import {levelOf, share} from "pellucid/translator/words";
import {wordsIn} from "pellucid/translator/target";
import {shownText} from "pellucid/translator/work";

const LEAST_SURE = 3; // words that are named
const OTHERS = 4; // other translations

/**
 * sentence: of Work.lines; word: the number of the chosen word, or null; job: {pair, terms}
 * onChange: (result or null) => puts it in the place of the translation, or takes it back
 */
export function Panel({sentence, word, count, job, facts, onChange, onWord, onClose}) {
  const text = shownText(sentence);
  const words = wordsIn(sentence, job.pair.target);
  const chosen = word === null ? undefined : words[word];
  const doing = useDoing(`${sentence.number} ${sentence.source} ${text}`);
  const {show} = doing;
  const n = sentence.number + 1;
  useEffect(() => {
    const onKey = (event) => event.key === "Escape" && onClose();
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [onClose]);
  useEffect(() => {
    // The panel lies over the lower part of the window.
    document.querySelector(".written .word.open, .written .chosen")?.scrollIntoView({block: "nearest"});
  }, [sentence.number, word]);
  return html`<section class="panel" aria-label=${t("translator.panel", {n, count})}>
    <header>
      <h2>${t("translator.panel", {n, count})}</h2>
      <button class="close" aria-label=${t("translator.close")} onClick=${onClose}>×</button>
    </header>
    <p class="of-source" lang=${job.pair.source} dir="auto">${sentence.source}</p>
    <p class="of-target" lang=${job.pair.target} dir="auto">${text}</p>
    ${
      sentence.by &&
      html`<p class="hint">
        ${t(`translator.by_${sentence.by}`)} <button onClick=${() => onChange(null)}>
          ${t("translator.take_back")}
        </button>
      </p>`
    }
    <${Signs} sentence=${sentence} words=${words} />
    <${Matches} sentence=${sentence} pair=${job.pair} onUse=${(target) => onChange(chosenText(target))} />
    ${chosen && html`<${Words} ...${{key: word, sentence, word: chosen, text, job, onChange, onWord}} />`}
    <p class="row">
      <button aria-expanded=${show === "correct"} onClick=${() => doing.toggle("correct")}>
        ${t("translator.correct")}
      </button>
      <button aria-expanded=${show === "others"} onClick=${() => doing.toggle("others")}>
        ${t("translator.others")}
      </button>
      <button onClick=${() => copy(text).then(() => doing.toggle("copied"))}>${t("translator.copy_sentence")}</button>
      <${Inside} ...${{sentence, text, job, facts, doing}} />
      <span class="hint" role="status">${show === "copied" ? t("translator.copied") : ""}</span>
    </p>
    ${show === "others" && html`<${Others} ...${{sentence, text, job, onChange}} />`}
    ${show === "check" && html`<${Checked} ...${{sentence, text, job, facts}} />`}
    ${show === "correct" && html`<${Correcting} ...${{sentence, text, job, facts, onChange}} />`}
  </section>`;
}

/** What stands in the place of a translation after a choice. */
const chosenText = (text, alternatives = null) => ({
  ...{text, alternatives, flags: [], evidence: {}, error: null},
  by: "choice",
});

/** Which part of the panel is open; another subject closes it. */
function useDoing(subject) {
  const [{show, about}, set] = useState({show: "", about: subject});
  const shown = about === subject || show === "correct" ? show : "";
  return {show: shown, toggle: (name) => set({show: shown === name ? "" : name, about: subject})};
}

/** What speaks against the translation, as the service found it, with its evidence; and the least sure words. */
function Signs({sentence, words}) {
  const {flags, error, by} = sentence;
  const unsure = words
    .filter(({isWord, probability}) => isWord && probability !== null && levelOf(probability) > 0)
    .sort((a, b) => a.probability - b.probability)
    .slice(0, LEAST_SURE)
    .map((one) => `“${one.text}” ${share(one.probability)}`);
  const hasScores = words.some(({probability}) => probability !== null);
  return html`
    ${error && !by && html`<p class="problem">${t("translator.failed", {error})}</p>`}
    ${
      flags.length > 0 &&
      html`<ul class="signs" aria-label=${t("translator.signs")}>
        ${flags.map(({name, text}) => html`<li key=${name}>${text}</li>`)}
      </ul>`
    }
    ${unsure.length > 0 && html`<p class="hint">${t("translator.least_sure", {words: unsure.join(", ")})}</p>`}
    ${!flags.length && !unsure.length && !error && hasScores && html`<p class="hint">${t("translator.no_signs")}</p>`}
    ${!hasScores && !error && sentence.origin !== "memory" && html`<p class="hint">${t("translator.no_scores")}</p>`}
  `;
}

/** {value, error, isLoading} of a promise that is made once. */
function useOnce(make) {
  const [state, set] = useState({isLoading: true});
  useEffect(() => {
    let isThere = true;
    make().then(
      (value) => isThere && set({value}),
      (error) => isThere && set({error}),
    );
    return () => {
      isThere = false;
    };
  }, []);
  return state;
}

const Loading = ({error}) =>
  error
    ? html`<p class="problem" role="alert">${error.message}</p>`
    : html`<p class="hint" role="status">${t("translator.loading")}</p>`;

/** The words that may stand in the place of one, and where each leads. */
function Words({sentence, word, text, job, onChange, onWord}) {
  const before = text.slice(0, word.start);
  const {value, error} = useOnce(() => nextWords(job, sentence.source, before));
  const [problem, setProblem] = useState(null);
  const list = useRef(null);
  useEffect(() => list.current?.querySelector("button:enabled")?.focus({preventScroll: true}), [value]);
  const choose = async (one) => {
    setProblem(null);
    try {
      // A sign or a space behind the word says that it is whole.
      const length = before.length + one.rest.length;
      const prefix = one.text.startsWith(before + one.rest) ? one.text.slice(0, length + 1) : before + one.rest;
      const found = await translated(job, sentence.source, {prefix});
      onWord(null);
      onChange({...found, by: "choice"});
    } catch (failure) {
      setProblem(failure);
    }
  };
  return html`<div class="words" ref=${list} role="group" aria-label=${t("translator.instead", {word: word.text})}>
    <h3>${t("translator.instead", {word: word.text})}</h3>
    ${
      value
        ? html`<ul>
          ${value.map((one) => {
            const label = one.word || t("translator.end");
            const isSame = label === word.text;
            return html`<li key=${label}>
              <button aria-pressed=${isSame} disabled=${isSame} onClick=${() => choose(one)}>
                <span lang=${job.pair.target}>${label}</span> <small>${share(one.probability)}</small>
              </button>
              <span class="hint" lang=${job.pair.target} dir="auto">${one.text}</span>
            </li>`;
          })}
        </ul>
        <p class="hint">${t("translator.instead_shares")}</p>`
        : html`<${Loading} error=${error} />`
    }
    ${job.terms.length > 0 && html`<p class="hint">${t("translator.words_without_terms")}</p>`}
    ${problem && html`<${Loading} error=${problem} />`}
  </div>`;
}

/** The next best translations of the sentence. */
function Others({sentence, text, job, onChange}) {
  const {value, error} = useOnce(() => translated(job, sentence.source, {count: OTHERS + 1}));
  if (!value) return html`<${Loading} error=${error} />`;
  const others = value.alternatives.filter((one) => one.text !== text);
  if (!others.length) return html`<p class="hint">${t("translator.no_others")}</p>`;
  const choose = (one) => onChange(chosenText(one.text, [one]));
  return html`<ul class="others" aria-label=${t("translator.others")}>
    ${others.map(
      (one) =>
        html`<li key=${one.text}>
        <button lang=${job.pair.target} dir="auto" onClick=${() => choose(one)}>${one.text}</button>
      </li>`,
    )}
  </ul>`;
}

/** The way to the page that shows the inside; where there is none, the reason. */
function Inside({sentence, text, job, facts, doing}) {
  const model = modelOf(facts, job.pair);
  if (!model)
    return html`<span class="hint">${t(facts.isShown ? "translator.no_model" : "translator.no_inside")}</span>`;
  const isGiven = Boolean(sentence.by) || job.terms.length > 0;
  const state = {model: model.id, source: sentence.source, ...(isGiven ? {target: text} : {}), lang: currentLanguage()};
  // The sentence stands behind "#", which browsers send to nobody.
  return html`<button aria-expanded=${doing.show === "check"} onClick=${() => doing.toggle("check")}>
      ${t("translator.check")}
    </button>
    <a class="button" href=${`./#${new URLSearchParams(state)}`} target="_blank" rel="noopener">
      ${t("translator.see_through")}
    </a>`;
}

/** The signs that need a look inside the model, each with how often it was right when it was measured. */
function Checked({sentence, text, job, facts}) {
  const {value, error} = useOnce(() =>
    otherTrace({model: modelOf(facts, job.pair).id, source: sentence.source, target: text}),
  );
  if (!value) return html`<${Loading} error=${error} />`;
  const known = new Set(sentence.flags.map((flag) => flag.text)); // the service has found them, too
  const doubts = doubtsOf(value).filter((doubt) => !known.has(doubt));
  const measured = t(value.measured.is_own ? "translator.measured_own" : "translator.measured_other", {
    n: value.measured.translations,
    model: value.measured.model,
  });
  return html`<div role="status">
    ${
      doubts.length
        ? html`<ul class="signs">${doubts.map((doubt) => html`<li key=${doubt}>${doubt}</li>`)}</ul>`
        : html`<p>${t("translator.no_doubts", {all: value.health.length})}</p>`
    }
    <p class="hint">${measured}</p>
  </div>`;
}
