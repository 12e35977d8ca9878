// What the server says, in the language of the page and for somebody who has only the page: its sentences are English,
// and some of them name settings of the command line. A sentence that is not listed stays as it is. Read data.js next.
import {t} from "pellucid/texts";

/** Refusals that a reader can meet: what the server writes, the key of the text, the names of its numbers. */
const REFUSALS = [
  [/^source has ([\d,]+) characters; the limit on this page is ([\d,]+);/, "characters", ["n", "limit"]],
  [/^source has ([\d,]+) pieces; the limit of a trace is ([\d,]+);/, "pieces", ["n", "limit"]],
  [/^target has ([\d,]+) (?:characters|pieces); the limit \D*([\d,]+);/, "target", ["n", "limit"]],
  [/^the text has more than (\d+) pieces and would be translated in (\d+) parts/, "parts", ["limit", "n"]],
  [/^the text has no letters and no digits/, "letters", []],
  [/^the text is blank/, "blank", []],
  [/^a search with beam_size = .* takes [\d,]+ rows; the limit on this page is/, "long", []],
  [/^the trace of .* takes [\d.,]+ MB; the limit /, "long", []],
  [/^the request queue is full/, "busy", []],
  [/^there is no model '(.*)'; there are/, "model", ["name"]],
  [/^'(.*)' has no snapshot of step '(.*)'; it has/, "snapshot", ["name", "step"]],
];

/** The evidence of flags (translation/flags.py), part by part. */
const EVIDENCE = [
  [/^mean probability of a piece ([\d.]+)$/, "mean", ["p"]],
  [/^missing: (.*); only in the translation: (.*)$/, "both", ["missing", "added"]],
  [/^missing: (.*)$/, "missing", ["missing"]],
  [/^only in the translation: (.*)$/, "added", ["added"]],
  [/^in the translation: (.*)$/, "found", ["found"]],
  [/^([\d,]+) pieces?, ([\d,]+) in small letters$/, "capitals", ["n", "small"]],
  [/^([\d,]+) pieces? in the source, ([\d,]+) in the translation$/, "pieces", ["source", "target"]],
  [/^([\d,]+) clauses? in the source, ([\d,]+) in the translation$/, "clauses", ["source", "target"]],
  [/^([\d,]+) sentences? in the source, ([\d,]+) in the translation$/, "sentences", ["source", "target"]],
  [/^([\d,]+) pieces? of the source$/, "of_source", ["n"]],
  [/^([\d,]+) pieces? of the translation$/, "of_target", ["n"]],
  [/^(.*) (\d+) times in a row$/, "times", ["block", "n"]],
  [/^the source ends with (.*), the translation with (.*)$/, "ends", ["source", "target"]],
  [/^the translation has no letters and no digits$/, "no_words", []],
  [/^all of it$/, "all", []],
];

/** The key and the values of a text that a table knows; null for any other. */
function readOut(text, table) {
  for (const [pattern, key, names] of table) {
    const found = pattern.exec(text);
    if (found) return [key, Object.fromEntries(names.map((name, i) => [name, found[i + 1]]))];
  }
  return null;
}

export function refusalText(text) {
  const [key, values] = readOut(text, REFUSALS) ?? [];
  return key ? t(`refused.${key}`, values) : text;
}

export function evidenceText(text) {
  const [key, values] = readOut(text, EVIDENCE) ?? [];
  return key ? t(`evidence.${key}`, values) : text;
}
