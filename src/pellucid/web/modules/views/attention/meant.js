// What "it" stands for in the two sentences of the story, which readers know; what the model was measured to know of
// it; and the way to where the model shows more.
import {html} from "pellucid/ui";
import {setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {atPronoun, figuresOf, pronounOf} from "pellucid/tour_stops";

const NOUNS = ["animal", "street"]; // in the order of the sentences

export function Meant({trace, model}) {
  const hasOtherWords = trace.provenance.edits.some((edit) => edit.startsWith("word."));
  const noun = NOUNS[model.is_walkthrough && !hasOtherWords ? model.examples.indexOf(trace.source) : -1];
  if (!noun) return null;
  const figures = figuresOf(model);
  return html`<p class="hint">
    ${t(`links.meant.${noun}`)} ${figures && t("links.meant.measured", figures)} ${
      pronounOf(trace) >= 0 &&
      html`<button type="button" onClick=${() => setState(atPronoun(trace, model))}>${t("links.meant.show")}</button>`
    }
  </p>`;
}
