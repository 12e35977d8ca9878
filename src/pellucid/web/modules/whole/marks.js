// The marks of the picture: what is under the pointer, where the arrow keys lead, what each is called, what it opens.
// A mark is {type: "piece" | "cell" | "output" | "link", stack, row, ...}. Read numbers_of.js next.
import {ranking} from "pellucid/numbers";
import {stackOf} from "pellucid/sites";
import {t} from "pellucid/texts";
import {pieceName} from "pellucid/tokens";
import {curveOf, linksOf, pointsOf} from "pellucid/whole/links";
import {yOf} from "pellucid/whole/layout";

const NEAR = 5; // pixels from a line at which the pointer has it

/** All marks of a row in the order of the pass: the piece, its cells, and what is written. */
export function rowMarks(layout, stack, row) {
  const cells = layout.stacks[stack].cells.map((cell) => ({type: "cell", stack, row, cell}));
  return [
    {type: "piece", stack, row},
    ...cells.filter(({cell}) => cell.kind !== "input"),
    ...(stack === "decoder" ? [{type: "output", stack, row}] : []),
  ];
}

/** Where the mark stands: a box of the world {x, y, width, height}. */
export function boxOf(layout, mark) {
  const {row: height, output, stacks} = layout;
  if (mark.type === "link") {
    const [x, y] = pointsOf(curveOf(layout, mark.link), 2)[1];
    return {x, y, width: 0, height: 0};
  }
  const own = stacks[mark.stack];
  const y = own.top + mark.row * height;
  if (mark.type === "cell") return {x: mark.cell.x, y, width: mark.cell.width, height};
  if (mark.type === "output") return {x: output.x, y, width: output.right - output.x, height};
  const [first] = own.columns;
  return {x: own.left, y, width: first.x + first.width - own.left, height};
}

/** The mark at a point of the world, or null; `drawn` are the links that can be seen, the last drawn last. */
export function markAt(layout, [x, y], drawn, k) {
  for (const stack of ["encoder", "decoder"]) {
    const own = layout.stacks[stack];
    const row = Math.floor((y - own.top) / layout.row);
    if (row < 0 || row >= own.rows) continue;
    const cell = own.cells.find((one) => x >= one.x && x < one.x + one.width);
    if (cell) return cell.kind === "input" ? {type: "piece", stack, row} : {type: "cell", stack, row, cell};
    if (x >= own.left && x <= own.text + 2) return {type: "piece", stack, row};
    if (stack === "decoder" && x >= layout.output.x - 4 && x <= layout.output.right)
      return {type: "output", stack, row};
  }
  const link = nearest(layout, [x, y], drawn, NEAR / k);
  return link && {type: "link", stack: stackOf(link.kind), row: link.row, link};
}

function nearest(layout, [x, y], links, most) {
  let best = null;
  let least = most;
  for (const link of links) {
    const curve = curveOf(layout, link);
    if (x < curve[0] - 30 || (layout.isBeside && x > curve[6])) continue;
    const points = pointsOf(curve);
    for (let i = 1; i < points.length; i += 1) {
      const distance = toSegment(x, y, points[i - 1], points[i]);
      if (distance <= least) [best, least] = [link, distance];
    }
  }
  return best;
}

function toSegment(x, y, [ax, ay], [bx, by]) {
  const [dx, dy] = [bx - ax, by - ay];
  const along = Math.min(Math.max(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1), 0), 1);
  return Math.hypot(x - ax - along * dx, y - ay - along * dy);
}

/** Where an arrow key leads from a mark; rows of the decoder follow those of the encoder. */
export function step(layout, mark, key) {
  const {encoder, decoder} = layout.stacks;
  const marks = rowMarks(layout, mark.stack, mark.row);
  const at = Math.max(
    marks.findIndex((one) => isSame(one, mark)),
    0,
  );
  if (key === "ArrowLeft" || key === "ArrowRight") {
    const next = at + (key === "ArrowLeft" ? -1 : 1);
    if (marks[next]) return marks[next];
    if (key === "ArrowRight" && mark.stack === "encoder") return {type: "piece", stack: "decoder", row: 0};
    if (key === "ArrowLeft" && mark.stack === "decoder") return rowMarks(layout, "encoder", 0).at(-1);
    return mark;
  }
  if (key === "Home") return marks[0];
  if (key === "End") return marks.at(-1);
  const whole = (mark.stack === "encoder" ? 0 : encoder.rows) + mark.row + (key === "ArrowUp" ? -1 : 1);
  const row = Math.min(Math.max(whole, 0), encoder.rows + decoder.rows - 1);
  const stack = row < encoder.rows ? "encoder" : "decoder";
  const own = rowMarks(layout, stack, stack === "encoder" ? row : row - encoder.rows);
  return own[Math.min(at, own.length - 1)];
}

export function isSame(one, other) {
  if (!one || !other || one.type !== other.type || one.row !== other.row || one.stack !== other.stack) return false;
  if (one.type === "cell") return one.cell.x === other.cell.x;
  if (one.type !== "link") return true;
  return ["kind", "layer", "row", "column"].every((name) => one.link[name] === other.link[name]);
}

/** The kind of attention of a mark, or null. */
export const attentionOf = ({type, stack, cell, link}) => {
  if (type === "link") return link.kind;
  if (type !== "cell" || !cell.name.endsWith("attention")) return null;
  return cell.name === "cross_attention" ? "cross" : stack;
};

/** The links of an attention mark, the heaviest first; every one that has any weight. */
export function linksFrom(weights, mark) {
  const kind = attentionOf(mark);
  if (!kind) return [];
  const found = linksOf(weights, kind, mark.cell.layer, {row: mark.row, least: 0});
  return ranking(found.map(({weight}) => weight)).map((i) => ({
    type: "link",
    stack: mark.stack,
    row: mark.row,
    link: found[i],
  }));
}

const pieceOf = (tokens, stack, row) =>
  pieceName((stack === "encoder" ? tokens.source_pieces : tokens.fed_pieces)[row]);

/** What a mark is called, without its numbers. */
export function nameOf(mark, {tokens}) {
  const {type, stack, row, cell, link} = mark;
  const piece = pieceOf(tokens, stack, row);
  const writes = stack === "decoder" ? pieceName(tokens.predicted_pieces[row]) : "";
  if (type === "piece") return stack === "encoder" ? t("whole.reads", {piece}) : t("whole.fed", {piece, writes});
  if (type === "output") return t("whole.writes", {piece: writes});
  if (type === "link") {
    const to = pieceOf(tokens, link.kind === "decoder" ? "decoder" : "encoder", link.column);
    const values = {piece: writes ? t("whole.step", {piece, writes}) : piece, to};
    return t("whole.link", {...values, kind: t(`kind.${link.kind}`), layer: link.layer});
  }
  if (cell.kind === "memory") return t("whole.memory", {piece});
  const at = writes ? t("whole.step", {piece, writes}) : piece;
  return t("whole.cell", {piece: at, stack: t(`whole.${stack}`), layer: cell.layer, name: t(`stack.${cell.name}`)});
}

/** The state of the chapter that a mark opens, with the head that is shown; null is the mean of all heads. */
export function chapterOf(mark, head = null) {
  const {type, stack, row, cell, link} = mark;
  const ofStep = stack === "decoder" ? {step: row} : {};
  const at = {query: row, key: null, ...ofStep};
  const heads = head === null ? [] : [head];
  if (type === "piece")
    return {
      view: "embeddings",
      "embeddings.side": stack === "decoder" ? "target" : "",
      "embeddings.position": String(row),
      ...ofStep,
    };
  if (type === "output") return {view: "softmax", step: row, "softmax.id": ""};
  if (type === "link") return {view: "links", kind: link.kind, layer: link.layer, heads, ...at};
  if (cell.kind === "memory") return {view: "attention", kind: "cross", layer: 0, heads, query: null, key: row};
  if (cell.name === "feed_forward") return {view: "feed_forward", kind: stack, layer: cell.layer, ...at};
  return {view: "attention", kind: attentionOf(mark), layer: cell.layer, heads, ...at};
}

/** A mark that stays chosen, for the address: "decoder.14" for a row, "cross.4.14.1" for a link; null for none. */
export const pinText = (mark) =>
  mark.type === "link"
    ? [mark.link.kind, mark.link.layer, mark.link.row, mark.link.column].join(".")
    : `${mark.stack}.${mark.row}`;

/** The chosen mark of an address, if this sentence and model have it. */
export function pinNamed(text, weights, layout) {
  const [kind, ...numbers] = (text ?? "").split(".");
  if (!numbers.length || !numbers.map(Number).every((number) => Number.isInteger(number) && number >= 0)) return null;
  const [first, row, column] = numbers.map(Number);
  if (numbers.length === 1) {
    const own = layout.stacks[kind];
    return own && first < own.rows ? {type: "piece", stack: kind, row: first} : null;
  }
  const own = weights[kind]?.[first];
  if (!own || numbers.length !== 3 || row >= own.rows || column >= own.columns) return null;
  const link = {kind, layer: first, row, column, weight: own.values[row * own.columns + column] / 255};
  return {type: "link", stack: stackOf(kind), row, link};
}

/** The middle of a mark. */
export function middleOf(layout, mark) {
  const {x, y, width, height} = boxOf(layout, mark);
  return [x + width / 2, mark.type === "link" ? y : yOf(layout, mark.stack, mark.row) || y + height / 2];
}
