// The arithmetic behind one attention, for "recompute by hand": from vectors and weights of the model, in double
// precision, every step as a line. Read attention.js next.
import {bySize, dot, largest, short, total} from "pellucid/numbers";
import {t} from "pellucid/texts";

/** The terms of a sum as lines: the largest one by one, all others together. `name(i)` says what term i is. */
export function linesOf(terms, name, most = 6) {
  const order = bySize(terms);
  const rest = order.slice(most);
  const lines = order.slice(0, most).map((i) => ({text: name(i), value: terms[i]}));
  if (rest.length) lines.push({text: t("sum.rest", {n: rest.length}), value: total(rest.map((i) => terms[i]))});
  return lines;
}

/** The products of two vectors, number by number. */
export const productsOf = (left, right) => Float64Array.from(left, (value, i) => value * right[i]);

/** One number of x W + b; `matrix` [out, in] and `bias` [out] as torch stores them. names: {input, weight, bias} */
export function projection(x, matrix, bias, index, names, shown) {
  const row = matrix.subarray(index * x.length, (index + 1) * x.length);
  const terms = productsOf(x, row);
  return {
    lines: [
      ...linesOf(
        terms,
        (i) => `${names.input}[${i}] × ${names.weight}[${i}, ${index}] = ${short(x[i])} × ${short(row[i])}`,
      ),
      {text: `${names.bias}[${index}]`, value: bias[index]},
    ],
    computed: total(terms) + bias[index],
    shown,
  };
}

/** q · k as the sum of its products. */
export function score(query, key, shown) {
  const terms = productsOf(query, key);
  return {
    lines: linesOf(terms, (i) => `q[${i}] × k[${i}] = ${short(query[i])} × ${short(key[i])}`),
    computed: total(terms),
    shown,
  };
}

/** One weight from queries and keys: product, division, exp, division by the sum over all allowed positions. */
export function weight(query, keys, mayAttend, key, shown) {
  const root = Math.sqrt(query.length);
  const scaled = rowsOf(keys).map((one) => dot(query, one) / root);
  const allowed = scaled.filter((_, j) => mayAttend[j]);
  const most = Math.max(...allowed);
  const sum = total(allowed.map((value) => Math.exp(value - most)));
  const raised = mayAttend[key] ? Math.exp(scaled[key] - most) : 0;
  return {
    lines: [
      {text: "q · k", value: scaled[key] * root},
      {text: t("sum.divided", {d: query.length, root: short(root, 6)}), value: scaled[key]},
      {text: t("sum.most"), value: most},
      mayAttend[key]
        ? {text: `exp(${short(scaled[key], 6)} − ${short(most, 6)})`, value: raised}
        : {text: t("sum.masked"), value: 0},
      {text: t("sum.exponentials", {n: allowed.length}), value: sum},
      {text: `${short(raised, 6)} ÷ ${short(sum, 6)}`, value: raised / sum},
    ],
    computed: raised / sum,
    shown,
  };
}

/** One number of the context: weights times one column of the values. */
export function context(weights, values, index, name, shown) {
  const column = rowsOf(values).map((one) => one[index]);
  const terms = productsOf(weights, column);
  return {
    lines: linesOf(terms, (j) => `${name(j)}: ${short(weights[j])} × ${short(column[j])}`, 8),
    computed: total(terms),
    shown,
  };
}

/** The rows of a Tensor [rows, columns] as a list. */
export const rowsOf = (tensor) => Array.from({length: tensor.shape[0]}, (_, i) => tensor.part(i).data);

/** A common scale around zero for several vectors. */
export const scaleOf = (...vectors) => ({kind: "diverging", most: Math.max(...vectors.map(largest), 1e-12)});

/** A matrix [rows, columns] turned on its side. */
export function transpose(values, [rows, columns]) {
  const turned = new Float32Array(values.length);
  for (let row = 0; row < rows; row += 1)
    for (let column = 0; column < columns; column += 1) turned[column * rows + row] = values[row * columns + column];
  return turned;
}
