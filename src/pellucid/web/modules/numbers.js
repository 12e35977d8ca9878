// Numbers as people read them, and the arithmetic that "recompute by hand" does, in double precision.

const MINUS = "\u2212";

/** Four significant digits; very small and very large ones with a power of ten. */
export function short(value, digits = 4) {
  if (value === undefined || value === null) return "";
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : MINUS + "∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size < 1e-4 || size >= 1e7 ? size.toExponential(digits - 1) : String(Number(size.toPrecision(digits)));
  return (value < 0 ? MINUS : "") + text;
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

export const percent = (value, digits = 3) => `${short(value * 100, digits)} %`;

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
  const total = raised.reduce((sum, value) => sum + value, 0);
  return Float64Array.from(raised, (value) => value / total);
}

/** {mean, variance, normalised, result} of one vector (Ba et al. 2016); the variance divides by n. */
export function layerNorm(x, gain, bias, epsilon) {
  const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
  const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
  const normalised = Float64Array.from(x, (value) => (value - mean) / Math.sqrt(variance + epsilon));
  return {mean, variance, normalised, result: normalised.map((value, i) => value * gain[i] + bias[i])};
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
