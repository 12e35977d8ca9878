// Two sums opened: the products behind one q · k, and the weighted values behind one number of the context.
import {html} from "pellucid/ui";
import {Figure} from "pellucid/pictures/figure";
import {bySize, exact, percent, short, total} from "pellucid/numbers";
import {Setting, settingOf} from "pellucid/pickers";
import {indexOf, setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {pieceText} from "pellucid/tokens";
import {NamedStrip, Symbol, numbers, quoted, rowKey, rowName, stripWidth} from "pellucid/views/attention/parts";
import {context, productsOf, rowsOf, score} from "pellucid/views/attention/sums";
import {useWidth} from "pellucid/pictures/width";

const MOST_LISTED = 128;
const ORDERS = ["size", "dimension"];

/** q · k taken apart: query, key and their products one above the other, and the running sum. */
export function Products({one, state, at}) {
  const {q, keys, scores, labels, trace, query} = one;
  const [frame, room] = useWidth(480);
  const key = keys.part(at).data;
  const products = productsOf(q, key);
  const isSorted = settingOf(state, "attention.order", ORDERS) === "size";
  const order = isSorted ? bySize(products) : Array.from(products.keys());
  let sum = 0;
  const running = order.map((i) => (sum += products[i]));
  const [asks, looked] = [labels.rows[query], labels.columns[at]];
  const names = {q: pieceText(asks), k: pieceText(looked)};
  const arranged = (values) => Float64Array.from(order, (i) => values[i]);
  const width = stripWidth(q.length, room);
  const strip = (values, letter, of) =>
    html`<${NamedStrip}
    title=${html`<${Symbol} letter=${letter} of=${of} />`} values=${arranged(values)} room=${room} height=${20}
    name=${letter} describe=${(place) => `${letter}[${order[place]}] = ${short(values[order[place]])}`}
  />`;
  const table = () => ({
    columns: [t("attention.dimension"), "q", "k", "q × k", t("attention.running")],
    rows: order.map((i, place) => [i, q[i], key[i], products[i], running[place]]),
  });
  return html`
    <${Figure}
      frame=${frame} name="attention-products"
      subject=${`${rowKey(trace, one.kind, one.layer, one.head, query)} ${at} ${isSorted}`}
      title=${t("attention.products", {asks: quoted(asks), looked: quoted(looked)})}
      says=${[
        t("attention.products_says", {n: q.length, sum: short(scores[at])}),
        largestTerm(products, (i) => t("attention.in_dimension", {i}), scores[at]),
      ].join(" ")}
      caption=${t("attention.products_caption")} provenance=${trace.provenance} table=${table}
      recompute=${() => score(q, key, scores[at])}
    >
      <div class="controls">
        <${Setting}
          state=${state} name="attention.order" label=${t("attention.order")}
          options=${ORDERS.map((name) => [name, t(`attention.order_${name}`)])}
        /> <button type="button" onClick=${() => setState({key: null})}>${t("attention.close")}</button>
      </div>
      <div class="side-by-side">
        <div class="vectors">
          ${strip(q, "q", names.q)}${strip(key, "k", names.k)}${strip(products, "q × k", undefined)}
          <${Running} ...${{running, width}} />
        </div>
        <div class="table-window" tabindex="0" role="region" aria-label=${t("attention.products_list")}>
          <table>
            <thead>
              <tr>
                <th scope="col">${t("attention.dimension")}</th><th scope="col">q</th><th scope="col">k</th>
                <th scope="col">q × k</th><th scope="col">${t("attention.running")}</th>
              </tr>
            </thead>
            <tbody>
              ${order.slice(0, MOST_LISTED).map(
                (i, place) => html`
                  <tr key=${i}>
                    <td class="number">${i}</td>
                    ${[q[i], key[i], products[i], running[place]].map(
                      (value, n) => html`<td key=${n} class="number" title=${exact(value)}>${short(value)}</td>`,
                    )}
                  </tr>
                `,
              )}
            </tbody>
          </table>
        </div>
      </div>
      ${
        order.length > MOST_LISTED &&
        html`<p class="hint">
          ${t("attention.products_rest", {
            n: order.length - MOST_LISTED,
            sum: short(total(order.slice(MOST_LISTED).map((i) => products[i]))),
          })}
        </p>`
      }
    <//>
  `;
}

/** The running sum as a line around zero, under the cells that it has added so far; it ends at the whole. */
export function Running({running, width}) {
  const height = 90;
  const most = Math.max(...running.map(Math.abs), 1e-12);
  const y = (value) => height / 2 - (value / most) * (height / 2 - 12);
  const x = (place) => ((place + 1) * width) / running.length;
  const end = running.length - 1;
  return html`<div class="vector">
    <p class="vector-name">${t("attention.running")}</p>
    <svg
      class="running" width=${Math.max(width, 90)} height=${height} role="img"
      aria-label=${t("attention.running_says", {sum: short(running[end])})}
    >
      <line class="zero" x1="0" x2=${width} y1=${height / 2} y2=${height / 2} />
      <polyline
        class="line"
        points=${[
          `0,${height / 2}`,
          ...running.map((value, place) => `${x(place).toFixed(1)},${y(value).toFixed(1)}`),
        ].join(" ")}
      />
      <circle class="end" cx=${width - 4} cy=${y(running[end])} r="4" />
      <text
        class="label" x=${width < 90 ? 0 : width} y=${running[end] < 0 ? y(running[end]) - 10 : y(running[end]) + 20}
        text-anchor=${width < 90 ? "start" : "end"}
      >
        ${short(running[end])}
      </text>
    </svg>
  </div>`;
}

/** The context z: the strip, and for one of its numbers what each position gives. */
export function Context({one, state}) {
  const {trace, weights, values, labels, query, context: z} = one;
  const [frame, room] = useWidth(480);
  const at = indexOf(state, "attention.at", z.length);
  const column = rowsOf(values).map((value) => value[at]);
  const terms = productsOf(weights, column);
  const order = bySize(terms);
  const first = order.slice(0, 12);
  const most = Math.max(...Array.from(terms, Math.abs), 1e-12);
  const table = () => ({
    columns: [
      t("word.position"),
      t("word.piece"),
      t("attention.weight"),
      `v[${at}]`,
      `${t("attention.weight")} × v[${at}]`,
    ],
    rows: Array.from(terms, (term, j) => [j, labels.columns[j], weights[j], column[j], term]),
  });
  const rest = order.slice(first.length);
  return html`
    <${Figure}
      frame=${frame} name="attention-context" subject=${`${rowKey(trace, one.kind, one.layer, one.head, query)} ${at}`}
      title=${t("attention.context", {name: rowName(one, query)})} provenance=${trace.provenance} table=${table}
      says=${[
        t("attention.context_says", {d: z.length, n: weights.length, at, value: short(z[at])}),
        largestTerm(terms, (j) => quoted(labels.columns[j]), z[at]),
      ].join(" ")}
      caption=${t("attention.context_caption", {site: `${one.at}.context`, head: one.head})}
      recompute=${() => context(weights, values, at, (j) => quoted(labels.columns[j]), z[at])}
    >
      <${NamedStrip}
        isResult title=${html`<${Symbol} letter="z" of=${pieceText(labels.rows[query])} />`} note=${numbers(z.length)}
        values=${z} room=${room} height=${22} name="z" selected=${at}
        onSelect=${(i) => setState({"attention.at": String(i)})} describe=${(i) => `z[${i}] = ${short(z[i])}`}
      />
      <table class="steps terms">
        <thead>
          <tr>
            <th scope="col">${t("attention.column_piece")}</th><th scope="col">softmax</th><th scope="col">v[${at}]</th>
            <th scope="col">softmax × v[${at}]</th><th></th>
          </tr>
        </thead>
        <tbody>
          ${first.map(
            (j) => html`
              <tr key=${j}>
                <th scope="row">
                  <span class="count">${j}</span> <bdi dir="auto">${pieceText(labels.columns[j])}</bdi>
                </th>
                <td class="number" title=${exact(weights[j])}>${short(weights[j])}</td>
                <td class="number" title=${exact(column[j])}>${short(column[j])}</td>
                <td class="number" title=${exact(terms[j])}>${short(terms[j])}</td>
                <td><${SignedBar} value=${terms[j]} most=${most} /></td>
              </tr>
            `,
          )}
          ${
            rest.length > 0 &&
            html`<tr>
              <th scope="row">${t("sum.rest", {n: rest.length})}</th>
              <td class="number">${percent(total(rest.map((j) => weights[j])))}</td><td></td>
              <td class="number">${short(total(rest.map((j) => terms[j])))}</td><td></td>
            </tr>`
          }
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">${t("attention.sum")} = z[${at}]</th><td></td><td></td>
            <td class="number" title=${exact(z[at])}>${short(z[at])}</td><td></td>
          </tr>
        </tfoot>
      </table>
    <//>
  `;
}

/** What the largest term of a sum is, and that it may be larger than the sum where others are below zero. */
const largestTerm = (terms, name, sum) => {
  const [i] = bySize(terms);
  const isOver = Math.abs(terms[i]) > Math.abs(sum);
  return t(isOver ? "sum.largest_over" : "sum.largest", {name: name(i), term: short(terms[i])});
};

/** A bar to the left of the middle below zero, to its right above. */
export function SignedBar({value, most, colour}) {
  const share = Math.min(Math.abs(value) / most, 1) * 50;
  return html`<span class="signed" aria-hidden="true">
    <span
      class=${value < 0 ? "below" : "above"}
      style=${{
        width: `${share}%`,
        insetInlineStart: value < 0 ? `${50 - share}%` : "50%",
        ...(colour ? {background: colour} : {}),
      }}
    ></span>
  </span>`;
}
