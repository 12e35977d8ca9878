// The words of a translation, each with its probability: the product of those of its pieces. Read work.js next.

const BYTE = /^<0x([0-9A-F]{2})>$/;
const encoder = new TextEncoder();

/** What is put back into a translation and has no pieces: placeholders, tags and entities. */
const KEPT = new RegExp(
  [
    /\{\{[^{}\s]*\}\}|[$#]?\{[^{}\s]*\}/,
    /%(?:\(\w+\)|\d\$)?[0-9.#+-]*[hl]{0,2}[sdifuxXeEgGc@]/,
    /&#?\w+;|<\/?[A-Za-z][^<>]*>|\[X\d+X\]/,
  ]
    .map(({source}) => source)
    .join("|"),
  "g",
);

/** Limits of the shading: a word whose probability is below the first has the strongest. */
export const LEVELS = [0.25, 0.5, 0.8];

/** 0 for a word that is sure, 3 for one that is not at all. */
export const levelOf = (probability) =>
  probability === null ? 0 : LEVELS.filter((limit) => probability < limit).length;

/** A probability in whole per cents; one that is not nothing never reads 0 %, one that is not all never 100 %. */
export function share(probability) {
  if (probability < 0.01) return "< 1 %";
  return probability > 0.99 ? "> 99 %" : `${Math.round(100 * probability)} %`;
}

const isSpace = (byte) => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);

const bytesOf = (piece) => {
  const byte = BYTE.exec(piece);
  const bytes = byte ? [parseInt(byte[1], 16)] : [...encoder.encode(piece.replaceAll("▁", " "))];
  return bytes.filter((one) => !isSpace(one));
};

/** The log-probability that begins at each byte of a text, white space left out; null if the pieces write another. */
function startsOf(text, tokens) {
  const wanted = [...encoder.encode(text)].filter((one) => !isSpace(one));
  const starts = new Map();
  let place = 0;
  let waiting = 0; // of pieces without a byte, such as a single space: they belong to what comes next
  for (const {piece, log_probability: value} of tokens) {
    const bytes = place < wanted.length ? bytesOf(piece) : []; // behind the text stands the end of the sentence
    if (bytes.some((one, i) => one !== wanted[place + i])) return null;
    waiting += value;
    if (!bytes.length) continue;
    starts.set(place, (starts.get(place) ?? 0) + waiting);
    waiting = 0;
    place += bytes.length;
  }
  return place === wanted.length ? starts : null;
}

/**
 * A translation as [{text, isWord, start, probability}], white space among them; the parts together are the text.
 * probability: null for white space and placeholders, and for all where the pieces do not write the text
 */
export function wordsOf(text, tokens, language) {
  let written = text; // by the pieces
  let starts = tokens ? startsOf(text, tokens) : null;
  if (tokens && !starts) {
    written = text.replace(KEPT, (one) => " ".repeat(one.length));
    starts = startsOf(written, tokens);
  }
  let segmenter;
  try {
    segmenter = new Intl.Segmenter(language, {granularity: "word"});
  } catch {
    segmenter = new Intl.Segmenter(undefined, {granularity: "word"}); // a code that is no language of browsers
  }
  let bytes = 0;
  return Array.from(segmenter.segment(text), ({segment, index, isWordLike}) => {
    const own = written.slice(index, index + segment.length);
    const length = [...encoder.encode(own)].filter((one) => !isSpace(one)).length;
    const within = starts && length ? [...starts.keys()].filter((at) => at >= bytes && at < bytes + length) : [];
    bytes += length;
    const sum = within.reduce((total, at) => total + starts.get(at), 0);
    return {
      text: segment,
      isWord: Boolean(isWordLike),
      start: index,
      probability: within.length ? Math.exp(sum) : null,
    };
  });
}
