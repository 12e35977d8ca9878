// Two matrices and their signed difference side by side, or one below the other where there is little room.
import {html} from "pellucid/ui";
import {largest, short} from "pellucid/numbers";
import {Matrix} from "pellucid/pictures/matrix";
import {useWidth} from "pellucid/pictures/width";

const MOST_LABELLED = 60; // columns

/**
 * pictures: [first, second, difference], each {name, values, shape, labels: {rows, columns, predicts} as drawn}
 * scale: of the first two
 */
export function Three({pictures, scale = {kind: "sequential", most: 1}}) {
  const [frame, room] = useWidth(1100);
  const widest = Math.max(...pictures.map(({shape}) => shape[1]), 1);
  const isTwice = Boolean(pictures[0].labels.predicts); // two labels a row
  const [sides, across] = isTwice ? [210, room > 760 ? 2 : 1] : [110, room > 900 ? 3 : 1];
  const least = widest > MOST_LABELLED ? 5 : 11; // from 11 pixels on, a cell has its label; the picture may be scrolled
  const cell = Math.max(Math.min(Math.floor((room / across - sides) / widest), 16), least);
  const most = Math.max(largest(pictures[2].values), 1e-6);
  return html`<div class="three-matrices" ref=${frame}>
    ${pictures.map(
      ({name, values, shape, labels}, i) =>
        shape[0] * shape[1] > 0 &&
        html`<div key=${i}>
          <p class="caption">${name}</p>
          <${Matrix}
            values=${values} shape=${shape} rows=${labels.rows} predicts=${labels.predicts}
            columns=${labels.columns} cell=${cell} isQuiet
            scale=${i === 2 ? {kind: "diverging", most} : scale} name=${name} selected=${null}
            describe=${(row, column) =>
              `${rowName(labels, row)}; ${labels.columns[column]}: ${short(values[row * shape[1] + column])}`}
          />
        </div>`,
    )}
  </div>`;
}

/** The row of an attention in words; in a decoder, with the piece that it writes. */
export const rowName = ({rows, predicts}, row) => (predicts ? `${rows[row]} → ${predicts[row]}` : rows[row]);
