// Position encodings: the table that tells the model where a piece stands, in every layout that is in use.
import {html, useMemo} from "pellucid/ui";
import {LineChart} from "pellucid/pictures/chart";
import {isFile, ofModel, useData} from "pellucid/data";
import {addEdit, dropEdit, editAt, editsIn, inWords} from "pellucid/editing/list";
import {Figure, Waiting} from "pellucid/pictures/figure";
import {Matrix} from "pellucid/pictures/matrix";
import {dot, largest, short} from "pellucid/numbers";
import {headColour} from "pellucid/pictures/palette";
import {Setting, settingOf} from "pellucid/pickers";
import {indexOf, setState} from "pellucid/state";
import {about} from "pellucid/sentence";
import {t} from "pellucid/texts";

const LAYOUTS = ["interleaved", "half_split_paper_frequency", "half_split_t2t"];
const LENGTH = 64;
const ORDERED = "The dog saw the cat."; // its words in another order mean something else

/** The number of a sinusoid table by its formula, and that formula in words and numbers. */
export function sinusoid(layout, position, dimension, width) {
  const half = width / 2;
  const isInterleaved = layout === "interleaved";
  const pair = isInterleaved ? Math.floor(dimension / 2) : dimension % half;
  const isSine = isInterleaved ? dimension % 2 === 0 : dimension < half;
  const exponent = layout === "half_split_t2t" ? pair / (half - 1) : (2 * pair) / width;
  const angle = position / 10000 ** exponent;
  return {value: isSine ? Math.sin(angle) : Math.cos(angle), angle, exponent, pair, name: isSine ? "sin" : "cos"};
}

/** The edit of positions, if there is one. */
const editOf = (trace, state) => editAt(isFile ? trace.provenance.edits : editsIn(state.edits ?? ""), "positions");

export function PositionsView({trace, model, state}) {
  const own = model.config.position_layout;
  const layouts = own === "learned" ? [...LAYOUTS, "learned"] : LAYOUTS;
  const layout = settingOf(state, "positions.layout", layouts, own);
  const length = Math.min(LENGTH, model.config.max_positions);
  const data = useData(`${model.id} ${layout} ${length}`, () => ofModel(model, "positions", {layout, length}));
  return html`
    <div class="controls">
      <${Setting}
        state=${state} name="positions.layout" label=${t("positions.layout")} usual=${own}
        options=${layouts.map((name) => [name, t(`positions.${name}`) + (name === own ? " ★" : "")])}
      />
      <span class="hint">★ ${t("positions.own")}</span>
    </div>
    <${TryIt} ...${{trace, model, state, layout, own}} />
    <${Waiting} data=${data}>${(table) => html`<${Table} ...${{trace, model, state, layout, own, table}} />`}<//>
  `;
}

/** Translates with the table that is shown, or with none: an edit like any other. */
function TryIt({trace, model, state, layout, own}) {
  const edit = editOf(trace, state);
  // The sentence is tried with the positions that are chosen, or without any, as its question says.
  const tryOrder = () => setState({...about(ORDERED), edits: edit ?? "positions=zero"});
  const choices = [
    ["positions=zero", t("positions.try_none")],
    ...(layout === own ? [] : [[`positions=${layout}`, t("positions.try_this")]]),
  ];
  return html`<div class="edit-choices" role="group" aria-label=${t("positions.try")}>
    <span class="choice-label">${t("positions.try")}</span>
    ${choices.map(
      ([one, label]) =>
        html`<button
        key=${one} type="button" disabled=${isFile} aria-pressed=${edit === one}
        onClick=${() => (edit === one ? dropEdit(one) : addEdit(one))}
      >
        ${label}
      </button>`,
    )}
    ${
      model.is_walkthrough &&
      !isFile &&
      trace.source !== ORDERED &&
      html`<span class="hint">${t("positions.try_hint")}</span>
        <button type="button" lang="en" onClick=${tryOrder}>${ORDERED}</button>`
    }
  </div>`;
}

function Table({trace, model, state, layout, own, table}) {
  const [length, width] = table.shape;
  const {position_offset: offset} = model.config;
  const row = indexOf(state, "positions.row", length, 3);
  const column = indexOf(state, "positions.column", width);
  const isFormula = layout !== "learned";
  const made = isFormula ? sinusoid(layout, row + offset, column, width) : null;
  const similar = useMemo(
    () => Array.from({length}, (_, i) => [i - row, dot(table.part(row).data, table.part(i).data)]),
    [table, row],
  );
  const labels = Array.from({length}, (_, i) => String(i));
  const {length: pieces} = trace.tokens.source_pieces;
  const edit = editOf(trace, state);
  return html`
    <${Figure}
      name="positions" title=${t(`positions.${layout}`)} provenance=${trace.provenance}
      says=${
        layout === own
          ? [t("positions.says_own"), edit && t("positions.edited", {edit: inWords(edit)})].filter(Boolean).join(" ")
          : t("positions.says_other")
      }
      caption=${t("positions.caption") + (length > pieces ? ` ${t("positions.beyond", {n: pieces})}` : "")}
      table=${() => ({
        columns: [t("word.position"), ...Array.from({length: width}, (_, i) => String(i))],
        rows: labels.map((label, i) => [Number(label), ...table.part(i).data]),
      })}
      recompute=${
        isFormula
          ? () => ({
              lines: [
                {text: t("positions.exponent", {pair: made.pair, dimension: column}), value: made.exponent},
                {
                  text: t("positions.angle", {position: row + offset, exponent: short(made.exponent)}),
                  value: made.angle,
                },
                {text: `${made.name}(${short(made.angle, 6)})`, value: made.value},
              ],
              computed: made.value,
              shown: table.at(row, column),
            })
          : null
      }
    >
      <${Matrix}
        values=${table.data} shape=${[length, width]} rows=${labels.map((label, i) => (i % 4 ? "" : label))}
        columns=${null} scale=${{kind: "diverging", most: layout === "learned" ? largest(table.data) : 1}}
        cell=${[Math.max(Math.floor(768 / width), 2), 11]} name=${t(`positions.${layout}`)} selected=${[row, column]}
        onSelect=${(r, c) => setState({"positions.row": String(r), "positions.column": String(c)})}
        describe=${(r, c) =>
          t("positions.cell", {
            position: r,
            dimension: c,
            formula: isFormula ? `${formulaText(layout, r + offset, c, width)} = ` : "",
            value: short(table.at(r, c)),
          })}
      />
    <//>
    <${Figure}
      name="position-similarity" title=${t("positions.near")} provenance=${trace.provenance}
      says=${t("positions.near_says", {row})}
      table=${() => ({columns: [t("positions.distance"), t("positions.product")], rows: similar})}
    >
      <${LineChart}
        series=${[{name: t("positions.product"), colour: headColour(0), points: similar}]}
        xTitle=${t("positions.distance")} name=${t("positions.near")} height=${220}
      />
    <//>
  `;
}

function formulaText(layout, position, dimension, width) {
  const {name, pair} = sinusoid(layout, position, dimension, width);
  const exponent = layout === "half_split_t2t" ? `${pair} / ${width / 2 - 1}` : `${2 * pair} / ${width}`;
  return `${name}(${position} / 10000^(${exponent}))`;
}
