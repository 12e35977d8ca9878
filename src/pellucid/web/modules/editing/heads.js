// Switch heads and sub-layers off, and see which heads matter for a word. Read change.js next.
import {html, useState} from "pellucid/ui";
import {isFile, ofTrace, useData} from "pellucid/data";
import {addEdit, dropEdit, editAt} from "pellucid/editing/list";
import {Choice, StepSlider} from "pellucid/pickers";
import {Figure, Waiting} from "pellucid/pictures/figure";
import {Matrix} from "pellucid/pictures/matrix";
import {useWidth} from "pellucid/pictures/width";
import {largest, short} from "pellucid/numbers";
import {KINDS, depthOf, labelsOf, place} from "pellucid/sites";
import {t} from "pellucid/texts";
import {pieceLabel, pieceName} from "pellucid/tokens";
import {rowOf} from "pellucid/views/beginning";

const HOW = ["zero", "mean", "other", "sample"];

export function HeadsPanel({trace, model, state, edits}) {
  const [how, setHow] = useState("zero");
  const [other, setOther] = useState(model.examples.find((text) => text !== trace.source) ?? "");
  const [isOneRow, setOneRow] = useState(false);
  const row = rowOf(state, trace);
  const {rows, predicts} = labelsOf(state.kind, trace.tokens);
  const piece = pieceName((predicts ?? rows)[row]);
  const at = place(state.kind, state.layer);
  const where = t("editing.switches", {kind: t(`kind.${state.kind}`), layer: state.layer});
  const mode = {sample: "mean:sample", other: `from:${JSON.stringify(other.trim())}`}[how] ?? how;
  const toggle = (one) => {
    const known = editAt(edits, one);
    if (known) dropEdit(known);
    else addEdit(`${one}=${mode}`);
  };
  const switches = [
    ...Array.from({length: model.config.num_heads}, (_, head) => [
      `${at}.head.${head}${isOneRow ? `.row.${row}` : ""}`,
      t("editing.switch_head", {head}),
    ]),
    [at, t("editing.switch_all")],
    [`${at.slice(0, at.lastIndexOf("."))}.feed_forward`, t("editing.switch_network")],
  ];
  return html`
    <div class="edit-choices" role="group" aria-label=${where}>
      <span class="choice-label">${where}</span>
      ${switches.map(([one, label]) => {
        const isOff = Boolean(editAt(edits, one));
        return html`<button
          key=${one} type="button" role="switch" aria-checked=${!isOff} disabled=${isFile}
          onClick=${() => toggle(one)}
        >
          ${label} <small>${t(isOff ? "editing.off" : "editing.on")}</small>
        </button>`;
      })}
    </div>
    <p>
      <label class="switch">
        <input type="checkbox" checked=${isOneRow} onChange=${(event) => setOneRow(event.currentTarget.checked)} />
        ${t(predicts ? "editing.one_row_step" : "editing.one_row", {piece})}
      </label>
    </p>
    <${How} ...${{trace, model, state, how, setHow, other, setOther}} />
    <${HeadEffects}
      ...${{trace, model, state}} caption=${t("editing.matter_caption")}
      onPick=${(kind, layer, head) => !isFile && toggle(`${place(kind, layer)}.head.${head}`)}
    />
  `;
}

/** What stands in the place of what is off, and the piece whose heads are shown. */
function How({trace, model, state, how, setHow, other, setOther}) {
  const hasSample = model.is_walkthrough || model.has_training;
  return html`
    <div class="controls">
      <${Choice}
        label=${t("editing.how")} value=${how} onChange=${setHow}
        options=${(hasSample ? HOW : HOW.slice(0, 3)).map((one) => [one, t(`editing.${one}`)])}
      />
      <${StepSlider} state=${state} steps=${trace.tokens.fed_pieces.length} label=${t("editing.which")} />
    </div>
    ${
      how === "other" &&
      html`<label class="edit-other">
        ${t("editing.other_sentence")} <input
          value=${other} autocomplete="off" spellcheck=${false} disabled=${isFile}
          onInput=${(event) => setOther(event.currentTarget.value)}
        />
      </label>
      ${state.kind === "encoder" && html`<p class="hint">${t("editing.other_length")}</p>`}`
    }
  `;
}

/**
 * All heads at once: the change of the log-probability of one piece when each head alone is off.
 * onPick(kind, layer, head): a cell was chosen; picked: [kind, layer, head] or null
 */
export function HeadEffects({trace, model, state, caption, onPick, picked = null}) {
  const data = useData(`${trace.id} head_effects`, () => ofTrace(trace, "head_effects"));
  return html`<${Waiting} data=${data}>
    ${(effects) =>
      html`<div class="side-by-side">${KINDS.map(
        (kind) =>
          html`<${Sheet}
            key=${kind} ...${{kind, effects, trace, model, state, caption}}
            selected=${picked?.[0] === kind ? picked.slice(1) : null}
            onPick=${(layer, head) => onPick(kind, layer, head)}
          />`,
      )}</div>`}
  <//>`;
}

/** Where the heads of a kind begin among all heads. */
export const firstHead = (kind, config) =>
  KINDS.slice(0, KINDS.indexOf(kind)).reduce((sum, one) => sum + depthOf(one, config) * config.num_heads, 0);

function Sheet({kind, effects, trace, model, state, caption, onPick, selected}) {
  const {config} = model;
  const [frame, room] = useWidth(340);
  const layers = depthOf(kind, config);
  const heads = config.num_heads;
  const first = firstHead(kind, config);
  const values = Float32Array.from({length: layers * heads}, (_, i) => effects.at(first + i, state.step));
  const all = Float32Array.from({length: effects.shape[0]}, (_, i) => effects.at(i, state.step));
  const most = Math.max(largest(all), 1e-6);
  const top = values.reduce((best, change, i) => (Math.abs(change) > Math.abs(values[best]) ? i : best), 0);
  const piece = pieceLabel(trace.tokens.predicted_pieces[state.step]);
  const describe = (layer, head) =>
    t("editing.head_says", {layer, head, piece, change: short(values[layer * heads + head])});
  const table = () => ({
    columns: [t("pick.layer"), t("pick.head"), ...trace.tokens.predicted_pieces.map((one, i) => `${i} ${one}`)],
    rows: Array.from({length: layers * heads}, (_, i) => [
      Math.floor(i / heads),
      i % heads,
      ...trace.tokens.predicted_pieces.map((_, step) => effects.at(first + i, step)),
    ]),
  });
  const rows = Array.from({length: layers}, (_, i) => `${t("pick.layer")} ${i}`);
  const cell = Math.max(Math.min(Math.floor((room - 100) / heads), 34), 14);
  return html`<${Figure}
    frame=${frame} name=${`head-effects-${kind}`} title=${t("editing.matter", {kind: t(`kind.${kind}`), piece})}
    provenance=${trace.provenance} table=${table}
    says=${t("editing.head_most", {says: describe(Math.floor(top / heads), top % heads)})}
    caption=${caption}
  >
    <${Matrix}
      values=${values} shape=${[layers, heads]} rows=${rows}
      columns=${Array.from({length: heads}, (_, i) => String(i))} scale=${{kind: "diverging", most}} cell=${cell}
      name=${t("editing.matter", {kind: t(`kind.${kind}`), piece})}
      columnTitle=${t("pick.head")} describe=${describe} selected=${selected}
      onSelect=${onPick}
    />
  <//>`;
}
