// The words of the page, one JSON file a language. A key that a language lacks is taken from English.
import {getState} from "pellucid/state";

const texts = {};
let language = "en";

export const LANGUAGES = [
  ["en", "English"],
  ["zh", "中文"],
];

async function load(name) {
  if (texts[name]) return;
  const block = document.querySelector(`script[data-path="web/texts/${name}.json"]`);
  texts[name] = block ? JSON.parse(block.textContent) : await (await fetch(`web/texts/${name}.json`)).json();
}

/** Load the language of the address, else the reader's, else English. */
export async function loadTexts(wanted = getState().lang) {
  const names = LANGUAGES.map(([name]) => name);
  const candidates = [wanted, ...(navigator.languages ?? []).map((tag) => tag.split("-")[0])];
  language = candidates.find((name) => names.includes(name)) ?? "en";
  await load("en");
  await load(language);
  document.documentElement.lang = language;
}

export const currentLanguage = () => language;

/** The text of a key, with {names} filled in. An unknown key shows itself, so that it is noticed. */
export function t(key, values = {}) {
  const text = texts[language]?.[key] ?? texts.en?.[key];
  if (text === undefined) return `⟦${key}⟧`;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}
