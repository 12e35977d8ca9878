// Steps 2 to 6 of self-attention as one table: a row for every position that is looked at, from q · k to weight × v.
import {html} from "pellucid/ui";
import {Figure} from "pellucid/pictures/figure";
import {Said, linked} from "pellucid/pictures/said";
import {Thumbnail} from "pellucid/pictures/matrix";
import {exact, percent, ranking, short, total} from "pellucid/numbers";
import {Setting, settingOf} from "pellucid/pickers";
import {isOver, setHover, setState, useHover} from "pellucid/state";
import {t} from "pellucid/texts";
import {pieceText} from "pellucid/tokens";
import {quoted, rowKey, rowName} from "pellucid/views/attention/parts";
import {rowsOf, scaleOf, weight} from "pellucid/views/attention/sums";

const MOST_ROWS = 40;
const ORDERS = ["order", "weight"];

/** The columns in double precision, from the model's own scaled scores; masked positions count as nothing. */
function columnsOf({scaled, mayAttend}) {
  const may = (j) => mayAttend[j] === 1;
  const most = Math.max(...Array.from(scaled).filter((_, j) => may(j)));
  const raised = Array.from(scaled, (value, j) => (may(j) ? Math.exp(value - most) : 0));
  return {most, raised, sum: total(raised), may};
}

export function Scores({one, state, pinned, looked}) {
  const {trace, kind, layer, head, query, labels, scores, scaled, weights} = one;
  const {most, raised, sum, may} = columnsOf(one);
  const root = Math.sqrt(one.q.length);
  const order = settingOf(state, "attention.rows", ORDERS) === "weight" ? ranking(weights) : Array.from(scores.keys());
  const {shown, hiddenShare} = windowOf(order, weights, pinned, state["attention.whole"] === "1");
  const weighted = rowsOf(one.values).map((value, j) => Float32Array.from(value, (x) => x * weights[j]));
  const scale = scaleOf(one.values.data);
  const sumScale = scaleOf(...weighted, one.context);
  const at = pinned ?? looked;
  const table = () => ({
    columns: [
      t("word.position"),
      t("word.piece"),
      "q · k",
      `q · k ÷ √${one.q.length}`,
      t("attention.may_column"),
      "exp",
      t("attention.weight"),
      ...Array.from(one.context, (_, i) => `${t("attention.weight")} × v[${i}]`),
    ],
    rows: Array.from(scores, (score, j) => [
      j,
      labels.columns[j],
      score,
      scaled[j],
      may(j) ? t("attention.yes") : t("attention.no"),
      raised[j],
      weights[j],
      ...weighted[j],
    ]),
  });
  const [second] = ranking(weights).slice(1);
  const next = second === undefined ? "" : linked(quoted(labels.columns[second]), one.sides.columns, second);
  return html`
    <${Figure}
      name="attention-scores" subject=${`${rowKey(trace, kind, layer, head, query)} ${at}`}
      title=${t("attention.scores", {name: rowName(one, query)})} provenance=${trace.provenance} table=${table}
      says=${html`<${Said} text=${
        t("attention.scores_says", {
          name: rowName(one, query),
          first: linked(quoted(labels.columns[looked]), one.sides.columns, looked),
          score: short(scores[looked]),
          d: one.q.length,
          root: short(root),
          scaled: short(scaled[looked]),
          share: percent(weights[looked]),
        }) + (second === undefined ? "" : ` ${t("attention.scores_next", {next, share: percent(weights[second])})}`)
      } />`}
      recompute=${() => weight(one.q, one.keys, Array.from(one.mayAttend), at, weights[at])}
      caption=${
        t("attention.scores_caption", {most: short(most, 6), sum: short(sum, 6), piece: quoted(labels.columns[at])}) +
        (kind === "decoder" ? ` ${t("attention.masked_caption")}` : "")
      }
    >
      ${
        scores.length > 8 &&
        html`<div class="controls">
          <${Setting}
            state=${state} name="attention.rows" label=${t("attention.rows")}
            options=${ORDERS.map((name) => [name, t(`attention.rows_${name}`)])}
          />
        </div>`
      }
      <table class="steps scores" onKeyDown=${(event) => event.key === "Escape" && setState({key: null})}>
        <thead>
          <tr>
            <th scope="col">${t("attention.column_piece")}</th><th scope="col">q · k</th>
            <th scope="col">÷ √${one.q.length}<small>= ÷ ${short(root)}</small></th>
            <th scope="col">exp<small>${t("attention.column_exp", {most: short(most)})}</small></th>
            <th scope="col">softmax<small>÷ ${short(sum)}</small></th><th></th>
            <th scope="col">v<small>${t("attention.column_value")}</small></th>
            <th scope="col">softmax × v<small>${t("attention.column_sum")}</small></th>
          </tr>
        </thead>
        <tbody>
          ${shown.map(
            (j) => html`
              <${Row}
                key=${j}
                ...${{
                  one,
                  j,
                  raised: raised[j],
                  may: may(j),
                  isPinned: pinned === j,
                  value: one.values.part(j).data,
                  weighted: weighted[j],
                  scale,
                  sumScale,
                }}
              />
            `,
          )}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">${t("attention.sum")}</th><td></td><td></td><td class="number">${short(sum)}</td>
            <td class="number">${short(Number(total(Array.from(weights)).toFixed(6)))}</td><td></td>
            <td class="number"><i class="letter">z</i> =</td>
            <td>
              <${Thumbnail}
                values=${one.context} shape=${[1, one.context.length]} scale=${sumScale} size=${120} height=${18}
                label="z"
              />
            </td>
          </tr>
        </tfoot>
      </table>
      ${
        scores.length > MOST_ROWS &&
        html`<p class="paging">
          ${t(hiddenShare === null ? "attention.all_rows" : "attention.hidden_rows", {
            n: scores.length - shown.length,
            all: scores.length,
            share: percent(hiddenShare ?? 0),
          })}
          <button onClick=${() => setState({"attention.whole": hiddenShare === null ? "" : "1"})}>
            ${t(hiddenShare === null ? "attention.show_most" : "attention.show_all", {
              n: MOST_ROWS,
              all: scores.length,
            })}
          </button>
        </p>`
      }
    <//>
  `;
}

/** Of many rows those with the largest weights, in the order asked for, and what the others have together. */
function windowOf(order, weights, pinned, isWhole) {
  if (order.length <= MOST_ROWS || isWhole) return {shown: order, hiddenShare: null};
  const kept = new Set(ranking(weights).slice(0, MOST_ROWS));
  if (pinned !== null) kept.add(pinned);
  return {
    shown: order.filter((j) => kept.has(j)),
    hiddenShare: total(Array.from(weights).filter((_, j) => !kept.has(j))),
  };
}

function Row({one, j, raised, may, isPinned, value, weighted, scale, sumScale}) {
  const {labels, sides, scores, scaled, weights} = one;
  const hover = useHover();
  const side = sides.columns;
  const piece = pieceText(labels.columns[j]);
  const width = value.length;
  const choose = () => {
    setState({key: isPinned ? null : j});
    if (!isPinned)
      requestAnimationFrame(() =>
        document.querySelector('[data-figure="attention-products"]')?.scrollIntoView({block: "nearest"}),
      );
  };
  return html`
    <tr
      class=${`${isOver(hover, side, j) ? "hovered" : ""} ${isPinned ? "pinned" : ""} ${may ? "" : "masked"}`}
      onPointerEnter=${() => setHover({side, position: j})} onPointerLeave=${() => setHover(null)}
    >
      <th scope="row"><span class="count">${j}</span> <bdi dir="auto">${piece}</bdi></th>
      <td class="number">
        <button
          type="button" class="product" aria-pressed=${isPinned}
          aria-label=${t("attention.open_product", {piece, value: short(scores[j])})} title=${exact(scores[j])}
          onClick=${choose}
        >
          ${short(scores[j])}
        </button>
      </td>
      <td class="number" title=${exact(scaled[j])}>${short(scaled[j])}</td>
      <td class="number">${may ? short(raised) : html`<span class="masked-mark">${t("attention.masked")}</span>`}</td>
      <td class="number" title=${exact(weights[j])}>${may ? short(weights[j]) : "0"}</td>
      <td class="weight"><span class="bar" style=${{width: `${(weights[j] * 100).toFixed(2)}%`}}></span></td>
      <td>
        <${Thumbnail}
          values=${value} shape=${[1, width]} scale=${scale} size=${120} height=${16} label=${`v ${piece}`}
        />
      </td>
      <td>
        <${Thumbnail}
          values=${weighted} shape=${[1, width]} scale=${sumScale} size=${120} height=${16}
          label=${`${short(weights[j])} × v ${piece}`}
        />
      </td>
    </tr>
  `;
}
