// "Correct this": a reader writes the translation of a sentence; the server collects it for review if its owner wants.
import {html, useState} from "pellucid/ui";
import {t} from "pellucid/texts";
import {correct} from "pellucid/translator/service";

export function Correcting({sentence, text, job, facts, onChange}) {
  const [typed, type] = useState(text);
  const [state, set] = useState({});
  const use = () =>
    onChange({text: typed.trim(), alternatives: null, flags: [], evidence: {}, error: null, by: "hand"});
  const sendIt = async () => {
    set({isSending: true});
    try {
      await correct(job, sentence.source, typed.trim(), sentence.original);
      set({isSent: true});
      use();
    } catch (error) {
      set({error});
    }
  };
  const isNew = typed.trim() && typed.trim() !== text;
  return html`<div class="correcting">
    <textarea
      rows="3" lang=${job.pair.target} dir="auto" aria-label=${t("translator.correction", {n: sentence.number + 1})}
      value=${typed} onInput=${(event) => (type(event.currentTarget.value), set({}))}
    ></textarea>
    <p class="row">
      <button disabled=${!isNew} onClick=${use}>${t("translator.use")}</button>
      ${
        facts.takesCorrections &&
        html`<button disabled=${!typed.trim() || typed.trim() === sentence.original || state.isSending || state.isSent}
          onClick=${sendIt}>
          ${t("translator.send_correction")}
        </button>`
      }
      <span class="hint" role="status">
        ${
          state.isSent
            ? t("translator.sent")
            : t(facts.takesCorrections ? "translator.corrections" : "translator.no_corrections")
        }
      </span>
    </p>
    ${state.error && html`<p class="problem" role="alert">${state.error.message}</p>`}
  </div>`;
}
