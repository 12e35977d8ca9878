// Pieces and words as a reader sees them, and their merging: a word looks where its pieces look on average,
// and is looked at as much as its pieces together. Read pickers.js next.
import {html} from "pellucid/ui";
import {isOver, setHover, useHover} from "pellucid/state";
import {t} from "pellucid/texts";

const BYTE = /^<0x([0-9A-F]{2})>$/;
const SHOWN_BYTE = /⟨[0-9A-F]{2}⟩/;

/** The first byte that a text shows as a piece, such as ⟨E4⟩; undefined where it shows none. */
export const byteIn = (text) => SHOWN_BYTE.exec(text)?.[0];

/** A piece for the eye: a space shown as "␣" only where it stands alone, a byte as ⟨E4⟩. */
export function pieceText(piece) {
  const byte = BYTE.exec(piece);
  if (byte) return `⟨${byte[1]}⟩`;
  return piece.replaceAll("▁", " ").trim() || "␣";
}

/** The text that pieces write, without specials; those that are bytes write characters together. */
export const textOf = (pieces) =>
  pieces
    .map((piece) => (/^<(?!0x[0-9A-F]{2}>).*>$/.test(piece) ? "" : piece.replaceAll("▁", " ")))
    .join("")
    .replace(/(?:<0x[0-9A-F]{2}>)+/g, (run) =>
      new TextDecoder().decode(Uint8Array.from(run.match(/[0-9A-F]{2}(?=>)/g), (byte) => parseInt(byte, 16))),
    );

/** A piece for the eye, with "·" where the piece brings a space with it; that is part of its identity. */
export const pieceLabel = (piece) => (piece.startsWith("▁") && piece.length > 1 ? "·" : "") + pieceText(piece);

/** The same in a sentence, where an apostrophe among quotation marks could not be read. */
export const pieceName = (piece) =>
  /^▁?['’]$/.test(piece) ? t("word.apostrophe", {piece: pieceLabel(piece)}) : pieceLabel(piece);

/** The same of one of several pieces, with its position where another of them reads alike. */
export const nameAmong = (pieces, at) =>
  pieceName(pieces[at]) +
  (pieces.indexOf(pieces[at]) === pieces.lastIndexOf(pieces[at]) ? "" : ` (${t("word.position")} ${at})`);

/** A text cut to `most` characters as readers count them: an emoji of several parts stays whole. */
export function cut(text, most) {
  if (text.length <= most) return text;
  const characters = Array.from(new Intl.Segmenter().segment(text), ({segment}) => segment);
  return characters.length > most ? characters.slice(0, most - 1).join("") + "…" : text;
}

/** What differs in a text, as a list of parts; a space before it is not marked. */
export const marked = (text, key) => [
  text.slice(0, text.length - text.trimStart().length),
  html`<mark key=${key}>${text.trimStart()}</mark>`,
];

/** The words of a side as spans [{text, start, end}]; of the fed pieces, the predicted words one later. */
export function wordsOf(side, tokens) {
  if (side === "source") return tokens.source_words;
  if (side === "predicts") return tokens.target_words;
  const later = tokens.target_words.map(({text, start, end}) => ({text, start: start + 1, end: end + 1}));
  return within([{text: tokens.fed_pieces[0], start: 0, end: 1}, ...later], tokens.fed_pieces.length);
}

/** The words of the first `length` pieces; the last one may not be whole. */
export const within = (words, length) =>
  words.filter(({start}) => start < length).map((word) => ({...word, end: Math.min(word.end, length)}));

/** Weights [rows, columns] of pieces as those of words: mean over the pieces that look, sum over those looked at. */
export function mergeWeights(values, [, columns], rowWords, columnWords) {
  const merged = new Float32Array(rowWords.length * columnWords.length);
  rowWords.forEach((row, i) =>
    columnWords.forEach((column, j) => {
      let sum = 0;
      for (let a = row.start; a < row.end; a += 1)
        for (let b = column.start; b < column.end; b += 1) sum += values[a * columns + b];
      merged[i * columnWords.length + j] = sum / (row.end - row.start);
    }),
  );
  return {values: merged, shape: [rowWords.length, columnWords.length]};
}

/**
 * A sentence as chips, one a piece, words held together; where nothing can be chosen, a chip is no button.
 * side: "source" or "target" (for shared hovering); selected: position or null; notes: text under each, or null
 */
export function Chips({pieces, words, side, selected = null, onSelect, notes = null, name, marks = null}) {
  const hover = useHover();
  const groups = words ?? pieces.map((_, i) => ({start: i, end: i + 1}));
  const [over, out] = [(i) => () => setHover({side, position: i}), () => setHover(null)];
  const chip = (i) => {
    const shared = {
      key: i,
      class: `chip ${marks?.[i] ?? ""} ${isOver(hover, side, i) ? "hovered" : ""}`,
      onPointerEnter: over(i),
      onPointerLeave: out,
    };
    const inside = html`<bdi dir="auto">${pieceText(pieces[i])}</bdi>${notes && html`<small>${notes[i]}</small>`}`;
    if (!onSelect) return html`<span ...${shared}>${inside}</span>`;
    return html`<button
      type="button" aria-pressed=${selected === i} onClick=${() => onSelect(i)} onFocus=${over(i)} onBlur=${out}
      ...${shared}
    >
      ${inside}
    </button>`;
  };
  return html`<div class="chips" role="group" aria-label=${name}>
    ${groups.map(
      ({start, end}) => html`
        <span key=${start} class="chip-word">${Array.from({length: end - start}, (_, k) => chip(start + k))}</span>
      `,
    )}
  </div>`;
}
