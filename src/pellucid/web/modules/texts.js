// The words of the pages, JSON files of each language. A key that a language lacks is taken from English. texts/ has
// those of the page that shows the inside, texts/said/ what both pages say of a translation. The page for translators,
// and a view whose code comes when it is opened, have words of their own in a folder of texts/.
import {getState} from "pellucid/state";

const texts = {};
let language = "en";

export const LANGUAGES = [
  ["en", "English"],
  ["zh", "中文"],
];

const parts = new Set(["said/"]); // folders of texts/ that are in use
const loaded = new Set();

async function load(name) {
  for (const part of parts) {
    const path = `web/texts/${part}${name}.json`;
    if (loaded.has(path)) continue;
    const block = document.querySelector(`script[data-path="${path}"]`);
    const found = block ? JSON.parse(block.textContent) : await (await fetch(path)).json();
    texts[name] = {...texts[name], ...found};
    loaded.add(path);
  }
}

/** Load the language of the address, else the reader's, else English; part: the folder with the words of the page. */
export async function loadTexts(wanted = getState().lang, part = "") {
  parts.add(part);
  const names = LANGUAGES.map(([name]) => name);
  const candidates = [wanted, ...(navigator.languages ?? []).map((tag) => tag.split("-")[0])];
  language = candidates.find((name) => names.includes(name)) ?? "en";
  await load("en");
  await load(language);
  document.documentElement.lang = language;
}

/** What a view imports, with its words, those in the folder `part` of texts/: for `lazy`. */
export async function withTexts(part, imported) {
  parts.add(`${part}/`);
  await load("en");
  await load(language);
  return imported;
}

export const currentLanguage = () => language;

/** The text of a key, with {names} filled in. An unknown key shows itself, so that it is noticed. */
export function t(key, values = {}) {
  const text = texts[language]?.[key] ?? texts.en?.[key];
  if (text === undefined) return `⟦${key}⟧`;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}
