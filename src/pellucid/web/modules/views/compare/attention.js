// One head, or the mean of all: its attention in both traces, and the signed difference where the pieces are matched.
import {html} from "pellucid/ui";
import {get, site, useData} from "pellucid/data";
import {Figure, Waiting} from "pellucid/pictures/figure";
import {Three, rowName} from "pellucid/pictures/three";
import {short} from "pellucid/numbers";
import {HeadPicker, KindPicker, LayerPicker} from "pellucid/pickers";
import {labelsOf, place, sidesOf, stackOf} from "pellucid/sites";
import {t} from "pellucid/texts";
import {pieceLabel} from "pellucid/tokens";
import {sideName, tell} from "pellucid/views/compare/texts";

/** The mean [rows, columns] of some heads of weights [heads, rows, columns]. */
function meanOf(weights, heads) {
  const [, rows, columns] = weights.shape;
  const mean = new Float32Array(rows * columns);
  for (const head of heads) weights.part(head).data.forEach((value, i) => (mean[i] += value / heads.length));
  return {values: mean, shape: [rows, columns]};
}

/** The weights of an attention on a side; of two translations before and after edits, the trace is the second. */
function weightsOf(trace, {other}, side, name) {
  if ((other === "before") === (side === "second")) return site(trace, name);
  return get(`api/traces/${trace.id}/${other === "before" ? other : `beside/${other}`}/sites/${name}`);
}

async function loaded(trace, found, {kind, layer, heads}) {
  const matched = found.heads.filter(
    (one) => one.kind === kind && one.layer === layer && (!heads.length || heads.includes(one.head)),
  );
  if (!matched.length) return {matched};
  const [one, two] = await Promise.all([
    weightsOf(trace, found, "first", `${place(kind, layer)}.weights`),
    weightsOf(trace, found, "second", `${place(kind, matched[0].other_layer)}.weights`),
  ]);
  const first = meanOf(
    one,
    matched.map(({head}) => head),
  );
  const second = meanOf(
    two,
    matched.map(({other_head: head}) => head),
  );
  return {matched, kind, layer, heads, found, first, second};
}

export function AttentionPair({trace, model, state, found, provenance}) {
  const {kind, layer, heads} = state;
  const data = useData(`${trace.id}-${found.other} ${kind} ${layer} ${heads}`, () =>
    loaded(trace, found, {kind, layer, heads}),
  );
  return html`
    <div class="controls">
      <${KindPicker} state=${state} /> <${LayerPicker} state=${state} config=${model.config} />
      <${HeadPicker} state=${state} config=${model.config} />
    </div>
    <${Waiting} data=${data}>
      ${(both) =>
        both.matched.length
          ? html`<${Both} ...${{...both, provenance}} />`
          : html`<p class="hint">${t("compare.no_layer", {stack: t(`stack.${stackOf(kind)}s`), layer})}</p>`}
    <//>
  `;
}

const both = (one, other) => (one === other ? pieceLabel(one) : `${pieceLabel(one)} | ${pieceLabel(other)}`);

function Both({matched, kind, layer, heads, found, first, second, provenance}) {
  const sides = sidesOf(kind);
  const [rows, columns] = [found[sides.rows].pairs, found[sides.columns].pairs];
  const labels = {first: labelsOf(kind, found.first.tokens), second: labelsOf(kind, found.second.tokens)};
  const at = ({values, shape}, row, column) => values[row * shape[1] + column];
  const difference = new Float32Array(rows.length * columns.length);
  rows.forEach(([row, otherRow], i) =>
    columns.forEach(([column, otherColumn], j) => {
      difference[i * columns.length + j] = at(second, otherRow, otherColumn) - at(first, row, column);
    }),
  );
  const own = {
    rows: rows.map(([a, b]) => both(labels.first.rows[a], labels.second.rows[b])),
    predicts: labels.first.predicts && rows.map(([a, b]) => both(labels.first.predicts[a], labels.second.predicts[b])),
    columns: columns.map(([a, b]) => both(labels.first.columns[a], labels.second.columns[b])),
  };
  const most = difference.reduce((best, one, i) => (Math.abs(one) > Math.abs(difference[best]) ? i : best), 0);
  const table = () => ({
    columns: [t("heads.row"), t("heads.column"), ...["first", "second", "difference"].map((one) => tell(found, one))],
    rows: rows.flatMap(([row, otherRow], i) =>
      columns.map(([column, otherColumn], j) => [
        `${row} ${rowName(own, i)}`,
        `${column} ${own.columns[j]}`,
        at(first, row, column),
        at(second, otherRow, otherColumn),
        difference[i * columns.length + j],
      ]),
    ),
  });
  const drawn = (names) => ({
    rows: names.rows.map(pieceLabel),
    predicts: names.predicts?.map(pieceLabel),
    columns: names.columns.map(pieceLabel),
  });
  const who =
    matched.length === 1
      ? t("compare.head", {kind: t(`kind.${kind}`), layer, head: matched[0].head})
      : t("compare.mean", {kind: t(`kind.${kind}`), layer, n: matched.length});
  const isWhole = [first, second].every(({shape}) => shape[0] === rows.length && shape[1] === columns.length);
  return html`<${Figure}
    name="compare-attention" title=${t("compare.attention", {who})} provenance=${provenance} table=${table}
    subject=${`${found.other} ${kind} ${layer} ${heads}`}
    says=${
      difference.length
        ? t("compare.attention_says", {
            row: rowName(own, Math.floor(most / columns.length)),
            column: own.columns[most % columns.length],
            change: short(difference[most]),
          })
        : t("compare.no_pairs")
    }
    caption=${[
      tell(found, "attention_caption"),
      matched.length === 1 &&
        (matched[0].head !== matched[0].other_head || layer !== matched[0].other_layer) &&
        t("compare.matched", {
          layer: matched[0].other_layer,
          head: matched[0].other_head,
          similarity: short(matched[0].similarity, 3),
        }),
      !isWhole && t("compare.part", {rows: rows.length, columns: columns.length}),
    ]
      .filter(Boolean)
      .join(" ")}
  >
    <${Three}
      pictures=${[
        {name: sideName(found, "first"), ...first, labels: drawn(labels.first)},
        {name: sideName(found, "second"), ...second, labels: drawn(labels.second)},
        {name: tell(found, "difference"), values: difference, shape: [rows.length, columns.length], labels: own},
      ]}
    />
  <//>`;
}
