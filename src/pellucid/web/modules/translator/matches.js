// What the translation memory of the server has for a sentence: its translation, or units that are like it.
import {html} from "pellucid/ui";
import {t} from "pellucid/texts";

const differences = ({only_in_text: text, only_in_memory: memory}) =>
  [
    text.length > 0 && t("translator.only_in_text", {words: text.join(", ")}),
    memory.length > 0 && t("translator.only_in_memory", {words: memory.join(", ")}),
  ].filter(Boolean);

/** sentence: of Work.lines; onUse: (text) => puts the translation of a unit in the place of the model's */
export function Matches({sentence, pair, onUse}) {
  const {origin, matches, text, by} = sentence;
  const others = matches.filter(({target}) => target !== text);
  return html`
    ${origin === "memory" && !by && html`<p class="hint">${t("translator.from_memory")}</p>`}
    ${
      others.length > 0 &&
      html`<details class="matches" open>
        <summary>${t("translator.matches", {n: others.length})}</summary>
        <ul>
          ${others.map(
            (one) =>
              html`<li key=${one.source + one.target}>
              <span class="count">${t("translator.like", {score: Math.floor(one.score)})}</span>
              <span lang=${pair.source} dir="auto">${one.source}</span>
              <button lang=${pair.target} dir="auto" onClick=${() => onUse(one.target)}>${one.target}</button>
              <span class="hint">${differences(one).join(" ")}</span>
            </li>`,
          )}
        </ul>
      </details>`
    }
  `;
}
