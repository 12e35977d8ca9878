// A matrix as a picture: one canvas for its cells, SVG for its labels, a grid for keyboards and screen readers.
// Row looks at column. Hover previews, click or Enter pins, arrows move. Read figure.js next.
import {html, useEffect, useLayoutEffect, useMemo, useRef, useState} from "pellucid/ui";
import {colourOf, isDark} from "pellucid/pictures/palette";
import {exact, short} from "pellucid/numbers";
import {Spoken} from "pellucid/pictures/spoken";
import {useTheme} from "pellucid/theme";
import {t} from "pellucid/texts";
import {cut} from "pellucid/tokens";

const LABEL_FROM = 11; // pixels a cell must have for every label to be written
const LONGEST_LABEL = 20; // characters: two pieces with an arrow and a bar
const WIDEST_LABEL = 140;

const MARK = /^(→ )?[^\p{L}\p{N}]$/u; // nothing but a dot or an apostrophe, which is easily overlooked

/**
 * Draw values [rows, columns].
 *
 * rows, columns: labels, or null for axes without (dimensions); predicts: second labels of the rows, or null
 * scale: {kind: "sequential" | "diverging", most}; hidden: 1 where a cell does not exist (masked), or null
 * cell: pixels a cell, or [width, height]; selected: [row, column] or null; a null part selects the whole line
 * isQuiet: without the hint under it, where many stand together
 * onSelect(row, column), onHover(row, column) or onHover(null); describe(row, column): what is said of a cell
 */
export function Matrix({
  values,
  shape,
  rows,
  columns,
  predicts,
  scale,
  hidden,
  cell,
  selected,
  onSelect,
  onHover,
  describe,
  name,
  rowTitle,
  columnTitle,
  isQuiet = false,
}) {
  const [height, width] = shape;
  const [cellWidth, cellHeight] = Array.isArray(cell) ? cell : [cell ?? 20, cell ?? 20];
  const [active, setActive] = useState(null);
  const own = useMemo(() => margins(rows, predicts, columns, cellWidth), [rows, predicts, columns, cellWidth]);
  const say =
    describe ??
    ((row, column) => {
      const value = short(values[row * width + column]);
      return `${rows?.[row] ?? row} → ${columns?.[column] ?? column}: ${value}`;
    });
  const place = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * width);
    const row = Math.floor(((event.clientY - box.top) / box.height) * height);
    return [Math.min(Math.max(row, 0), height - 1), Math.min(Math.max(column, 0), width - 1)];
  };
  const show = (position) => {
    setActive(position);
    onHover?.(...(position ?? [null]));
  };
  const move = (event) => {
    const next = stepOf(event, active ?? firstActive(selected), shape);
    if (event.key === "Enter" || event.key === " ") {
      const at = active ?? firstActive(selected);
      onSelect?.(...at);
    } else if (event.key === "Escape") {
      show(null);
    } else if (next) {
      show(next);
    } else {
      return;
    }
    event.preventDefault();
  };
  const shown = active ?? (selected && selected[0] !== null && selected[1] !== null ? selected : null);
  return html`
    <div class="matrix" style=${{width: `${own.left + width * cellWidth + own.right + 2}px`}}>
      <div
        class="matrix-picture" role="grid" tabindex="0" aria-label=${name} aria-rowcount=${height}
        aria-colcount=${width} onKeyDown=${move} onBlur=${() => show(null)}
        style=${{paddingLeft: `${own.left}px`, paddingTop: `${own.top}px`}}
      >
        <${Cells}
          ...${{values, shape, scale, hidden, cellWidth, cellHeight}} onPointerMove=${(event) => show(place(event))}
          onPointerLeave=${() => show(null)} onClick=${(event) => onSelect?.(...place(event))}
        />
        <${Axes} ...${{
          shape,
          rows,
          columns,
          predicts,
          cellWidth,
          cellHeight,
          own,
          active,
          selected,
          rowTitle,
          columnTitle,
        }} />
        <div role="row" aria-rowindex=${(shown?.[0] ?? 0) + 1} class="unseen">
          <span role="gridcell" aria-colindex=${(shown?.[1] ?? 0) + 1}>
            ${shown ? say(...shown) : t("matrix.keys")}
          </span>
        </div>
      </div>
      <${Spoken} isSaid=${active}>
        ${
          shown
            ? html`
              ${say(...shown)} <span class="exact">${exact(values[shown[0] * width + shown[1]])}</span>
            `
            : !isQuiet && html`<span class="hint">${t("matrix.hint")}</span>`
        }
      <//>
    </div>
  `;
}

const firstActive = (selected) => [selected?.[0] ?? 0, selected?.[1] ?? 0];

function stepOf(event, [row, column], [height, width]) {
  const moves = {
    ArrowUp: [row - 1, column],
    ArrowDown: [row + 1, column],
    ArrowLeft: [row, column - 1],
    ArrowRight: [row, column + 1],
    Home: [event.ctrlKey ? 0 : row, 0],
    End: [event.ctrlKey ? height - 1 : row, width - 1],
    PageUp: [row - 10, column],
    PageDown: [row + 10, column],
  };
  const next = moves[event.key];
  return next && [Math.min(Math.max(next[0], 0), height - 1), Math.min(Math.max(next[1], 0), width - 1)];
}

function Cells({values, shape, scale, hidden, cellWidth, cellHeight, ...handlers}) {
  const canvas = useRef(null);
  const theme = useTheme();
  useLayoutEffect(
    () => paint(canvas.current, {values, shape, scale, hidden}),
    [values, shape[0], shape[1], scale.kind, scale.most, hidden, theme],
  );
  return html`<canvas
    ref=${canvas} width=${shape[1]} height=${shape[0]} aria-hidden="true" ...${handlers}
    style=${{width: `${shape[1] * cellWidth}px`, height: `${shape[0] * cellHeight}px`}}
  ></canvas>`;
}

/** Paint one pixel a cell; the browser enlarges it without smoothing. */
export function paint(canvas, {values, shape, scale, hidden = null}) {
  const [height, width] = shape;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const dark = isDark();
  for (let i = 0; i < width * height; i += 1) {
    const [red, green, blue] = hidden?.[i] ? hatch(dark) : colourOf(values[i], scale, dark);
    image.data.set([red, green, blue, 255], i * 4);
  }
  context.putImageData(image, 0, 0);
}

const hatch = (dark) => (dark ? [38, 41, 47] : [232, 230, 225]);

function Axes({shape, rows, columns, predicts, cellWidth, cellHeight, own, active, selected, rowTitle, columnTitle}) {
  const [height, width] = shape;
  const [totalWidth, totalHeight] = [own.left + width * cellWidth + 2, own.top + height * cellHeight + 2];
  const isMarked = (axis, index) => active?.[axis] === index || selected?.[axis] === index;
  const rowLabel = (label, row, x, kind) =>
    (cellHeight >= LABEL_FROM || isMarked(0, row)) &&
    html`
      <text
        key=${`${kind}${row}`} x=${x} y=${own.top + (row + 0.5) * cellHeight} dy="0.35em" text-anchor="end"
        class=${`label ${kind} ${isMarked(0, row) ? "marked" : ""} ${MARK.test(label) ? "lone" : ""}`}
      >
        ${cut(label, LONGEST_LABEL)}
      </text>
    `;
  return html`
    <svg class="matrix-axes" width=${totalWidth} height=${totalHeight} aria-hidden="true">
      ${
        rowTitle &&
        html`<text class="axis-title" x=${own.left - 6} y=${own.top - 8} text-anchor="end">${rowTitle}</text>`
      }
      ${columnTitle && html`<text class="axis-title" x=${own.left} y="11">${columnTitle}</text>`}
      ${rows?.map((label, row) => rowLabel(label, row, predicts ? own.left - own.second - 10 : own.left - 6, "fed"))}
      ${predicts?.map((label, row) => rowLabel("→ " + label, row, own.left - 6, "predicts"))}
      ${columns?.map(
        (label, column) =>
          (cellWidth >= LABEL_FROM || isMarked(1, column)) &&
          html`
            <text
              key=${column} class=${`label ${isMarked(1, column) ? "marked" : ""}`} text-anchor="start"
              transform=${`translate(${own.left + (column + 0.5) * cellWidth + 4} ${own.top - 6}) rotate(-60)`}
            >
              ${cut(label, LONGEST_LABEL)}
            </text>
          `,
      )}
      <${Frame} at=${active} kind="hovered" ...${{own, shape, cellWidth, cellHeight}} />
      <${Frame} at=${selected} kind="pinned" ...${{own, shape, cellWidth, cellHeight}} />
    </svg>
  `;
}

function Frame({at, kind, own, shape, cellWidth, cellHeight}) {
  if (!at || (at[0] === null && at[1] === null)) return null;
  const [row, column] = at;
  return html`<rect
    class=${`frame ${kind}`} x=${own.left + (column ?? 0) * cellWidth} y=${own.top + (row ?? 0) * cellHeight}
    width=${column === null || column === undefined ? shape[1] * cellWidth : cellWidth}
    height=${row === null || row === undefined ? shape[0] * cellHeight : cellHeight}
  />`;
}

let ruler = null;
function widthOf(label) {
  ruler ??= document.createElement("canvas").getContext("2d");
  ruler.font = "13px system-ui, sans-serif";
  return Math.min(ruler.measureText(cut(label, LONGEST_LABEL)).width + 4, WIDEST_LABEL);
}

/** The room around the cells: labels of the rows, of the columns, and of the last columns, which lean over the edge. */
function margins(rows, predicts, columns, cellWidth) {
  const widest = (labels) => (labels ? Math.max(0, ...labels.map(widthOf)) : 0);
  const over = (label, i) => widthOf(label) * 0.5 + 12 - (columns.length - i - 0.5) * cellWidth;
  const second = predicts ? widest(predicts) + 14 : 0;
  const tall = columns ? widest(columns) * 0.87 + 14 : 0;
  const right = columns ? Math.max(0, ...columns.map(over)) : 0;
  return {left: rows ? widest(rows) + second + 14 : 0, top: columns ? tall + 8 : 0, second, right};
}

/** One vector as a strip of cells around zero: `values` [n], a scale shared with its neighbours if `most` is given. */
export function Strip({values, most, name, height = 18, width = 512, selected = null, onSelect, describe, scale}) {
  const own = scale ?? {kind: "diverging", most: most ?? Math.max(...Array.from(values, Math.abs), 1e-12)};
  const cell = [Math.max(width / values.length, 0.5), height];
  return html`<${Matrix}
    values=${values} shape=${[1, values.length]} rows=${null} columns=${null} scale=${own} cell=${cell} name=${name}
    isQuiet selected=${selected === null ? null : [0, selected]} onSelect=${(_, i) => onSelect?.(i)}
    describe=${describe ? (_, i) => describe(i) : (_, i) => t("strip.says", {name, i, value: short(values[i])})}
  />`;
}

/** A small picture without labels, for many side by side: `size` wide, cells square unless `height` is given. */
export function Thumbnail({values, shape, scale, hidden, size, height, label}) {
  const canvas = useRef(null);
  const theme = useTheme();
  useEffect(() => paint(canvas.current, {values, shape, scale, hidden}), [values, scale.kind, scale.most, theme]);
  return html`<canvas
    class="thumbnail" ref=${canvas} width=${shape[1]} height=${shape[0]} role="img" aria-label=${label}
    style=${{width: `${size}px`, height: `${height ?? Math.round((size * shape[0]) / shape[1])}px`}}
  ></canvas>`;
}
