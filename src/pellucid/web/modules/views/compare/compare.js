// Two traces side by side: two sentences, two models or snapshots, or before and after the edits; and what differs.
// Read choices.js next, then texts.js, heads.js and attention.js.
import {html} from "pellucid/ui";
import {isFile, ofTrace, otherTrace, useData} from "pellucid/data";
import {Waiting} from "pellucid/pictures/figure";
import {t} from "pellucid/texts";
import {AttentionPair} from "pellucid/views/compare/attention";
import {Choices} from "pellucid/views/compare/choices";
import {HeadChanges} from "pellucid/views/compare/heads";
import {States} from "pellucid/views/compare/states";
import {Outputs, Steps} from "pellucid/views/compare/texts";

/** What the trace is compared with: {before} or {model, source, target}; null where nothing is known to compare. */
function wantedOf(trace, model, state) {
  const hasEdits = trace.provenance.edits.length > 0;
  if (isFile) return trace.beside ? {recorded: trace.beside} : hasEdits ? {before: true} : null;
  const source = state["compare.source"] ?? "";
  const other = state["compare.model"] ?? "";
  const isForced = state["compare.same"] === "1";
  if (!source && !other && hasEdits) return {before: true};
  const usual = other ? trace.source : (model.examples.find((example) => example !== trace.source) ?? "");
  if (!source && !usual) return null;
  return {model: other || model.id, source: source || usual, target: isForced ? trace.text : ""};
}

async function loaded(trace, wanted) {
  const other = wanted.recorded ?? (wanted.before ? "before" : (await otherTrace(wanted)).id);
  return {...(await ofTrace(trace, `beside/${other}`)), other};
}

export function CompareView({trace, model, state}) {
  const wanted = wantedOf(trace, model, state);
  const data = useData(wanted && `${trace.id} compare ${JSON.stringify(wanted)}`, () => loaded(trace, wanted));
  return html`
    ${
      isFile
        ? html`<p class="hint">${t(wanted ? "compare.file" : "compare.file_without")}</p>`
        : html`<${Choices} ...${{trace, model, state, wanted, other: data.value?.other}} />`
    }
    ${
      wanted
        ? html`<${Waiting} data=${data}>${(found) => html`<${Found} ...${{trace, model, state, found}} />`}<//>`
        : !isFile && html`<p class="hint">${t("compare.nothing")}</p>`
    }
  `;
}

function Found({trace, model, state, found}) {
  const own = {trace, model, state, found};
  const provenance = {first: found.first.provenance, second: found.second.provenance};
  return html`
    <${Outputs} ...${{found, provenance}} />
    <${Steps} ...${{found, provenance}} />
    <${HeadChanges} ...${own} provenance=${provenance} />
    <${AttentionPair} ...${own} provenance=${provenance} />
    <${States} ...${{found, provenance}} />
  `;
}
