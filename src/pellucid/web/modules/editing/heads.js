// Switch heads and sub-layers off, see which heads matter for a word, and what an attention was before the edits.
import {html, useState} from "pellucid/ui";
import {get, isFile, ofTrace, site, useData} from "pellucid/data";
import {addEdit, dropEdit, editAt} from "pellucid/editing/list";
import {Choice, StepSlider} from "pellucid/pickers";
import {Figure, Waiting} from "pellucid/pictures/figure";
import {Matrix} from "pellucid/pictures/matrix";
import {useWidth} from "pellucid/pictures/width";
import {largest, short} from "pellucid/numbers";
import {KINDS, depthOf, labelsOf, place} from "pellucid/sites";
import {t} from "pellucid/texts";
import {pieceLabel} from "pellucid/tokens";

const HOW = ["zero", "mean", "sample"];

export function HeadsPanel({trace, model, state, edits}) {
  const [how, setHow] = useState("zero");
  const at = place(state.kind, state.layer);
  const where = t("editing.switches", {kind: t(`kind.${state.kind}`), layer: state.layer});
  const mode = how === "sample" ? "mean:sample" : how;
  const toggle = (one) => {
    const known = editAt(edits, one);
    if (known) dropEdit(known);
    else addEdit(`${one}=${mode}`);
  };
  const switches = [
    ...Array.from({length: model.config.num_heads}, (_, head) => [
      `${at}.head.${head}`,
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
    <${Choice}
      label=${t("editing.how")} value=${how} onChange=${setHow}
      options=${(model.is_walkthrough || model.has_training ? HOW : HOW.slice(0, 2)).map((one) => [
        one,
        t(`editing.${one}`),
      ])}
    />
    ${trace.provenance.edits.length > 0 && html`<${Difference} ...${{trace, state}} />`}
    <${HeadEffects} ...${{trace, model, state, toggle}} />
  `;
}

/** All heads at once: the change of the log-probability of one piece when each head alone is off. */
function HeadEffects({trace, model, state, toggle}) {
  const data = useData(`${trace.id} head_effects`, () => ofTrace(trace, "head_effects"));
  return html`
    <${StepSlider} state=${state} steps=${trace.tokens.fed_pieces.length} label=${t("editing.which")} />
    <${Waiting} data=${data}>
      ${(effects) =>
        html`<div class="side-by-side">${KINDS.map(
          (kind) => html`<${Sheet} key=${kind} ...${{kind, effects, trace, model, state, toggle}} />`,
        )}</div>`}
    <//>
  `;
}

function Sheet({kind, effects, trace, model, state, toggle}) {
  const {config} = model;
  const [frame, room] = useWidth(340);
  const layers = depthOf(kind, config);
  const heads = config.num_heads;
  const first = KINDS.slice(0, KINDS.indexOf(kind)).reduce((sum, one) => sum + depthOf(one, config) * heads, 0);
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
    provenance=${trace.provenance} table=${table} says=${describe(Math.floor(top / heads), top % heads)}
    caption=${t("editing.matter_caption")}
  >
    <${Matrix}
      values=${values} shape=${[layers, heads]} rows=${rows}
      columns=${Array.from({length: heads}, (_, i) => String(i))} scale=${{kind: "diverging", most}} cell=${cell}
      name=${t("editing.matter", {kind: t(`kind.${kind}`), piece})}
      columnTitle=${t("pick.head")} describe=${describe} selected=${null}
      onSelect=${(layer, head) => !isFile && toggle(`${place(kind, layer)}.head.${head}`)}
    />
  <//>`;
}

/** One head's attention before the edits, after them, and the signed difference. */
function Difference({trace, state}) {
  const [kind, layer, head] = [state.kind, state.layer, state.heads[0] ?? 0];
  const name = `${place(kind, layer)}.weights`;
  const data = useData(`${trace.id} ${name} ${head} before`, async () => {
    const [before, after, effect] = await Promise.all([
      get(`api/traces/${trace.id}/before/sites/${name}`),
      site(trace, name),
      ofTrace(trace, "effect"),
    ]);
    return {before: before.part(head), after: after.part(head), tokens: effect.tokens};
  });
  return html`<${Waiting} data=${data}>
    ${(both) => html`<${Three} ...${{...both, trace, kind, layer, head}} />`}
  <//>`;
}

function Three({before, after, tokens, trace, kind, layer, head}) {
  const [frame, room] = useWidth(1100);
  const shape = [0, 1].map((axis) => Math.min(before.shape[axis], after.shape[axis]));
  // Only what both have can be subtracted: the first rows and columns.
  const difference = Float32Array.from({length: shape[0] * shape[1]}, (_, i) => {
    const [row, column] = [Math.floor(i / shape[1]), i % shape[1]];
    return after.at(row, column) - before.at(row, column);
  });
  const [old, fresh] = [labelsOf(kind, tokens), labelsOf(kind, trace.tokens)];
  const most = Math.max(largest(difference), 1e-6);
  const widest = Math.max(before.shape[1], after.shape[1]);
  const across = room > 900 ? 3 : 1;
  const cell = Math.max(Math.min(Math.floor((room / across - 140) / widest), 16), 5);
  const isShorter = before.shape.some((side, axis) => side !== after.shape[axis]);
  const i = difference.reduce((best, one, at) => (Math.abs(one) > Math.abs(difference[best]) ? at : best), 0);
  const cellText = (labels, row, column) => `${pieceLabel(labels.rows[row])} → ${pieceLabel(labels.columns[column])}`;
  const pictures = [
    ["before", before.data, before.shape, old, {kind: "sequential", most: 1}],
    ["after", after.data, after.shape, fresh, {kind: "sequential", most: 1}],
    ["difference", difference, shape, fresh, {kind: "diverging", most}],
  ];
  const table = () => ({
    columns: [t("heads.row"), t("heads.column"), t("editing.before"), t("editing.after"), t("editing.change")],
    rows: Array.from(difference, (change, at) => {
      const [row, column] = [Math.floor(at / shape[1]), at % shape[1]];
      return [
        `${row} ${fresh.rows[row]}`,
        `${column} ${fresh.columns[column]}`,
        before.at(row, column),
        after.at(row, column),
        change,
      ];
    }),
  });
  return html`<${Figure}
    frame=${frame} name="attention-difference" provenance=${trace.provenance} table=${table}
    title=${t("editing.three", {kind: t(`kind.${kind}`), layer, head})}
    says=${t("editing.three_says", {
      cell: cellText(fresh, Math.floor(i / shape[1]), i % shape[1]),
      change: short(difference[i]),
    })}
    caption=${isShorter ? t("editing.shorter", {rows: shape[0], columns: shape[1]}) : ""}
  >
    <div class="three-matrices">
      ${pictures.map(
        ([name, values, size, labels, scale]) =>
          html`<div key=${name}>
          <p class="caption">${t(`editing.${name}`)}</p>
          <${Matrix}
            values=${values} shape=${size} rows=${labels.rows.slice(0, size[0]).map(pieceLabel)}
            columns=${labels.columns.slice(0, size[1]).map(pieceLabel)} scale=${scale} cell=${cell} isQuiet
            name=${t(`editing.${name}`)} selected=${null}
            describe=${(row, column) => `${cellText(labels, row, column)}: ${short(values[row * size[1] + column])}`}
          />
        </div>`,
      )}
    </div>
  <//>`;
}
