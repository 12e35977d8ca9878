// With what the sentence of the page is compared: a minimal pair, a sentence, another model or a snapshot.
import {html, useEffect, useState} from "pellucid/ui";
import {get, useData} from "pellucid/data";
import {setState} from "pellucid/state";
import {about} from "pellucid/sentence";
import {t} from "pellucid/texts";

/** Sentences of the embedded grammar, and the last word with which "it" stands for the other noun. */
const PAIRS = [
  ["The animal didn't cross the street because it was too tired.", "wide"],
  ["The rabbit didn't eat the orange because it was too tired.", "sour"],
  ["The goat didn't eat the fish because it was too cautious.", "salty"],
  ["The horse didn't cross the motorway because it was too lazy.", "wide"],
  ["The animal didn't climb the hill because it was too young.", "high"],
];
const LAST = /[a-z]+(?=\.$)/;

const beside = (source) => ({"compare.source": source, "compare.model": "", "compare.same": ""});

export function Choices({trace, model, state, wanted, other}) {
  const source = wanted?.source ?? trace.source;
  const [typed, type] = useState(source);
  useEffect(() => type(source), [source, trace.id]);
  const models = useData("models compare", () => get("api/models"));
  const options = (models.value?.models ?? []).flatMap(({id, name, steps}) => [
    [id, name],
    ...steps.map((step) => [`${id}@${step}`, t("page.snapshot", {name, step})]),
  ]);
  const submit = (event) => {
    event.preventDefault();
    const text = typed.trim();
    if (text) setState({"compare.source": text});
  };
  const swap = () =>
    setState({
      ...about(wanted.source),
      "compare.source": trace.source,
      model: wanted.model,
      "compare.model": wanted.model === model.id ? "" : model.id,
    });
  return html`
    <div class="compare-choices">
      ${
        model.is_walkthrough &&
        html`<div class="choice" role="group" aria-label=${t("compare.pairs")}>
          <span class="choice-label">${t("compare.pairs")}</span>
          ${PAIRS.map(([first, word]) => {
            const second = first.replace(LAST, word);
            return html`<button
              key=${first} type="button" aria-pressed=${trace.source === first && wanted?.source === second}
              title=${first} lang="en" onClick=${() => setState({...about(first), ...beside(second)})}
            >
              ${`${first.split(" ")[1]}: ${LAST.exec(first)[0]} / ${word}`}
            </button>`;
          })}
        </div>`
      }
      <form onSubmit=${submit}>
        <label>
          ${t("compare.with")} <input
            value=${typed} dir="auto" autocomplete="off" spellcheck=${false}
            onInput=${(event) => type(event.currentTarget.value)}
          />
        </label>
        <button>${t("compare.go")}</button>
      </form>
      <div class="compare-row">
        ${
          options.length > 1 &&
          html`<label>
            ${t("compare.model")} <select
              value=${wanted?.model ?? model.id}
              onChange=${({currentTarget: {value}}) => setState({"compare.model": value === model.id ? "" : value})}
            >
              ${options.map(([id, label]) => html`<option key=${id} value=${id}>${label}</option>`)}
            </select>
          </label>`
        }
        <label class="switch">
          <input
            type="checkbox" checked=${state["compare.same"] === "1"} disabled=${!wanted || wanted.before}
            onChange=${({currentTarget: {checked}}) => setState({"compare.same": checked ? "1" : ""})}
          /> ${t("compare.same")}
        </label>
        <button type="button" disabled=${!wanted || wanted.before || state.edits} onClick=${swap}>
          ⇄ ${t("compare.swap")}
        </button>
        ${
          trace.provenance.edits.length > 0 &&
          html`<button type="button" aria-pressed=${Boolean(wanted?.before)} onClick=${() => setState(beside(""))}>
            ${t("compare.before")}
          </button>`
        }
        ${other && html`<a class="button" href=${exported(trace, other)} download>${t("compare.save")}</a>`}
      </div>
    </div>
  `;
}

const exported = (trace, other) =>
  `export/${trace.id}.html${other === "before" ? "" : `?beside=${encodeURIComponent(other)}`}`;
