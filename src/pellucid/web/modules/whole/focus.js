// What stands out: the links of the row that is looked at, a link that is pulled open into its heads, and what the
// model computes at this moment. It is painted over the picture, so that pointing paints little. Read scene.js next.
import {headColour} from "pellucid/pictures/palette";
import {bent, curveOf, linksOf, trace} from "pellucid/whole/links";
import {yOf} from "pellucid/whole/layout";
import {boxOf} from "pellucid/whole/marks";
import {labels, paintLabel, paintOutput, projection, shownRows} from "pellucid/whole/paint";

const LEAST = 0.03;
const LIT = 0.25; // of a row: where that much goes, the piece is coloured

/** The links of a row in every layer that has been computed: where it looks. */
export function focusLinks({weights}, {stack, row}, {layers}) {
  const kinds = stack === "encoder" ? ["encoder"] : ["decoder", "cross"];
  return kinds.flatMap((kind) =>
    weights[kind].flatMap((_, layer) =>
      kind === "encoder" && layer >= layers ? [] : linksOf(weights, kind, layer, {row, least: LEAST}),
    ),
  );
}

/** Everything that moves. */
export function paintFocus(context, scene, reach) {
  const {layout, focus, hover, pin, tint} = scene;
  const to = projection(scene);
  if (scene.partial) paintPartial(context, scene, to);
  const own = focus && scene.isReached(focus) ? focus : null;
  if (own) {
    band(context, scene, own, to);
    strong(context, scene, scene.strong);
  }
  for (const mark of [pin, hover]) {
    if (mark?.type !== "link" || !scene.isReached(mark)) continue;
    const heads = scene.headsOf(mark.link);
    const isOpen = mark === pin || scene.pulled;
    if (heads && isOpen) opened(context, scene, mark.link, heads);
    else strong(context, scene, [mark.link], 1.6);
  }
  // Labels stand on top of all lines, so that they can be read.
  labels(context, scene, layout.stacks.decoder, shownRows(layout.stacks.decoder, reach), to);
  if (own) named(context, scene, to);
  if (hover && hover.type !== "link") {
    const box = boxOf(layout, hover);
    context.strokeStyle = tint.ink;
    context.lineWidth = 1.5;
    context.beginPath();
    context.roundRect(to.x(box.x) - 2, to.y(box.y) + 0.5, box.width * to.k + 4, box.height * to.k - 1, 4);
    context.stroke();
  }
}

/** The pieces that matter to the row, in bold or in the colour of what looks at them. */
function named(context, scene, to) {
  const {focus, layout, lit, tint} = scene;
  const {encoder, decoder} = layout.stacks;
  for (const [row, share] of Object.entries(lit))
    if (share > LIT)
      paintLabel(context, scene, encoder, Number(row), to, {
        colour: tint[focus.stack === "encoder" ? "encoder" : "cross"],
      });
  paintLabel(context, scene, focus.stack === "encoder" ? encoder : decoder, focus.row, to, {weight: 700});
  if (focus.stack === "decoder") paintOutput(context, scene, focus.row, 1, to, {weight: 700, colour: tint.cross});
}

function inWorld({camera: {x, y, k}, dpr}, context, draw) {
  context.save();
  context.setTransform(dpr * k, 0, 0, dpr * k, -x * k * dpr, -y * k * dpr);
  context.lineCap = "round";
  draw();
  context.restore();
}

/** The row, from its piece to what is written. */
function band(context, {layout, tint}, {stack, row}, to) {
  const own = layout.stacks[stack];
  const right = stack === "decoder" ? layout.output.right : own.right + 4;
  const y = to.y(yOf(layout, stack, row));
  context.globalAlpha = 0.5;
  context.strokeStyle = stack === "decoder" ? tint.cross : tint[stack];
  context.lineWidth = 1;
  context.beginPath();
  const x = to.x(own.text + 2);
  context.moveTo(x, y);
  context.lineTo(to.x(stack === "decoder" ? layout.output.x : right), y);
  context.stroke();
  context.globalAlpha = 1;
}

function strong(context, scene, links, more = 1) {
  const {camera, layout, tint} = scene;
  const wide = Math.min(1 + Math.log2(Math.max(camera.k, 1)) * 0.5, 2.4) * more * (layout.isBeside ? 1 : 0.55);
  inWorld(scene, context, () => {
    for (const link of links) {
      context.strokeStyle = tint[link.kind];
      context.globalAlpha = Math.min(0.25 + 0.9 * link.weight, 1);
      context.lineWidth = ((0.7 + 5 * link.weight) * wide) / camera.k;
      context.beginPath();
      trace(context, curveOf(layout, link));
      context.stroke();
    }
  });
}

/** A link as its heads: one strand each, as thick as the weight of that head. */
function opened(context, scene, link, heads) {
  const {camera, layout, spread} = scene;
  const curve = curveOf(layout, link);
  inWorld(scene, context, () => {
    context.globalAlpha = 0.95;
    heads.forEach((weight, head) => {
      const by = ((head - (heads.length - 1) / 2) * spread) / camera.k;
      context.strokeStyle = headColour(head);
      context.lineWidth = (0.6 + 9 * weight) / camera.k;
      context.beginPath();
      trace(context, bent(curve, by));
      context.stroke();
    });
  });
}

/** The layer, or the row, that is being computed: what lies left of the front that goes through it. */
function paintPartial(context, scene, to) {
  const {layout, tint, partial, size} = scene;
  const {stack, layer, row, share} = partial;
  const own = layout.stacks[stack];
  const from = stack === "encoder" ? own.columns[layer].x : own.text;
  const end = stack === "encoder" ? own.columns[layer + 1].x + own.columns[layer + 1].width : layout.output.x;
  const front = from + (end - from) * Math.min(share / 0.85, 1);
  const top = to.y(own.top) - 4;
  const bottom = to.y(own.top + own.rows * layout.row) + 4;
  context.save();
  context.beginPath();
  // What comes from the encoder crosses the gap before the decoder.
  const left = stack === "decoder" ? 0 : to.x(from);
  context.rect(left, 0, Math.max(to.x(front) - left, 0), size.height);
  context.clip();
  strong(context, scene, partial.links);
  context.restore();
  const glow = context.createLinearGradient(to.x(front) - 26, 0, to.x(front), 0);
  const colour = tint[stack === "encoder" ? "encoder" : "cross"];
  glow.addColorStop(0, `${colour}00`);
  glow.addColorStop(1, `${colour}40`);
  context.fillStyle = glow;
  const [y, height] = stack === "encoder" ? [top, bottom - top] : [to.y(own.top + row * layout.row), layout.row * to.k];
  context.fillRect(to.x(front) - 26, y, 26, height);
  if (stack === "decoder" && share > 0.85) paintOutput(context, scene, row, Math.min((share - 0.85) / 0.13, 1), to);
}
