// The atlas: every head of every layer at a glance, for the three uses of attention.
import {html, useLayoutEffect, useMemo, useRef, useState} from "pellucid/ui";
import {ofTrace, useData} from "pellucid/data";
import {Figure, Waiting} from "pellucid/pictures/figure";
import {Spoken} from "pellucid/pictures/spoken";
import {short} from "pellucid/numbers";
import {css, sequential} from "pellucid/pictures/palette";
import {Setting, kindHint, labelText, settingOf} from "pellucid/pickers";
import {KINDS, labelsOf, longKind} from "pellucid/sites";
import {setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {useTheme} from "pellucid/theme";
import {useWidth} from "pellucid/pictures/width";
import {linksOfStory} from "pellucid/views/why/gold";

const ORDERS = ["place", "entropy", "diagonality", "to_end"];
const [SMALLEST, LARGEST, LABEL] = [24, 104, 22]; // pixels of a small picture, and of the labels beside them
const NARROW = 500; // pixels of room, below which the pictures stand closer

/** The word links; for a sentence whose links are known, judged by them, so that every head has its number. */
function toLinks(trace) {
  const known = linksOfStory(trace);
  return {view: "why", "why.show": "links", ...(known && {"why.gold": known, "why.order": "", "why.unit": ""})};
}

export function AtlasView({trace, model, state}) {
  const heads = useData(`${trace.id} heads`, () => ofTrace(trace, "heads"));
  const atlas = useData(`${trace.id} atlas`, () => ofTrace(trace, "atlas"));
  const order = settingOf(state, "atlas.order", ORDERS);
  return html`
    <div class="controls">
      <${Setting}
        state=${state} name="atlas.order" label=${t("atlas.order")}
        options=${ORDERS.map((name) => [name, t(`atlas.${name}`)])}
      />
      <button type="button" onClick=${() => setState(toLinks(trace))}>${t("atlas.align")}</button>
    </div>
    <${Waiting} data=${heads}>
      ${(facts) => html`
        <${Waiting} data=${atlas}>
          ${(octets) => html`
            ${KINDS.map(
              (kind) => html`<${Sheet} key=${kind} ...${{trace, model, state, kind, order, facts, octets}} />`,
            )}
          `}
        <//>
      `}
    <//>
  `;
}

/** How high an entropy can be: that of a row which looks at all the places there are alike. */
export function evenText(kind, tokens) {
  const places = labelsOf(kind, tokens).columns.length;
  return t(kind === "decoder" ? "heads.even_masked" : "heads.even", {places, most: short(Math.log(places), 3)});
}

/** Where the thumbnails of a kind begin in the octets of all of them. */
export function partOf(kind, facts, octets) {
  let start = 0;
  for (const name of KINDS) {
    const {
      heads,
      side: [rows, columns],
    } = facts[longKind(name)];
    const size = heads.length * heads[0].length * rows * columns;
    if (name === kind) return {bytes: octets.data.subarray(start, start + size), rows, columns, heads};
    start += size;
  }
  return null;
}

/** The thumbnails in the order they are drawn: [{layer, head, row, column}], and how many a line. */
function arranged(heads, order) {
  const all = heads.flatMap((layer, l) => layer.map((facts, head) => ({layer: l, head, ...facts})));
  const across = heads[0].length;
  const sorted =
    order === "place"
      ? all
      : [...all].sort((a, b) => (order === "entropy" ? a.entropy - b.entropy : b[order] - a[order]));
  return {across, cells: sorted.map((cell, i) => ({...cell, row: Math.floor(i / across), column: i % across}))};
}

function Sheet({trace, model, state, kind, order, facts, octets}) {
  const {bytes, rows, columns, heads} = useMemo(() => partOf(kind, facts, octets), [kind, facts, octets]);
  const {cells, across} = useMemo(() => arranged(heads, order), [heads, order]);
  const [active, setActive] = useState(null);
  const canvas = useRef(null);
  const theme = useTheme();
  const [frame, room] = useWidth();
  const gap = room < NARROW ? 3 : 8;
  const width = Math.min(Math.max(Math.floor((room - LABEL - 4) / across) - gap, SMALLEST), LARGEST);
  const height = Math.round(width * Math.min(Math.max(rows / columns, 0.5), 1.5));
  const size = {width: across * (width + gap), height: Math.ceil(cells.length / across) * (height + gap)};
  useLayoutEffect(
    () => draw(canvas.current, {bytes, rows, columns, cells, across, width, height, gap}),
    [bytes, cells, theme, width, height],
  );
  const cellAt = (row, column) => cells.find((cell) => cell.row === row && cell.column === column);
  const open = (cell) =>
    cell && setState({view: "links", kind, layer: cell.layer, heads: [cell.head], query: null, key: null});
  const fromPointer = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    return cellAt(
      Math.floor((event.clientY - box.top) / (height + gap)),
      Math.floor((event.clientX - box.left) / (width + gap)),
    );
  };
  const onKey = (event) => {
    const now = active ?? cells[0];
    const [down, right] = {ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1]}[event.key] ?? [
      0, 0,
    ];
    if (down || right) setActive(cellAt(now.row + down, now.column + right) ?? now);
    else if (event.key === "Enter" || event.key === " ") open(now);
    else return;
    event.preventDefault();
  };
  const say = (cell) =>
    t("atlas.says", {
      kind: t(`kind.${kind}`),
      layer: cell.layer,
      head: cell.head,
      label: cell.label ? labelText(cell.label) : t("atlas.no_label"),
      entropy: short(cell.entropy, 3),
      diagonality: short(cell.diagonality, 3),
    });
  const table = () => ({
    columns: [
      t("pick.layer"),
      t("links.head"),
      t("atlas.label"),
      t("atlas.entropy"),
      t("atlas.diagonality"),
      t("atlas.to_end"),
    ],
    rows: cells.map((cell) => [cell.layer, cell.head, cell.label, cell.entropy, cell.diagonality, cell.to_end]),
  });
  const isByPlace = order === "place";
  return html`
    <${Figure}
      frame=${frame} name=${`atlas-${kind}`} title=${t(`kind.${kind}`)} table=${table} provenance=${trace.provenance}
      says=${`${t("atlas.sheet", {layers: heads.length, heads: heads[0].length})} ${evenText(kind, trace.tokens)}`}
      caption=${kindHint(kind, model.config)}
    >
      <div
        class="atlas" role="grid" tabindex="0" aria-label=${t(`kind.${kind}`)}
        aria-rowcount=${Math.ceil(cells.length / across)} aria-colcount=${across} onKeyDown=${onKey}
        onBlur=${() => setActive(null)}
        style=${{
          paddingLeft: isByPlace ? `${LABEL}px` : 0,
          paddingTop: isByPlace ? `${LABEL}px` : 0,
          width: `${size.width + (isByPlace ? LABEL : 0)}px`,
        }}
      >
        <canvas
          ref=${canvas} aria-hidden="true" style=${{width: `${size.width}px`, height: `${size.height}px`}}
          onPointerMove=${(event) => setActive(fromPointer(event) ?? null)} onPointerLeave=${() => setActive(null)}
          onClick=${(event) => open(fromPointer(event))}
        ></canvas>
        <svg class="matrix-axes" width=${size.width + LABEL} height=${size.height + LABEL} aria-hidden="true">
          ${
            isByPlace &&
            heads.map(
              (_, layer) => html`
                <text
                  class="label" x=${LABEL - 8} y=${LABEL + layer * (height + gap) + height / 2} text-anchor="end"
                  dy="0.35em"
                >
                  ${layer}
                </text>
              `,
            )
          }
          ${
            isByPlace &&
            heads[0].map(
              (_, head) => html`
                <text class="label" x=${LABEL + head * (width + gap) + width / 2} y=${LABEL - 8} text-anchor="middle">
                  ${head}
                </text>
              `,
            )
          }
          ${[
            active,
            cells.find((cell) => kind === state.kind && cell.layer === state.layer && state.heads[0] === cell.head),
          ].map(
            (cell, i) =>
              cell &&
              html`
                <rect
                  key=${i} class=${`frame ${i ? "pinned" : "hovered"}`}
                  x=${(isByPlace ? LABEL : 0) + cell.column * (width + gap) - 2}
                  y=${(isByPlace ? LABEL : 0) + cell.row * (height + gap) - 2} width=${width + 4} height=${height + 4}
                />
              `,
          )}
        </svg>
        <div role="row" class="unseen" aria-rowindex=${(active?.row ?? 0) + 1}>
          <span role="gridcell" aria-colindex=${(active?.column ?? 0) + 1}>
            ${active ? say(active) : t("atlas.keys")}
          </span>
        </div>
      </div>
      <${Spoken} isSaid=${active}>${active ? say(active) : html`<span class="hint">${t("atlas.hint")}</span>`}<//>
    <//>
  `;
}

function draw(canvas, {bytes, rows, columns, cells, across, width, height, gap}) {
  const scale = Math.max(globalThis.devicePixelRatio ?? 1, 1);
  [canvas.width, canvas.height] = [
    across * (width + gap) * scale,
    Math.ceil(cells.length / across) * (height + gap) * scale,
  ];
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  context.imageSmoothingEnabled = false;
  const small = new OffscreenCanvas(columns, rows);
  const smallContext = small.getContext("2d");
  const image = smallContext.createImageData(columns, rows);
  const colours = Array.from({length: 256}, (_, value) => sequential(value / 255));
  for (const {layer, head, row, column} of cells) {
    const start = (layer * across + head) * rows * columns;
    for (let i = 0; i < rows * columns; i += 1) image.data.set([...colours[bytes[start + i]], 255], i * 4);
    smallContext.putImageData(image, 0, 0);
    context.drawImage(small, column * (width + gap), row * (height + gap), width, height);
    context.strokeStyle = css(sequential(0.18));
    context.strokeRect(column * (width + gap) + 0.5, row * (height + gap) + 0.5, width - 1, height - 1);
  }
}
