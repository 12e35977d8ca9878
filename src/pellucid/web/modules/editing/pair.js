// Before, after and the signed difference: of two matrices as three pictures, of two columns of numbers as a table.
import {html} from "pellucid/ui";
import {Figure} from "pellucid/pictures/figure";
import {Three} from "pellucid/pictures/three";
import {short} from "pellucid/numbers";
import {t} from "pellucid/texts";
import {pieceLabel} from "pellucid/tokens";

/**
 * before, after: matrices {data, shape, at(row, column)}; labels: of both, each {rows, columns, predicts}
 * scale: of both; note: what else the caption says
 */
export function Pair({before, after, labels: [old, fresh], trace, name, title, scale, note = ""}) {
  const shape = [0, 1].map((axis) => Math.min(before.shape[axis], after.shape[axis]));
  // Only what both have can be subtracted: the first rows and columns.
  const difference = Float32Array.from({length: shape[0] * shape[1]}, (_, i) => {
    const [row, column] = [Math.floor(i / shape[1]), i % shape[1]];
    return after.at(row, column) - before.at(row, column);
  });
  const isShorter = before.shape.some((side, axis) => side !== after.shape[axis]);
  const most = difference.reduce((best, one, at) => (Math.abs(one) > Math.abs(difference[best]) ? at : best), 0);
  const cellText = (row, column) => `${pieceLabel(fresh.rows[row])} → ${pieceLabel(fresh.columns[column])}`;
  const drawn = (labels, [rows, columns]) => ({
    rows: labels.rows.slice(0, rows).map(pieceLabel),
    predicts: labels.predicts?.slice(0, rows).map(pieceLabel),
    columns: labels.columns.slice(0, columns).map(pieceLabel),
  });
  const pictures = [
    {name: t("editing.before"), values: before.data, shape: before.shape, labels: drawn(old, before.shape)},
    {name: t("editing.after"), values: after.data, shape: after.shape, labels: drawn(fresh, after.shape)},
    {name: t("editing.difference"), values: difference, shape, labels: drawn(fresh, shape)},
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
  const says = difference[most]
    ? t("editing.three_says", {
        cell: cellText(Math.floor(most / shape[1]), most % shape[1]),
        change: short(difference[most]),
      })
    : t("editing.three_same");
  return html`<${Figure}
    provenance=${trace.provenance} subject=${`${trace.id} ${title}`} ...${{name, title, table, says}}
    caption=${[note, isShorter && t("editing.shorter", {rows: shape[0], columns: shape[1]})].filter(Boolean).join(" ")}
  >
    <${Three} pictures=${pictures} scale=${scale} />
  <//>`;
}

/** rows: [label, before, after], null where a side has no number; text: of a number; by: of a change, with its sign */
export function Sheet({rows, text, by = (value) => `${value > 0 ? "+" : ""}${text(value)}`, trace, name, title, note}) {
  const isChanged = ([, before, after]) => before !== after;
  const change = ([, before, after]) => (before === null || after === null ? null : after - before);
  const cell = (value, say = text) => (value === null ? "–" : say(value));
  const columns = [t("editing.what"), t("editing.before"), t("editing.after"), t("editing.difference")];
  const table = () => ({columns, rows: rows.map((row) => [...row, change(row)].map((value) => value ?? ""))});
  const num = rows.filter(isChanged).length;
  return html`<${Figure}
    provenance=${trace.provenance} subject=${`${trace.id} ${title}`} ...${{name, title, table}} caption=${note}
    says=${num ? t("editing.rows_change", {n: num, all: rows.length}) : t("editing.three_same")}
  >
    <div class="table-window" tabindex="0" role="region" aria-label=${title}>
      <table class="edit-sheet">
        <thead><tr>${columns.map((column) => html`<th key=${column} scope="col">${column}</th>`)}</tr></thead>
        <tbody>
          ${rows.map(
            (row, i) =>
              html`<tr key=${i}>
                <th scope="row"><bdi dir="auto">${row[0]}</bdi></th>
                <td class="number">${cell(row[1])}</td>
                <td class="number">${cell(row[2])}</td>
                <td class=${`number ${change(row) < 0 ? "less" : change(row) > 0 ? "more" : ""}`}>
                  ${cell(change(row), by)}
                </td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  <//>`;
}
