// The right pane: the translation, word by word. Arrow keys go from word to word and from sentence to sentence, Enter
// opens one. Read panel.js next, which shows what is open.
import {html, useRef} from "pellucid/ui";
import {t} from "pellucid/texts";
import {light} from "pellucid/translator/light";
import {levelOf, share, wordsOf} from "pellucid/translator/words";
import {shownText} from "pellucid/translator/work";

const memory = new WeakMap(); // tokens -> {text, words}; finding the words of a long text takes a moment

/** The words of a sentence, found once. */
export function wordsIn({tokens, ...one}, language) {
  const text = shownText(one);
  const known = tokens && memory.get(tokens);
  if (known?.text === text) return known.words;
  const words = wordsOf(text, one.error ? null : tokens, language);
  if (tokens) memory.set(tokens, {text, words});
  return words;
}

/**
 * open: {number, word} of what the panel shows, or null; onOpen: (number, word) => opens it
 * isShaded: whether words show how sure the model is
 */
export function Target({lines, language, name, open, onOpen, isShaded}) {
  const pane = useRef(null);
  const cursor = useRef({number: 0, word: 0}); // which word the Tab key reaches
  if (open) cursor.current = open;
  const all = lines.flatMap(({sentences}) => sentences);
  if (!all.some(({number}) => number === cursor.current.number)) cursor.current = {number: 0, word: 0};
  const onKey = (event) => {
    const {number, word} = event.target.dataset;
    if (word === undefined) return;
    const places = [...pane.current.querySelectorAll("[data-word]")];
    const here = places.indexOf(event.target);
    const first = (index) => places.find((one) => one.dataset.number === String(index));
    const next = {
      ArrowRight: () => places[here + 1],
      ArrowLeft: () => places[here - 1],
      ArrowDown: () => first(Number(number) + 1),
      ArrowUp: () => first(Math.max(Number(number) - 1, 0)),
      Home: () => places[0],
      End: () => places.at(-1),
    }[event.key]?.();
    if (event.key === "Enter" || event.key === " ") onOpen(Number(number), Number(word));
    else if (!next) return;
    event.preventDefault();
    next?.focus();
  };
  const onFocus = ({target}) => {
    const {number, word} = target.dataset;
    if (word === undefined) return;
    const before = pane.current.querySelector("[data-word][tabindex='0']");
    if (before) before.tabIndex = -1;
    target.tabIndex = 0;
    cursor.current = {number: Number(number), word: Number(word)};
    light(Number(number));
  };
  const onClick = ({target}) => {
    const {number, word} = target.closest("[data-word]")?.dataset ?? {};
    const sentence = target.closest("[data-sentence]")?.dataset.sentence;
    if (sentence !== undefined) onOpen(Number(number ?? sentence), word === undefined ? null : Number(word));
  };
  const own = {language, cursor: cursor.current, open, isShaded};
  return html`<div
    ref=${pane} class="written" role="group" aria-label=${name} lang=${language} dir="auto"
    onKeyDown=${onKey} onFocusIn=${onFocus} onFocusOut=${() => light(null)} onClick=${onClick}
    onPointerOver=${({target}) => light(numberOf(target.closest("[data-sentence]")))}
    onPointerLeave=${() => light(null)}
  >
    ${lines.map(
      ({start, line, parts, before}) =>
        html`<p key=${start} dir="auto">
        ${
          parts === null
            ? html`<span class="pending">${before || (line.trim() ? "…" : "")}</span>`
            : parts.map((part) => (typeof part === "string" ? part : html`<${Sentence} ...${own} sentence=${part} />`))
        }
      </p>`,
    )}
  </div>`;
}

const numberOf = (element) => (element ? Number(element.dataset.sentence) : null);

function Sentence({sentence, language, cursor, open, isShaded}) {
  const {number, flags, error, by} = sentence;
  const kinds = [(flags.length > 0 || error) && !by && "flagged", by && "changed", open?.number === number && "chosen"];
  return html`<span class=${kinds.filter(Boolean).join(" ")} data-sentence=${number}>
    ${wordsIn(sentence, language).map(({text, isWord, probability}, i) => {
      const level = isShaded && probability !== null ? levelOf(probability) : 0;
      if (!isWord) return level ? html`<span class=${`level-${level}`}>${text}</span>` : text;
      const isOpen = open?.number === number && open.word === i;
      return html`<span
        role="button" class=${`word level-${level} ${isOpen ? "open" : ""}`} data-number=${number} data-word=${i}
        tabindex=${isReached(cursor, number, i, sentence, language) ? "0" : "-1"}
        title=${isShaded && probability !== null ? share(probability) : undefined}
        >${text}</span
      >`;
    })}
  </span>`;
}

/** Whether the Tab key reaches a word: the last one that was used, or the first of all. */
function isReached(cursor, number, word, sentence, language) {
  if (cursor.number !== number) return false;
  const words = wordsIn(sentence, language);
  const wanted = words[cursor.word]?.isWord ? cursor.word : words.findIndex(({isWord}) => isWord);
  return word === wanted;
}

/** What the shades mean, and the switch. */
export const Legend = ({isShaded, onChange}) =>
  html`<div class="legend">
  <label class="switch">
    <input type="checkbox" checked=${isShaded} onChange=${(event) => onChange(event.currentTarget.checked)} />
    ${t("translator.shade")}
  </label>
  ${
    isShaded &&
    html`<ul aria-label=${t("translator.legend")}>
      <li><span class="level-1">${t("translator.level", {limit: "80 %"})}</span></li>
      <li><span class="level-2">${t("translator.level", {limit: "50 %"})}</span></li>
      <li><span class="level-3">${t("translator.level", {limit: "25 %"})}</span></li>
    </ul>`
  }
</div>`;
