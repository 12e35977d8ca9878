// What "it" stands for in the two sentences of the story, and the way to where the model shows it.
import {html} from "pellucid/ui";
import {setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {atPronoun, pronounOf} from "pellucid/tour_stops";

const NOUNS = ["animal", "street"]; // in the order of the sentences

export function Meant({trace, model}) {
  const hasOtherWords = trace.provenance.edits.some((edit) => edit.startsWith("word."));
  const noun = NOUNS[model.is_walkthrough && !hasOtherWords ? model.examples.indexOf(trace.source) : -1];
  if (!noun) return null;
  return html`<p class="hint">
    ${t(`links.meant.${noun}`)} ${
      pronounOf(trace) >= 0 &&
      html`<button type="button" onClick=${() => setState(atPronoun(trace, model))}>${t("links.meant.show")}</button>`
    }
  </p>`;
}
