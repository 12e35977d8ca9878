// What the server says, in the language of the page and for somebody who has only the page: its sentences are English,
// and some of them name settings of the command line. A sentence that is not listed is quoted. Read data.js next.
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
  [/^step\.(\d+)=.*: the translation without this edit has steps 0 to (\d+)/, "edited_step", ["step", "last"]],
  [/^word\.(\d+)=.*: the sentence has words 0 to (\d+)/, "edited_word", ["word", "last"]],
  [/^.*: step (\d+) is forced twice/, "edited_twice", ["step"]],
  [/^the edit .* occurs twice; /, "edited_again", []],
  [/^the edit (.*?)(?:: | has no '=')/, "edit", ["edit"]],
  [/^(.*?) (?:contradicts|bans the same piece as) (.*?)(?:: both |, which |; leave)/, "both", ["edit", "other"]],
  [/^(.*?) (?:replaces all that|would have no effect, because) (.*?) (?:changes|replaces)/, "both", ["edit", "other"]],
  [/: (.*) weights? for (.*) columns? of /, "weights_count", ["n", "columns"]],
  [/: the weights sum to (.*); they must/, "weights_sum", ["sum"]],
  [/: weights\[(.*)\] = (.*); weights must/, "weights_sign", ["column", "value"]],
  [/: row (.*) of the decoder's self-attention can attend to/, "weights_later", ["row"]],
  [/: layer = (.*); allowed are the whole numbers (.*) to (.*)$/, "no_layer", ["n", "first", "last"]],
  [/: head = (.*); allowed are the whole numbers (.*) to (.*)$/, "no_head", ["n", "first", "last"]],
  [/: row = (.*); allowed are the whole numbers (.*) to (.*)$/, "no_row", ["n", "first", "last"]],
  [/: unit = (.*); allowed are the whole numbers (.*) to (.*)$/, "no_unit", ["n", "first", "last"]],
  [/: position = (.*); allowed are the whole numbers (.*) to (.*)$/, "no_position", ["n", "first", "last"]],
  [/^(.*) is not a sub-layer; there are/, "edit", ["edit"]],
  [/^positions=learned: /, "learned", []],
  [/: a translation never has (.*); name another/, "never", ["piece"]],
  [/: (.*) ends the sentence and cannot be banned/, "never_banned", ["piece"]],
  [/: is no piece of .* \((.*)\); ban one piece/, "several", ["pieces"]],
  [/: the vocabulary has no pieces that write it/, "no_piece", []],
  [/^word\.(\d+): the text is .*; give a word/, "no_word", ["word"]],
  [/: word (\d+) is changed twice/, "word_twice", ["word"]],
  [/^word\.(\d+): (.*) is written otherwise in the text/, "word_spelled", ["word", "text"]],
  [/^the edits drop every word/, "no_words", []],
  [/: has no effect on a translation that is given/, "given", []],
  [/: the other sentence has (.*) source pieces? and this one (.*); values/, "other_length", ["n", "own"]],
  [/^the list has more than (\d+) edits/, "edits", ["limit"]],
  [/^a search with (.*) edits and beam_size = .* computes/, "edits_long", ["n"]],
  [/: a search with it is not asked for a reference/, "excluded", []],
  [/^a draw searches for nothing/, "draw", []],
  [/^settings\.beam_size = (.*); the limit on this page is (\d+)/, "beam", ["n", "limit"]],
  [/^(\w+) = (.*) is not a value of this setting/, "setting", ["name", "value"]],
  [/^target_ids/, "ids", []],
  [/^there is not enough memory/, "long", []],
  [/log-probabilities are not numbers/, "not_numbers", []],
  [/^the run has no probe of step (.*); it has/, "probe", ["step"]],
  [/: (?:cannot be read: |is damaged: |holds no measurement)/, "damaged", []],
  [/^the server failed \((.*)\)/, "failed", ["name"]],
  [/^(?:this server does not answer to the name|pages of .* cannot use this server)/, "foreign", []],
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
  return key ? t(`refused.${key}`, values) : t("refused.other", {text});
}

export function evidenceText(text) {
  const [key, values] = readOut(text, EVIDENCE) ?? [];
  return key ? t(`evidence.${key}`, values) : text;
}
