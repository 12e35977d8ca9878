// The sentence that everything is about, its translation, and an honest line where the model cannot be trusted with it.
// Read views/health.js next, which shows what the line is built on.
import {html, useEffect, useRef, useState} from "pellucid/ui";
import {isFile} from "pellucid/data";
import {evidenceText} from "pellucid/said";
import {setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {cut} from "pellucid/tokens";

const LONGEST_QUOTE = 60;
const MOST_DOUBTS = 4;

// Flags that are about the request, not about the translation.
const SILENT_FLAGS = new Set(["blank", "passed_through", "memory", "memory_match", "failed", "split", "fewer"]);

/** The state in which the page begins with another sentence: nothing of the old one is chosen. */
export const about = (source, target = "") => ({
  source,
  target,
  ids: "",
  edits: "",
  query: null,
  key: null,
  step: null,
  "why.id": "",
  "why.against": "",
  "search.reference": "",
  "search.node": "",
  "why.gold": "",
});

/** Enter translates what was typed; Escape takes it back. */
export function Sentence({source, target, trace, shown, problem, isBusy, isBroken, again}) {
  const box = useRef(null);
  const [typed, type] = useState(null); // null: the text of the box is the sentence of the page
  const [isEmpty, setEmpty] = useState(false);
  const restart = () => {
    type(null);
    setEmpty(false);
  };
  useEffect(restart, [source]);
  const submit = (event) => {
    event.preventDefault();
    const text = box.current.value.trim();
    setEmpty(!text);
    if (!text) return;
    type(null);
    const isOther = text !== source || target;
    if (isOther) setState(about(text));
    if (!isOther || isBroken) again(); // after any error, this requests everything again
  };
  const takeBack = (event) => {
    if (event.key !== "Escape" || typed === null) return;
    box.current.value = source ?? "";
    restart();
  };
  const isUnsent = typed !== null && typed.trim() !== (source ?? "");
  return html`
    <form class="sentence" onSubmit=${submit}>
      <input
        ref=${box} key=${source} defaultValue=${source} placeholder=${t("sentence.type")} disabled=${isFile} dir="auto"
        aria-label=${t("sentence.source")} autocomplete="off" spellcheck=${false} enterkeyhint="go"
        onInput=${(event) => (setEmpty(false), type(event.currentTarget.value))} onKeyDown=${takeBack}
      />
      <button disabled=${isFile}>${t("sentence.go")}</button>
      <p class=${isUnsent ? "translation unsent" : "translation"} role="status">
        ${isBusy ? t("sentence.busy") : html`<bdi dir="auto">${trace?.text ?? ""}</bdi>`}
      </p>
      ${isEmpty && html`<p class="problem" role="alert">${t("sentence.empty")}</p>`}
      ${
        isUnsent &&
        trace &&
        html`<p class="hint">${t("sentence.unsent", {source: cut(trace.source, LONGEST_QUOTE)})}</p>`
      }
      ${!isUnsent && !isBusy && trace && html`<${Doubts} trace=${trace} />`}
      ${isFile && html`<p class="hint">${t("file.fixed")}</p>`}
      ${
        target &&
        !problem &&
        html`<p class="hint">
          ${t("sentence.given")} <button type="button" onClick=${() => setState({target: "", ids: ""})}>
            ${t("sentence.search")}
          </button>
        </p>`
      }
      ${problem?.isRefusal && shown && html`<${Kept} shown=${shown} />`}
    </form>
  `;
}

/** After a refusal the chapters stay with the sentence before; this says so, and leads back to it. */
const Kept = ({shown}) =>
  html`<p class="hint">
  ${t("sentence.kept", {source: cut(shown.source, LONGEST_QUOTE)})} <button
    type="button"
    onClick=${() => setState({source: shown.source, target: shown.is_searched ? "" : shown.text, ids: ""})}
  >
    ${t("sentence.restore")}
  </button>
</p>`;

/** A flag of a translation in words, with its evidence. */
export function flagText(name, evidence) {
  const text = t(`doubt.${name}`);
  return evidence ? t("doubt.because", {text, evidence: evidenceText(evidence)}) : text;
}

/** The flags of a trace that say something about its translation: [{name, text}]. */
export const flagsOf = ({flags, evidence = {}}) =>
  flags.filter((name) => !SILENT_FLAGS.has(name)).map((name) => ({name, text: flagText(name, evidence[name])}));

/** A share in whole per cents: what was measured on some hundred translations has no more digits. */
export const rounded = (share) => `${Math.round(share * 100)} %`;

/** What a sign says, and how many translations with it were bad when it was measured, where that is known. */
function withWorth(text, {worth}, {is_own: isOwn}) {
  if (typeof worth?.precision !== "number") return text;
  const figures = {precision: rounded(worth.precision), kind: t(`health.kind.${worth.kind}`)};
  return `${text} ${t(isOwn ? "doubt.worth" : "doubt.worth_other", figures)}`;
}

/**
 * Why not to trust a translation, the weightiest first: words that training never had, little from the source, steps in
 * doubt, flags.
 */
export function doubtsOf(trace) {
  const raised = Object.fromEntries(trace.health.filter((sign) => sign.is_raised).map((sign) => [sign.name, sign]));
  const words = trace.tokens.source_words.filter(({start}) => raised.new_words?.source.includes(start));
  const steps = trace.tokens.predicted_pieces.length;
  const said = (name, numbers) => raised[name] && withWorth(t(`doubt.${name}`, numbers), raised[name], trace.measured);
  return [
    said("new_words", {words: words.map(({text}) => `“${text}”`).join(" ")}),
    said("source_share", {value: rounded(raised.source_share?.value)}),
    said("entropy", {n: raised.entropy?.target.length, all: steps}),
    ...flagsOf(trace).map(({text}) => text),
  ].filter(Boolean);
}

/** Beside the translation: what speaks against it, and the way to the chapter with the numbers. */
function Doubts({trace}) {
  const doubts = doubtsOf(trace);
  if (!doubts.length) return null;
  return html`<p class="doubts" role="note">
    <b>${t("doubt.title")}</b> ${doubts.slice(0, MOST_DOUBTS).join(" ")} <button
      type="button" onClick=${() => setState({view: "health"})}
    >
      ${t("doubt.more")}
    </button>
  </p>`;
}
