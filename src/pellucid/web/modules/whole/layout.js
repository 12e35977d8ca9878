// Where everything stands in the picture of the whole: pieces are rows, layers are columns, and numbers flow to the
// right. One unit is a CSS pixel while all of the picture is in view. Read links.js next.
import {STACKS, SUBLAYERS, depthOf, sitesOf} from "pellucid/sites";
import {pieceText} from "pellucid/tokens";

const BESIDE_FROM = 760; // pixels from which the decoder stands beside the encoder, not under it
const [HEAD, FOOT] = [50, 14];
const ROWS = {beside: [15, 27], under: [15, 20]}; // the least and the largest height of a row
const SIZES = {
  beside: {pad: 12, gap: 13, cell: 6, input: 6, after: 22, cross: 26, bar: 58, label: [48, 104], tie: 9},
  under: {pad: 2, gap: 8, cell: 4, input: 5, after: 10, cross: 0, bar: 20, label: [36, 56], tie: 7},
};

let ruler = null;
/** The room that the longest of these labels takes. */
function roomOf(pieces, [least, most], size) {
  ruler ??= document.createElement("canvas").getContext("2d");
  ruler.font = `${size}px system-ui, sans-serif`;
  const widest = Math.max(...pieces.map((piece) => ruler.measureText(pieceText(piece)).width));
  return Math.min(Math.max(widest + 6, least), most);
}

/** The columns of a stack from the x where its labels end: [{kind, layer, x, width, cells: [{block, site, ...}]}]. */
function columnsOf(stack, x, {config, gap, sizes}) {
  const end = config.norm_order === "pre" ? "sum" : "norm";
  const side = stack === "encoder" ? "source" : "target";
  let at = x + sizes.tie;
  const take = (width) => {
    at += width;
    return at - width;
  };
  const single = (kind, site) => {
    const own = {name: kind, kind, layer: 0, stack, site, x: take(sizes.input), width: sizes.input};
    return {kind, layer: 0, x: own.x, width: own.width, cells: [own]};
  };
  const columns = [single("input", `${side}.input`)];
  for (let layer = 0; layer < depthOf(stack, config); layer += 1) {
    at += gap;
    const cells = SUBLAYERS[stack].map((name) => ({
      name,
      kind: "sublayer",
      stack,
      layer,
      block: `${stack}.${layer}.${name}`,
      site: sitesOf({stack, layer, name}, config)[end],
      x: take(sizes.cell),
      width: sizes.cell,
    }));
    columns.push({kind: "layer", layer, x: cells[0].x, width: cells.length * sizes.cell, cells});
  }
  if (stack === "encoder") {
    at += sizes.after / 2;
    columns.push(single("memory", "encoder.output"));
  }
  return columns;
}

/** room, tall: the pixels that the picture has. Where the world is larger than these, all of it is in view, smaller. */
export function layoutOf({tokens, config, room, tall}) {
  const isBeside = room >= BESIDE_FROM;
  const arrangement = isBeside ? "beside" : "under";
  const sizes = SIZES[arrangement];
  const text = isBeside ? 13 : 12;
  const rows = {encoder: tokens.source_pieces.length, decoder: tokens.fed_pieces.length};
  const depth = Object.fromEntries(STACKS.map((stack) => [stack, depthOf(stack, config)]));
  const label = {
    encoder: roomOf(tokens.source_pieces, sizes.label, text),
    decoder: roomOf(tokens.fed_pieces, sizes.label, text),
    output: roomOf(tokens.predicted_pieces, sizes.label, text + 1),
  };
  const fixed = {
    encoder: label.encoder + sizes.tie + 2 * sizes.input + 2 * depth.encoder * sizes.cell + sizes.after / 2,
    decoder:
      label.decoder + sizes.tie + sizes.input + 3 * depth.decoder * sizes.cell + sizes.after + sizes.bar + label.output,
  };
  const free = isBeside
    ? [(room - 2 * sizes.pad - sizes.cross - fixed.encoder - fixed.decoder) / (depth.encoder + depth.decoder)]
    : STACKS.map((stack) => (room - 2 * sizes.pad - fixed[stack] - 8) / depth[stack]);
  const gaps = STACKS.map((_, i) => Math.max(free[isBeside ? 0 : i], sizes.gap));
  const [least, most] = ROWS[arrangement];
  const fits = (tall - HEAD - FOOT) / Math.max(rows.encoder, rows.decoder);
  const row = isBeside ? Math.min(Math.max(fits, least), most) : most;
  const encoder = {stack: "encoder", rows: rows.encoder, top: HEAD, left: sizes.pad, text: sizes.pad + label.encoder};
  encoder.columns = columnsOf("encoder", encoder.text, {config, gap: gaps[0], sizes});
  encoder.right = endOf(encoder.columns);
  const left = isBeside ? encoder.right + sizes.cross : sizes.pad;
  const decoder = {stack: "decoder", rows: rows.decoder, left, text: left + label.decoder};
  decoder.top = isBeside ? HEAD : HEAD + rows.encoder * row + HEAD + 6;
  decoder.columns = columnsOf("decoder", decoder.text, {config, gap: gaps[1], sizes});
  decoder.right = endOf(decoder.columns);
  const bar = decoder.right + sizes.after / 2;
  const output = {x: bar, width: sizes.bar, text: bar + sizes.bar + 8, right: bar + sizes.bar + 8 + label.output};
  for (const one of [encoder, decoder]) one.cells = one.columns.flatMap(({cells}) => cells);
  return {
    isBeside,
    row,
    output,
    stacks: {encoder, decoder},
    width: Math.max(output.right, encoder.right) + sizes.pad,
    height: Math.max(...[encoder, decoder].map(({top, rows: n}) => top + n * row)) + FOOT,
  };
}

const endOf = (columns) => columns.at(-1).x + columns.at(-1).width;

/** The middle of a row. */
export const yOf = (layout, stack, row) => layout.stacks[stack].top + (row + 0.5) * layout.row;

/** How tall a picture of these pieces has to be to be read in a room of this width. */
export const tallOf = ({tokens, room, window: inside}) =>
  room >= BESIDE_FROM
    ? Math.min(Math.max(inside * 0.52, 400), 680)
    : Math.min((tokens.source_pieces.length + tokens.fed_pieces.length) * ROWS.under[1] + 2 * HEAD + 6 + FOOT, 1400);
