// Numbers as people read them, and the arithmetic that "recompute by hand" does, in double precision.

const MINUS = "\u2212";

/** Four significant digits; very small and very large ones with a power of ten. */
export function short(value, digits = 4) {
  if (value === undefined || value === null) return "";
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : MINUS + "∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  let text = size < 1e-4 || size >= 1e7 ? size.toExponential(digits - 1) : String(Number(size.toPrecision(digits)));
  // A share that is not all never reads 1.
  for (let more = digits + 1; text === "1" && Math.fround(size) < 1 && more <= 8; more += 1)
    text = String(Number(size.toPrecision(more)));
  return (value < 0 ? MINUS : "") + text.replace("e-", `e${MINUS}`);
}

/** The fewest digits that name this float32 and no other: for copies, CSV and hovering. */
export function full(value) {
  if (!Number.isFinite(value) || Number.isInteger(value)) return String(value);
  for (let digits = 6; digits <= 9; digits += 1) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === Math.fround(value)) return String(Number(text));
  }
  return String(value);
}

/** The same digits with the minus of printed numbers, for the eye and the ear; files and copies keep ASCII. */
export const exact = (value) => full(value).replaceAll("-", MINUS);

/** A text as it is copied: numbers that programs can read. */
export const plain = (text) => text.replace(/\u2212(?=[\d∞.])/g, "-");

/** A share as a percentage; one that is not all never reads 100 %, one that is not nothing never 0 %. */
export function percent(value, digits = 3) {
  const size = Math.abs(value) * 100;
  const hundred = Number(size.toPrecision(digits)) === 100;
  if (hundred && size < 100) return `${value < 0 ? `< ${MINUS}` : "> "}99.9 %`;
  if (hundred || size < 1e-4 || size >= 1000) return `${short(value * 100, digits)} %`;
  return `${value < 0 ? MINUS : ""}${size.toPrecision(digits)} %`;
}

const FEWEST_POINTS = 0.001;

/** A difference of two shares in percentage points, with its sign; a tiny one without a power of ten. */
export function points(change, digits = 3) {
  const value = change * 100;
  if (value === 0 || Math.abs(value) >= FEWEST_POINTS) return `${value > 0 ? "+" : ""}${short(value, digits)}`;
  return value > 0 ? `< ${FEWEST_POINTS}` : `> ${MINUS}${FEWEST_POINTS}`;
}

export const total = (values) => values.reduce((sum, value) => sum + value, 0);

export const mean = (values) => total(values) / values.length;

export function dot(left, right) {
  let sum = 0;
  for (let i = 0; i < left.length; i += 1) sum += left[i] * right[i];
  return sum;
}

/** x W^T + b for one vector; `weight` is [out, in] flat, as torch stores it. */
export function linear(x, weight, bias) {
  const width = x.length;
  return Float64Array.from(bias, (b, out) => dot(x, weight.subarray(out * width, (out + 1) * width)) + b);
}

/** softmax over the positions that may be attended to; the others get exactly 0. */
export function softmax(values, mayAttend = null) {
  const allowed = Array.from(values, (value, i) => (mayAttend === null || mayAttend[i] ? value : -Infinity));
  const most = Math.max(...allowed);
  const raised = allowed.map((value) => Math.exp(value - most));
  const sum = total(raised);
  return Float64Array.from(raised, (value) => value / sum);
}

/** {mean, variance, normalised, result} of one vector (Ba et al. 2016); the variance divides by n. */
export function layerNorm(x, gain, bias, epsilon) {
  const middle = mean(x);
  const variance = mean(Float64Array.from(x, (value) => (value - middle) ** 2));
  const normalised = Float64Array.from(x, (value) => (value - middle) / Math.sqrt(variance + epsilon));
  return {mean: middle, variance, normalised, result: normalised.map((value, i) => value * gain[i] + bias[i])};
}

export const norm = (x) => Math.sqrt(dot(x, x));

export const cosine = (x, y) => dot(x, y) / (norm(x) * norm(y) || 1);

/** The largest absolute value: the bound of a scale with zero in its middle. */
export function largest(values) {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most;
}

/** Indices from the largest value to the smallest; the lower index first where two are equal. */
export const ranking = (values) => Array.from(values.keys()).sort((a, b) => values[b] - values[a] || a - b);

/** Indices of the terms of a sum, the largest without regard to sign first. */
export const bySize = (terms) => ranking(Float64Array.from(terms, Math.abs));
