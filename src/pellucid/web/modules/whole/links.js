// The attention of every layer as lines: the mean weight over the heads, from the trace. Read paint.js next.
import {KINDS, depthOf, stackOf} from "pellucid/sites";
import {yOf} from "pellucid/whole/layout";

export const LEVELS = 5; // strengths in which faint lines are drawn
const LEAST = 0.05; // of the weight of a row; lines below it are not drawn
const MOST_LINES = 2600;
const BYTE = 255;

/** The weights out of the answer `flow`: {encoder, decoder, cross}, each [{values, rows, columns}] by layer. */
export function weightsOf({data}, tokens, config) {
  const [sources, targets] = [tokens.source_pieces.length, tokens.fed_pieces.length];
  const sides = {encoder: [sources, sources], decoder: [targets, targets], cross: [targets, sources]};
  let at = 0;
  const read = (kind) => {
    const [rows, columns] = sides[kind];
    at += rows * columns;
    return {rows, columns, values: data.subarray(at - rows * columns, at)};
  };
  return Object.fromEntries(KINDS.map((kind) => [kind, Array.from({length: depthOf(kind, config)}, () => read(kind))]));
}

export const weightAt = (weights, {kind, layer, row, column}) => {
  const own = weights[kind][layer];
  return own.values[row * own.columns + column] / BYTE;
};

/** The curve of a link, as eight numbers of a Bezier curve: from the piece that is looked at to the one that looks. */
export function curveOf(layout, {kind, layer, row, column}) {
  const stack = stackOf(kind);
  const own = layout.stacks[stack].columns;
  const cell = own[layer + 1].cells[kind === "cross" ? 1 : 0];
  const end = [cell.x, yOf(layout, stack, row)];
  if (kind === "cross") {
    const memory = layout.stacks.encoder.columns.at(-1);
    const start = [memory.x + memory.width, yOf(layout, "encoder", column)];
    // On a telephone the lines go down the right margin and come back along the row.
    if (!layout.isBeside) {
      const margin = layout.width + 4;
      return [...start, margin, start[1] + (end[1] - start[1]) * 0.6, margin - 20, end[1], end[0] + cell.width, end[1]];
    }
    const reach = (end[0] - start[0]) * 0.55;
    return [...start, start[0] + reach, start[1], end[0] - reach, end[1], ...end];
  }
  const before = own[layer];
  const start = [before.x + before.width, yOf(layout, stack, column)];
  const reach = (end[0] - start[0]) * 0.5;
  return [...start, start[0] + reach, start[1], end[0] - reach, end[1], ...end];
}

/** The same curve bent by some pixels, for one head of a link that is pulled open. */
export const bent = ([a, b, c, d, e, f, g, h], by) => [a, b, c, d + by, e, f + by, g, h];

export function trace(path, [x0, y0, x1, y1, x2, y2, x3, y3]) {
  path.moveTo(x0, y0);
  path.bezierCurveTo(x1, y1, x2, y2, x3, y3);
}

/** Points along a curve. */
export function pointsOf([x0, y0, x1, y1, x2, y2, x3, y3], count = 20) {
  return Array.from({length: count + 1}, (_, i) => {
    const t = i / count;
    const s = 1 - t;
    const [a, b, c, d] = [s * s * s, 3 * s * s * t, 3 * s * t * t, t * t * t];
    return [a * x0 + b * x1 + c * x2 + d * x3, a * y0 + b * y1 + c * y2 + d * y3];
  });
}

/** The links of one row, or of all rows, from the least weight on: [{kind, layer, row, column, weight}]. */
export function linksOf(weights, kind, layer, {row = null, least = LEAST} = {}) {
  const {values, rows, columns} = weights[kind][layer];
  const found = [];
  const from = row ?? 0;
  const to = row === null ? rows : row + 1;
  for (let i = from * columns; i < to * columns; i += 1)
    if (values[i] >= least * BYTE && values[i] > 0)
      found.push({kind, layer, row: Math.floor(i / columns), column: i % columns, weight: values[i] / BYTE});
  return found;
}

/**
 * The faint lines of both self-attentions: {layers: {encoder: [[Path2D by level]], ...}, links, share, least}. Where
 * there would be too many, the least weight rises. share: of all weight, how much the lines carry.
 */
export function textureOf(weights, layout) {
  const kinds = ["encoder", "decoder"];
  const all = (least) =>
    kinds.flatMap((kind) => weights[kind].flatMap((_, layer) => linksOf(weights, kind, layer, {least})));
  let least = LEAST;
  let links = all(least);
  while (links.length > MOST_LINES && least < 1) {
    least *= 1.3;
    links = all(least);
  }
  const layers = Object.fromEntries(
    kinds.map((kind) => [kind, weights[kind].map(() => Array.from({length: LEVELS}, () => new Path2D()))]),
  );
  for (const link of links) trace(layers[link.kind][link.layer][levelOf(link.weight)], curveOf(layout, link));
  let whole = 0;
  for (const kind of kinds) for (const {values} of weights[kind]) for (const value of values) whole += value / BYTE;
  return {layers, links, least, share: links.reduce((sum, {weight}) => sum + weight, 0) / (whole || 1)};
}

const levelOf = (weight) => Math.min(Math.floor(Math.sqrt(weight) * LEVELS), LEVELS - 1);

/** The opacity of a level. */
export const strengthOf = (level) => 0.1 + 0.5 * (level / (LEVELS - 1)) ** 1.4;
