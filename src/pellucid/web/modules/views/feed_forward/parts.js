// What the pictures of the feed-forward network share: its numbers for one word, its weights unit by unit, the
// activations, and the sums behind "recompute by hand". Letters: x comes in, p are the pre-activations, h the
// activations, FFN(x) goes out (Vaswani et al. 2017, section 3.3, equation 2). Read feed_forward.js next.
import {isFile, ofModel, site, weights} from "pellucid/data";
import {short, total} from "pellucid/numbers";
import {labelsOf, sitesOf, stackOf} from "pellucid/sites";
import {setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {linesOf, productsOf} from "pellucid/views/attention/sums";

/** Open a unit; the window of the picture of all words goes to it. */
export const chooseUnit = (unit) => setState({"feed_forward.unit": String(unit), "feed_forward.from": ""});

/** The error function, in double precision: its series without cancellation (Abramowitz and Stegun 7.1.6). */
export function erf(x) {
  if (Math.abs(x) > 6) return Math.sign(x);
  let [term, sum] = [x, x];
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n += 1) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** The activations of a model: `formula` of p for the eye, `of` for the arithmetic, `isCut` where 0 is exact. */
export const ACTIVATIONS = {
  relu: {formula: (p) => `max(0, ${p})`, of: (p) => Math.max(0, p), isCut: true},
  gelu: {formula: (p) => `${p} · Φ(${p})`, of: (p) => (p / 2) * (1 + erf(p / Math.SQRT2)), isCut: false},
  swish: {formula: (p) => `${p} ÷ (1 + exp(−${p}))`, of: (p) => p / (1 + Math.exp(-p)), isCut: false},
};

/** A unit is awake where its pre-activation is above zero; with max(0, p) the others are exactly 0. */
export const isAwake = (p) => p > 0;

export const countAwake = (values) => values.reduce((count, p) => count + (isAwake(p) ? 1 : 0), 0);

/** Everything about one word in the network of one layer; `pre` and `hidden` are of all words, [words, units]. */
export async function loadWord({trace, model, kind, layer, query}) {
  const stack = stackOf(kind);
  const at = `${stack}.${layer}.feed_forward`;
  const {x: entry} = sitesOf({stack, layer, name: "feed_forward"}, model.config);
  const [x, pre, hidden, output] = await Promise.all([
    site(trace, entry, {row: query}),
    site(trace, `${at}.pre_activation`),
    site(trace, `${at}.hidden`),
    site(trace, `${at}.output`, {row: query}),
  ]);
  return {
    trace,
    stack,
    layer,
    query,
    at,
    entry,
    side: stack === "encoder" ? "source" : "target",
    labels: labelsOf(kind, trace.tokens),
    parameters: `${stack}.layers.${layer}.feed_forward`,
    x: x.data,
    pre,
    hidden,
    output: output.data,
    p: pre.part(query).data,
    h: hidden.part(query).data,
    activation: ACTIVATIONS[model.config.activation],
  };
}

/** The part of W_1 or W_2 ("inner", "outer") that belongs to one unit: as many numbers as x has. */
async function ofUnit(model, name, unit) {
  if (!isFile) return (await ofModel(model, `weights/${name}`, {unit})).data;
  const {
    data,
    shape: [rows, columns],
  } = await weights(model, name);
  return name.endsWith("inner.weight")
    ? data.subarray(unit * columns, (unit + 1) * columns)
    : Float32Array.from({length: rows}, (_, i) => data[i * columns + unit]);
}

/** What one unit multiplies with, and what it writes: its column of W_1, its number of b_1, its row of W_2. */
export async function loadUnit({model, parameters, unit}) {
  const [hears, biases, writes] = await Promise.all([
    ofUnit(model, `${parameters}.inner.weight`, unit),
    weights(model, `${parameters}.inner.bias`),
    ofUnit(model, `${parameters}.outer.weight`, unit),
  ]);
  return {unit, hears, bias: biases.data[unit], writes};
}

/** The activation of one unit, from x on: products, bias, activation. */
export function unitByHand({one, own}) {
  const {unit, hears, bias} = own;
  const products = productsOf(one.x, hears);
  const p = total(products) + bias;
  const h = one.activation.of(p);
  return {
    lines: [
      ...linesOf(products, (i) => `x[${i}] × W₁[${i}, ${unit}] = ${short(one.x[i])} × ${short(hears[i])}`),
      {text: `b₁[${unit}]`, value: bias},
      {text: t("feed_forward.hand_sum", {unit}), value: p},
      {text: `h[${unit}] = ${one.activation.formula(bracketed(p))}`, value: h},
    ],
    computed: h,
    shown: one.h[unit],
  };
}

/** A number as it stands inside of a formula: in brackets below zero. */
export const bracketed = (value) => (value < 0 ? `(${short(value, 6)})` : short(value, 6));

/**
 * One number of the output: what the strongest units write there, the others, the bias. `weight` is W_2 as torch stores
 * it, [d_model, units].
 */
export function sumByHand({one, weight, bias, at}) {
  const row = weight.part(at).data;
  const terms = productsOf(one.h, row);
  return {
    lines: [
      ...linesOf(terms, (unit) => `h[${unit}] × W₂[${unit}, ${at}] = ${short(one.h[unit])} × ${short(row[unit])}`),
      {text: `b₂[${at}]`, value: bias[at]},
    ],
    computed: total(terms) + bias[at],
    shown: one.output[at],
  };
}

/**
 * The output taken apart: what each of the `most` units writes that write the longest vectors (fewer where fewer write
 * at all), the others together, the bias, and the sum of all, each a vector; in double precision.
 */
export function partsOf({one, weight, bias, most}) {
  const [width, units] = weight.shape;
  const squares = new Float64Array(units);
  for (let i = 0; i < width; i += 1)
    for (let unit = 0; unit < units; unit += 1) squares[unit] += weight.data[i * units + unit] ** 2;
  const lengths = squares.map((square, unit) => Math.sqrt(square) * Math.abs(one.h[unit]));
  const strongest = Array.from(lengths.keys())
    .filter((unit) => lengths[unit] > 0)
    .sort((a, b) => lengths[b] - lengths[a] || a - b)
    .slice(0, most);
  const vectors = strongest.map((unit) =>
    Float64Array.from({length: width}, (_, i) => one.h[unit] * weight.data[i * units + unit]),
  );
  const chosen = new Set(strongest);
  const rest = new Float64Array(width);
  for (let i = 0; i < width; i += 1)
    for (let unit = 0; unit < units; unit += 1)
      if (!chosen.has(unit)) rest[i] += one.h[unit] * weight.data[i * units + unit];
  const few = Float64Array.from(rest, (_, i) => total(vectors.map((vector) => vector[i])));
  return {strongest, lengths, vectors, rest, few, sum: rest.map((value, i) => value + few[i] + bias[i])};
}
