// Known links between words, and what found ones score against them: as translation/alignment/choosing.py does.

/** The links that the grammar of the embedded corpus knows of its two famous sentences, between spaces. */
const OF_STORY = "0-0 1-0 2-1 2-2 3-3 4-4 5-5 6-6 6-7 7-7 8-8 9-9 10-10";
const STORY = [
  ["tired", "il", "fatigué"],
  ["wide", "elle", "large"],
].map(([adjective, pronoun, french]) => [
  `The animal didn't cross the street because it was too ${adjective}.`,
  `L'animal n'a pas traversé la rue parce qu'${pronoun} était trop ${french}.`,
]);

/** The known links of a sentence and its translation, as a text; "" where none are. */
export const linksOfStory = ({source, text}) =>
  STORY.some(([english, french]) => english === source && french === text) ? OF_STORY : "";

const RIVALS = {il: "elle", elle: "il"};

/** The pronoun that a step of the story could have written instead; undefined in other sentences and at other steps. */
export const rivalOf = ({source, tokens}, step) =>
  STORY.some(([english]) => english === source) ? RIVALS[tokens.predicted_pieces[step].replace("▁", "")] : undefined;

/**
 * The links of a text such as "0-0 1-2": {links: [[source, target]], problem: null or {item, source, target}}.
 * sizes: numbers of words on both sides; isReversed: the target comes first
 */
export function knownLinks(text, [source, target], isReversed) {
  const links = new Map();
  for (const item of text.split(/\s+/).filter(Boolean)) {
    const found = /^(\d{1,9})-(\d{1,9})$/.exec(item);
    const link = found && (isReversed ? [found[2], found[1]] : [found[1], found[2]]).map(Number);
    if (!link || link[0] >= source || link[1] >= target)
      return {links: [], problem: {item: item.slice(0, 40), source, target}};
    links.set(String(link), link);
  }
  return {links: [...links.values()], problem: null};
}

/** Precision, recall and alignment error rate (Och and Ney 2003); 0, 0 and 1 without links. */
export function scoresOf(links, gold) {
  const known = new Set(gold.map(String));
  const common = links.filter((link) => known.has(String(link))).length;
  const counts = {common, found: links.length, known: gold.length};
  if (!links.length || !gold.length) return {precision: 0, recall: 0, rate: 1, ...counts};
  const rate = 1 - (2 * common) / (links.length + gold.length);
  return {precision: common / links.length, recall: common / gold.length, rate, ...counts};
}
