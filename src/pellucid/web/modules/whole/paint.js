// The picture itself, on a canvas: faint lines, cells, labels, as far as the model has come. Read focus.js next.
import {diverging} from "pellucid/pictures/palette";
import {largest} from "pellucid/numbers";
import {pieceText, wordsOf} from "pellucid/tokens";
import {t} from "pellucid/texts";
import {changeColour} from "pellucid/whole/colours";
import {strengthOf} from "pellucid/whole/links";
import {yOf} from "pellucid/whole/layout";

const SANS = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans CJK SC", sans-serif';
const SERIF = 'ui-serif, "Iowan Old Style", "Palatino Linotype", Georgia, "Noto Serif", "Noto Serif CJK SC", serif';
const NUMBERS_FROM = [22, 44]; // pixels of a cell from which its vector is shown

/** Whether the vectors of a cell are drawn. */
export const isLarge = (cell, {camera: {k}, layout}) =>
  cell.width * k >= NUMBERS_FROM[0] && layout.row * k >= NUMBERS_FROM[1];

/** Places of the world on the canvas: {x(), y(), k}. */
export function projection({camera: {x, y, k}}) {
  return {x: (at) => (at - x) * k, y: (at) => (at - y) * k, k};
}

/** The quiet ground of each stack. */
export function paintGround(context, scene) {
  const {layout, tint} = scene;
  const to = projection(scene);
  for (const own of Object.values(layout.stacks)) panel(context, own, layout, to, tint);
}

/** Cells, labels, what is written: `scene` as in scene.js, `reach` {layers, steps}: how far the model has come. */
export function paintBase(context, scene, reach) {
  const {layout} = scene;
  const to = projection(scene);
  for (const own of Object.values(layout.stacks)) {
    ties(context, scene, own, shownRows(own, reach), to);
    for (const cell of own.cells) column(context, scene, own, cell, reach, to);
  }
  outputs(context, scene, reach.steps, to);
  for (const own of Object.values(layout.stacks)) {
    labels(context, scene, own, shownRows(own, reach), to);
    headings(context, scene, own, to);
  }
}

function panel(context, own, layout, to, tint) {
  const [first] = own.columns;
  const bottom = own.top + own.rows * layout.row;
  context.fillStyle = tint.faint;
  context.beginPath();
  context.roundRect(
    to.x(first.x - 4),
    to.y(own.top - 4),
    (own.right - first.x + 8) * to.k,
    (bottom - own.top + 8) * to.k,
    6 * Math.min(to.k, 2),
  );
  context.fill();
}

/** The faint lines. Those of the decoder end with the row that is written. */
export function paintLines(context, scene, {layers, steps}) {
  const {camera, layout, texture: lines, dpr, tint} = scene;
  context.save();
  context.setTransform(dpr * camera.k, 0, 0, dpr * camera.k, -camera.x * camera.k * dpr, -camera.y * camera.k * dpr);
  context.lineWidth = Math.min(1, 0.55 + camera.k * 0.25) / camera.k;
  for (const kind of ["encoder", "decoder"]) {
    const own = layout.stacks[kind];
    context.save();
    if (kind === "decoder") {
      context.beginPath();
      context.rect(own.left, own.top, layout.width, steps * layout.row);
      context.clip();
    }
    context.strokeStyle = tint[kind];
    lines.layers[kind].forEach((levels, layer) => {
      if (kind === "encoder" && layer >= layers) return;
      levels.forEach((path, level) => {
        context.globalAlpha = strengthOf(level);
        context.stroke(path);
      });
    });
    context.restore();
  }
  context.restore();
}

/** Which rows of a column the model has computed. */
function doneRows(own, cell, {layers, steps}) {
  if (own.stack === "decoder") return cell.kind === "input" ? Math.max(steps, 0) : steps;
  if (cell.kind === "input") return own.rows;
  return (cell.kind === "memory" ? layers >= own.columns.length - 2 : layers > cell.layer) ? own.rows : 0;
}

function column(context, scene, own, cell, reach, to) {
  const {layout, changes, most, tint, size} = scene;
  const [x, width] = [to.x(cell.x), cell.width * to.k];
  if (x > size.width || x + width < 0) return;
  const height = layout.row * to.k;
  const done = doneRows(own, cell, reach);
  const inset = Math.min(height * 0.14, 3);
  const values = changes?.[cell.block];
  const bar = Math.min(width * 0.06, 1);
  const image = isLarge(cell, scene) && scene.vectorsOf(cell);
  for (let row = 0; row < own.rows; row += 1) {
    const y = to.y(own.top + row * layout.row);
    if (y > size.height || y + height < 0) continue;
    const box = [x + bar, y + inset, width - 2 * bar, height - 2 * inset];
    if (row >= done) {
      context.fillStyle = tint.band;
      context.fillRect(box[0], y + height / 2 - 0.5, box[2], 1);
    } else if (image) {
      context.imageSmoothingEnabled = false;
      context.drawImage(
        image.canvas,
        0,
        row * image.rows,
        image.columns,
        image.rows,
        box[0],
        y + 1,
        box[2],
        height - 2,
      );
    } else {
      context.globalAlpha = values ? 1 : 0.62;
      context.fillStyle = values ? changeColour(values[row], most) : cell.kind === "memory" ? tint.cross : tint.soft;
      context.fillRect(...box);
      context.globalAlpha = 1;
    }
  }
}

/** The vectors of a site as one small picture: a block of dimensions for each row. */
export function vectorPicture({data, shape: [count, width]}, aspect) {
  const columns = Math.min(Math.max(Math.round(Math.sqrt(width * aspect)), 1), width);
  const rows = Math.ceil(width / columns);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [columns, rows * count];
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows * count);
  const most = largest(data) || 1;
  for (let row = 0; row < count; row += 1)
    for (let i = 0; i < width; i += 1)
      image.data.set([...diverging(data[row * width + i] / most), 255], (row * rows * columns + i) * 4);
  context.putImageData(image, 0, 0);
  return {canvas, columns, rows, most, width};
}

/** The pieces that are read so far. */
export const shownRows = (own, {steps}) =>
  own.stack === "encoder" ? own.rows : Math.min(Math.max(steps, 1), own.rows);

/** What was written, with its probability as a bar. */
function outputs(context, scene, steps, to) {
  for (let row = 0; row < steps; row += 1) paintOutput(context, scene, row, 1, to);
}

export function paintOutput(context, scene, row, share, to, {weight = 500, colour = null} = {}) {
  const {layout, trace, tint, size} = scene;
  const {output, row: tall} = layout;
  const height = tall * to.k;
  const y = to.y(yOf(layout, "decoder", row));
  if (y + height < 0 || y - height > size.height) return;
  const p = Math.exp(trace.predictions.target_log_probability[row]);
  const thick = Math.min(Math.max(height * 0.16, 3), 10);
  const [x, width] = [to.x(output.x), output.width * to.k];
  context.fillStyle = tint.band;
  context.fillRect(x, y - thick / 2, width, thick);
  context.globalAlpha = p < 0.5 ? 1 : 0.7;
  context.fillStyle = p < 0.5 ? tint.cross : tint.soft;
  context.fillRect(x, y - thick / 2, width * p * share, thick);
  context.globalAlpha = 1;
  if (share < 1) return;
  const font = fontSize(height, to.k) + 1;
  const words = pieceText(trace.tokens.predicted_pieces[row]);
  context.font = `${weight} ${font}px ${SERIF}`;
  context.fillStyle = tint.paper;
  context.fillRect(to.x(output.text) - 2, y - font * 0.62, context.measureText(words).width + 4, font * 1.24);
  text(context, words, to.x(output.text), y, {font: context.font, colour: colour ?? tint.ink});
  if (height < 60) return;
  const {top_pieces: pieces, top_log_probabilities: logs} = trace.predictions;
  const lines = Math.min(Math.floor((height / 2 - 14) / 15), 4, logs[row].length);
  for (let i = 0; i < lines; i += 1) {
    const label = `${pieces ? pieceText(pieces[row][i]) : ""}  ${(Math.exp(logs[row][i]) * 100).toPrecision(3)} %`;
    text(context, label, to.x(output.text), y + font + 6 + i * 15, {font: `12px ${SANS}`, colour: tint.soft});
  }
}

const fontSize = (height, k) =>
  Math.min(Math.max(height * 0.62, 7), 12.5 + Math.min(Math.log2(Math.max(k, 1)) * 1.5, 5));

function text(context, words, x, y, {font, colour, align = "start", baseline = "middle"}) {
  context.font = font;
  context.textAlign = align;
  context.textBaseline = baseline;
  context.fillStyle = colour;
  context.fillText(words, x, y);
}

/** Pieces of one word are tied together. */
function ties(context, scene, own, count, to) {
  const {layout, trace, tint} = scene;
  const words = wordsOf(own.stack === "encoder" ? "source" : "fed", trace.tokens);
  const x = Math.round(to.x(own.text + 3)) + 0.5;
  context.strokeStyle = tint.line;
  context.lineWidth = 1.5;
  context.beginPath();
  for (const {start, end} of words.filter((word) => word.end - word.start > 1 && word.start < count)) {
    context.moveTo(x, to.y(own.top + (start + 0.25) * layout.row));
    context.lineTo(x, to.y(own.top + (Math.min(end, count) - 0.25) * layout.row));
  }
  context.stroke();
}

/** The pieces at the left of a stack. */
export function labels(context, scene, own, count, to) {
  for (let row = 0; row < Math.min(count, own.rows); row += 1) paintLabel(context, scene, own, row, to);
}

/** One piece; where its place is out of sight, at the left edge of the window. */
export function paintLabel(context, scene, own, row, to, {weight = 400, colour = null} = {}) {
  const {layout, trace, tint, size} = scene;
  const height = layout.row * to.k;
  const font = fontSize(height, to.k);
  const y = to.y(yOf(layout, own.stack, row));
  const isOut = y < -20 || y > size.height + 20 || to.x(own.right) < 40 || to.x(own.left) > size.width;
  if (font < 8 || isOut) return;
  const words = pieceText((own.stack === "encoder" ? trace.tokens.source_pieces : trace.tokens.fed_pieces)[row]);
  context.font = `${weight} ${font}px ${SANS}`;
  const width = context.measureText(words).width;
  const natural = to.x(own.text - 3);
  const x = Math.max(natural, width + 12);
  const isStuck = x > natural + 1;
  // Lines from the encoder go across the pieces of the decoder: each stands on a ground of its own.
  if (isStuck || colour || weight > 400 || own.stack === "decoder") {
    context.fillStyle = tint.paper;
    context.globalAlpha = isStuck && !colour ? 0.86 : 1;
    context.fillRect(x - width - 3, y - font * 0.62, width + 5, font * 1.24);
    context.globalAlpha = 1;
  }
  text(context, words, x, y, {font: context.font, colour: colour ?? tint.ink, align: "end"});
}

function headings(context, scene, own, to) {
  const {tint, size} = scene;
  const top = to.y(own.top);
  const bottom = to.y(own.top + own.rows * scene.layout.row);
  if (bottom < 30 || top > size.height) return;
  const isStuck = top < 26;
  const y = isStuck ? 14 : top - 13;
  if (isStuck) {
    context.fillStyle = tint.paper;
    context.fillRect(Math.max(to.x(own.left), 0), 0, to.x(own.right + 8) - Math.max(to.x(own.left), 0), 27);
  }
  for (const one of own.columns) {
    const middle = to.x(one.x + one.width / 2);
    if (middle < -60 || middle > size.width + 60) continue;
    const width = one.width * to.k;
    if (one.kind !== "layer") {
      if (one.kind === "input" || width < 40) continue;
      text(context, t("whole.memory_short"), middle, y, {font: `12px ${SANS}`, colour: tint.soft, align: "center"});
    } else if (width / one.cells.length < 74) {
      text(context, String(one.layer), middle, y, {font: `12px ${SANS}`, colour: tint.soft, align: "center"});
    } else {
      for (const cell of one.cells)
        text(context, `${one.layer} · ${t(`stack.${cell.name}`)}`, to.x(cell.x + cell.width / 2), y, {
          font: `12px ${SANS}`,
          colour: tint.soft,
          align: "center",
        });
    }
  }
  if (isStuck) return;
  const small = to.k < 0.8;
  text(context, t(`whole.${own.stack}_does`), Math.max(to.x(own.left), 8), top - (small ? 20 : 34), {
    font: `600 ${small ? 12 : 15}px ${SERIF}`,
    colour: tint[own.stack],
  });
}
