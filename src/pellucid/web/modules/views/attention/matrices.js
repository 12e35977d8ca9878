// The same attention in matrix form: all positions at once. One choice, a row i, a column j and a dimension d,
// is highlighted in every matrix; row times column is the highlighted cell. Read heads.js next.
import {html, useMemo, useState} from "pellucid/ui";
import {site, useData, weights} from "pellucid/data";
import {Figure, Waiting} from "pellucid/pictures/figure";
import {Matrix} from "pellucid/pictures/matrix";
import {largest, ranking, short} from "pellucid/numbers";
import {inputsOf, parameters, place} from "pellucid/sites";
import {indexOf, setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {pieceLabel, pieceText} from "pellucid/tokens";
import {Formula, Pickers, headOf, placed, quoted, rowCells, rowKey} from "pellucid/views/attention/parts";
import {rowOf} from "pellucid/views/beginning";
import {context, projection, transpose, weight} from "pellucid/views/attention/sums";

const LETTERS = ["q", "k", "v"];
const NAMES = {q: "queries", k: "keys", v: "values"};

export function MatricesView({trace, model, state}) {
  const {kind, layer} = state;
  const head = headOf(state);
  const data = useData(`matrices ${rowKey(trace, kind, layer, head, "")}`, () =>
    loadAll({trace, model, kind, layer, head}),
  );
  const maps = useData(`${model.id} ${parameters(kind, layer)} ${head}`, () => loadMaps({model, kind, layer, head}));
  return html`<div>
    <${Pickers} state=${state} config=${model.config} />
    <p class="hint">${t("matrices.hint")}</p>
    <${Waiting} data=${data}>${(one) => html`<${All} ...${{one, maps, state, trace}} />`}<//>
  </div>`;
}

async function loadAll({trace, model, kind, layer, head}) {
  const at = place(kind, layer);
  const inputs = inputsOf(kind, layer, model.config);
  const names = ["queries", "keys", "values", "scaled", "may_attend", "weights", "context"];
  const [x, y, q, k, v, scaled, mayAttend, attention, z] = await Promise.all([
    site(trace, inputs.queries),
    site(trace, inputs.memory),
    ...names.map((name) => site(trace, `${at}.${name}`, {head})),
  ]);
  return {
    ...placed({trace, kind, layer}),
    head,
    x,
    y,
    q,
    k,
    v,
    scaled,
    mayAttend,
    // 1 where a cell is masked; null where none is
    hidden: mayAttend.data.includes(0) ? mayAttend.data.map((may) => 1 - may) : null,
    attention,
    z,
  };
}

/** The three maps of one head, {q: {weight, bias}, ...}, as torch stores them. */
async function loadMaps({model, kind, layer, head}) {
  const parts = await Promise.all(
    LETTERS.flatMap((letter) =>
      ["weight", "bias"].map((part) => weights(model, `${parameters(kind, layer)}.${NAMES[letter]}.${part}`, {head})),
    ),
  );
  return Object.fromEntries(LETTERS.map((letter, i) => [letter, {weight: parts[2 * i], bias: parts[2 * i + 1]}]));
}

/** The one choice: row i, column j, dimension d, all inside what there is. */
function choiceOf(one, state, trace) {
  const i = Math.min(rowOf({...state, kind: one.kind}, trace), one.x.shape[0] - 1);
  const looked = ranking(one.attention.part(i).data)[0];
  const j = state.key !== null && state.key < one.y.shape[0] ? state.key : looked;
  return {i, j, d: indexOf(state, "matrices.dimension", one.q.shape[1])};
}

const choose = ({i, j, d}) =>
  setState({
    ...(i === undefined ? {} : {query: i}),
    ...(j === undefined ? {} : {key: j}),
    ...(d === undefined ? {} : {"matrices.dimension": String(d)}),
  });

function All({one, maps, state, trace}) {
  const at = choiceOf(one, state, trace);
  const size = {
    time: (n) => Math.max(Math.min(260 / n, 15), 1.5),
    model: Math.max(Math.min(260 / one.x.shape[1], 8), 0.5),
    head: Math.max(Math.min(190 / one.q.shape[1], 15), 2),
  };
  const shared = {one, at, size, trace};
  return html`<div>
    <${Waiting} data=${maps}>
      ${(own) =>
        own.q.weight.shape[1] === one.x.shape[1] && html`<${Projections} ...${{...shared, maps: own, state}} />`}
    <//>
    <${Scores} ...${shared} /><${Contexts} ...${shared} />
  </div>`;
}

/** One matrix with its letter and shape; `says` hears what is under the pointer. */
function Block({letter, values, shape, cell, labels, predicts, scale, hidden, selected, onSelect, says}) {
  const describe = (row, column) => `${letter}[${row}, ${column}] = ${short(values[row * shape[1] + column])}`;
  return html`<div class="block">
    <p class="vector-name">
      <span class="symbol"><i><${Formula} text=${letter} /></i></span> <small>${shape[0]} × ${shape[1]}</small>
    </p>
    <${Matrix}
      values=${values} shape=${shape} rows=${labels ?? null} predicts=${predicts ?? null} columns=${null}
      scale=${scale ?? {kind: "diverging", most: Math.max(largest(values), 1e-12)}} hidden=${hidden} cell=${cell}
      name=${`${letter} ${shape[0]} × ${shape[1]}`} selected=${selected} describe=${describe} onSelect=${onSelect}
      onHover=${(row, column) => says(row === null ? null : describe(row, column))}
    />
  </div>`;
}

const Operator = ({children}) => html`<span class="operator">${children}</span>`;

/** One line under a row of matrices: what is under the pointer, else what is chosen. */
const Says = ({text, chosen}) => html`<p class="block-says"><output><${Formula} text=${text ?? chosen} /></output></p>`;

/** Queries, keys and values: X W + b, three times. */
function Projections({one, maps, at, size, state, trace}) {
  const letter = LETTERS.includes(state["matrices.of"]) ? state["matrices.of"] : "q";
  const [texts, say] = useState({});
  const isCross = one.kind === "cross";
  const turned = useMemo(
    () => Object.fromEntries(LETTERS.map((own) => [own, transpose(maps[own].weight.data, maps[own].weight.shape)])),
    [maps],
  );
  const rowAt = (own) => (own === "q" ? at.i : at.j);
  const line = (own) => {
    const input = own === "q" ? one.x : one.y;
    const name = own === "q" || !isCross ? "X" : "Y";
    const big = own.toUpperCase();
    const [length, width] = input.shape;
    const row = rowAt(own);
    const says = (text) => say((old) => ({...old, [own]: text}));
    const pick = (patch) => {
      setState({"matrices.of": own === "q" ? "" : own});
      choose(patch);
    };
    const rowPart = (index) => (own === "q" ? {i: index} : {j: index});
    const labels = (own === "q" ? one.labels.rows : one.labels.columns).map(pieceLabel);
    return html`<div class="product-row" key=${own}>
      <${Block}
        letter=${name} values=${input.data} shape=${input.shape} cell=${[size.model, size.time(length)]}
        labels=${labels} selected=${[row, null]} onSelect=${(i) => pick(rowPart(i))} says=${says}
      />
      <${Operator}>×<//>
      <${Block}
        letter=${`W_${own}`} values=${turned[own]} shape=${[width, one.q.shape[1]]} cell=${[size.head, size.model]}
        selected=${[null, at.d]} onSelect=${(_, d) => pick({d})} says=${says}
      />
      <${Operator}>+ <i><${Formula} text=${`b_${own}`} /></i> =<//>
      <${Block}
        letter=${big} values=${one[own].data} shape=${one[own].shape} cell=${[size.head, size.time(length)]}
        selected=${[row, at.d]} onSelect=${(i, d) => pick({...rowPart(i), d})} says=${says}
      />
      <${Says}
        text=${texts[own]}
        chosen=${t("matrices.projection", {
          big,
          row,
          d: at.d,
          input: name,
          letter: own,
          value: short(one[own].at(row, at.d)),
        })}
      />
    </div>`;
  };
  const row = rowAt(letter);
  const input = letter === "q" ? one.x : one.y;
  const table = () => ({
    columns: [
      t("matrices.matrix"),
      t("heads.row"),
      t("word.piece"),
      ...Array.from({length: one.q.shape[1]}, (_, d) => `[${d}]`),
    ],
    rows: LETTERS.flatMap((own) =>
      Array.from({length: one[own].shape[0]}, (_, i) => [
        own.toUpperCase(),
        i,
        (own === "q" ? one.labels.rows : one.labels.columns)[i],
        ...one[own].part(i).data,
      ]),
    ),
  });
  return html`
    <${Figure}
      name="matrices-projections" title=${t("matrices.projections")} provenance=${trace.provenance} table=${table}
      subject=${`${one.at} ${one.head} ${letter} ${row} ${at.d}`}
      says=${t("matrices.projections_says", {
        n: one.x.shape[0],
        width: one.x.shape[1],
        d: one.q.shape[1],
        head: one.head,
      })}
      caption=${`${t("matrices.projections_caption", {letter: letter.toUpperCase(), row, d: at.d})} ${
        isCross ? t("matrices.cross_caption") : ""
      }`}
      recompute=${() =>
        projection(
          input.part(row).data,
          maps[letter].weight.data,
          maps[letter].bias.data,
          at.d,
          {input: letter === "q" || !isCross ? "X" : "Y", weight: `W_${letter}`, bias: `b_${letter}`},
          one[letter].at(row, at.d),
        )}
    >
      ${LETTERS.map(line)}
    <//>
  `;
}

/** Q K^T / sqrt(d_k), what is masked, and the softmax of each row. */
function Scores({one, at, size, trace}) {
  const [text, says] = useState(null);
  const {labels} = one;
  const [rows, columns] = one.scaled.shape;
  const d = one.q.shape[1];
  const keys = useMemo(() => transpose(one.k.data, one.k.shape), [one]);
  const {hidden} = one;
  const square = [size.time(columns), size.time(rows)];
  const rowLabels = labels.rows.map(pieceLabel);
  const predicts = labels.predicts?.map(pieceLabel);
  const names = {row: quoted(labels.rows[at.i]), column: quoted(labels.columns[at.j])};
  const cells = {
    shape: [rows, columns],
    cell: square,
    selected: [at.i, at.j],
    onSelect: (i, j) => choose({i, j}),
    says,
  };
  const table = () => ({
    columns: [
      t("heads.row"),
      t("heads.row_piece"),
      ...(labels.predicts ? [t("matrices.predicts")] : []),
      t("heads.column"),
      t("heads.column_piece"),
      `Q Kᵀ ÷ √${d}`,
      t("attention.may_column"),
      t("attention.weight"),
    ],
    rows: Array.from(one.scaled.data, (value, cell) => {
      const [i, j] = [Math.floor(cell / columns), cell % columns];
      return [
        ...rowCells(labels, i),
        j,
        labels.columns[j],
        value,
        t(one.mayAttend.data[cell] ? "attention.yes" : "attention.no"),
        one.attention.data[cell],
      ];
    }),
  });
  return html`
    <${Figure}
      name="matrices-scores" title=${t("matrices.scores")} provenance=${trace.provenance} table=${table}
      subject=${`${one.at} ${one.head} ${at.i} ${at.j}`}
      says=${t("matrices.scores_says", {
        ...names,
        value: short(one.scaled.at(at.i, at.j)),
        weight: short(one.attention.at(at.i, at.j)),
      })}
      caption=${`${t("matrices.scores_caption")} ${t(hidden ? "matrices.masked" : "matrices.unmasked")}`}
      recompute=${() =>
        weight(
          one.q.part(at.i).data,
          one.k,
          Array.from(one.mayAttend.part(at.i).data),
          at.j,
          one.attention.at(at.i, at.j),
        )}
    >
      <div class="product-row">
        <${Block}
          letter="Q" values=${one.q.data} shape=${one.q.shape} cell=${[size.head, square[1]]} labels=${rowLabels}
          selected=${[at.i, null]} onSelect=${(i, own) => choose({i, d: own})} says=${says}
        />
        <${Operator}>×<//>
        <${Block}
          letter="Kᵀ" values=${keys} shape=${[d, columns]} cell=${[square[0], size.head]} selected=${[null, at.j]}
          onSelect=${(own, j) => choose({j, d: own})} says=${says}
        />
        <${Operator}>÷ √${d} =<//>
        <${Block} letter=${`Q Kᵀ ÷ √${d}`} values=${one.scaled.data} ...${cells} />
      </div>
      <div class="product-row">
        ${
          hidden &&
          html`
            <${Operator}>${t("matrices.mask")}<//>
            <${Block}
              letter=${t("matrices.mask_name")} values=${one.mayAttend.data} scale=${{kind: "sequential", most: 2}}
              hidden=${hidden} labels=${rowLabels} predicts=${predicts} ...${cells}
            />
          `
        }
        <${Operator}>softmax →<//>
        <${Block}
          letter="A" values=${one.attention.data} scale=${{kind: "sequential", most: 1}}
          hidden=${hidden} labels=${rowLabels} predicts=${hidden ? null : predicts} ...${cells}
        />
      </div>
      <${Says}
        text=${text}
        chosen=${t("matrices.score", {
          i: at.i,
          j: at.j,
          d,
          value: short(one.scaled.at(at.i, at.j)),
          weight: short(one.attention.at(at.i, at.j)),
        })}
      />
    <//>
  `;
}

/** Z = A V. */
function Contexts({one, at, size, trace}) {
  const [text, says] = useState(null);
  const {labels, attention, hidden, v, z} = one;
  const [rows, columns] = attention.shape;
  const value = short(z.at(at.i, at.d));
  const table = () => ({
    columns: [t("heads.row"), t("word.piece"), ...Array.from({length: z.shape[1]}, (_, d) => `Z[${d}]`)],
    rows: labels.rows.map((piece, i) => [i, piece, ...z.part(i).data]),
  });
  return html`
    <${Figure}
      name="matrices-context" title=${t("matrices.context")} provenance=${trace.provenance} table=${table}
      subject=${`${one.at} ${one.head} ${at.i} ${at.d} z`}
      says=${t("matrices.context_says", {n: rows, d: z.shape[1], row: quoted(labels.rows[at.i])})}
      caption=${t("matrices.context_caption")}
      recompute=${() =>
        context(
          attention.part(at.i).data,
          v,
          at.d,
          (j) => `A[${at.i}, ${j}] × V[${j}, ${at.d}] ${pieceText(labels.columns[j])}`,
          z.at(at.i, at.d),
        )}
    >
      <div class="product-row">
        <${Block}
          letter="A" values=${attention.data} shape=${attention.shape} scale=${{kind: "sequential", most: 1}}
          hidden=${hidden} cell=${[size.time(columns), size.time(rows)]} labels=${labels.rows.map(pieceLabel)}
          selected=${[at.i, null]} onSelect=${(i, j) => choose({i, j})} says=${says}
        />
        <${Operator}>×<//>
        <${Block}
          letter="V" values=${v.data} shape=${v.shape} cell=${[size.head, size.time(columns)]}
          labels=${labels.columns.map(pieceLabel)} selected=${[null, at.d]} onSelect=${(j, d) => choose({j, d})}
          says=${says}
        />
        <${Operator}>=<//>
        <${Block}
          letter="Z" values=${z.data} shape=${z.shape} cell=${[size.head, size.time(rows)]} selected=${[at.i, at.d]}
          onSelect=${(i, d) => choose({i, d})} says=${says}
        />
      </div>
      <${Says} text=${text} chosen=${t("matrices.z", {i: at.i, d: at.d, value})} />
    <//>
  `;
}
