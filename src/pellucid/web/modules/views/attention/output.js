// From heads to the output of an attention: the contexts of all heads through W_O, and what each head adds.
import {html, useMemo} from "pellucid/ui";
import {ofTrace, site, useData, weights} from "pellucid/data";
import {Figure, Waiting} from "pellucid/pictures/figure";
import {Matrix, Strip} from "pellucid/pictures/matrix";
import {dot, largest, norm, percent, ranking, short, total} from "pellucid/numbers";
import {headColour} from "pellucid/pictures/palette";
import {place} from "pellucid/sites";
import {indexOf, setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {pronounOf} from "pellucid/tour_stops";
import {Formula, NamedStrip, Symbol, headOf, numbers, placed, rowName} from "pellucid/views/attention/parts";
import {SignedBar} from "pellucid/views/attention/products";
import {linesOf, productsOf, rowsOf, transpose} from "pellucid/views/attention/sums";
import {useWidth} from "pellucid/pictures/width";

const WIDEST_DRAWN = 512; // W_O of a wider model is several megabytes

/** One row before and after W_O: the contexts of all heads side by side, and the output. */
export async function loadOutput({trace, model, kind, layer, query}) {
  const at = place(kind, layer);
  const [concatenated, output] = await Promise.all(
    ["concatenated", "output"].map((name) => site(trace, `${at}.${name}`, {row: query})),
  );
  return {
    ...placed({trace, kind, layer}),
    query,
    numHeads: model.config.num_heads,
    concatenated: concatenated.data,
    output: output.data,
  };
}

/** The same, and what each head and the bias add to the output. */
export async function loadShares(what) {
  const [row, vectors] = await Promise.all([
    loadOutput(what),
    ofTrace(what.trace, `shares/${place(what.kind, what.layer)}`, {row: what.query}),
  ]);
  const parts = rowsOf(vectors);
  return {...row, shares: parts.slice(0, -1), bias: parts.at(-1)};
}

/** The contexts of all heads side by side, through W_O to the output. */
export function Concatenated({one, model, state}) {
  const {concatenated, output, numHeads, trace, query} = one;
  const [frame, whole] = useWidth(656);
  const room = whole - 16; // the colours of the heads stand beside W_O
  const head = headOf(state);
  const width = concatenated.length / numHeads;
  const at = indexOf(state, "heads.dimension", output.length);
  const map = useData(output.length <= WIDEST_DRAWN ? `${model.id} ${one.parameters} output` : null, () =>
    weights(model, `${one.parameters}.output.weight`),
  );
  const recompute = async () => {
    const [matrix, bias] = (
      await Promise.all(["weight", "bias"].map((part) => weights(model, `${one.parameters}.output.${part}`)))
    ).map(({data}) => data);
    const products = productsOf(concatenated, matrix.subarray(at * output.length, (at + 1) * output.length));
    const sums = Array.from({length: numHeads}, (_, h) =>
      total(Array.from(products.subarray(h * width, (h + 1) * width))),
    );
    return {
      lines: [
        ...sums.map((value, h) => ({
          text: t("heads.part_line", {head: h, from: h * width, to: (h + 1) * width - 1, at}),
          value,
        })),
        {text: `b_O[${at}]`, value: bias[at]},
      ],
      computed: total(sums) + bias[at],
      shown: output[at],
    };
  };
  const table = () => ({
    columns: [t("attention.dimension"), t("heads.head"), t("heads.concatenated_column"), t("heads.output_column")],
    rows: Array.from(concatenated, (value, i) => [i, Math.floor(i / width), value, output[i]]),
  });
  return html`
    <${Figure}
      frame=${frame} name="heads-concatenated" title=${t("heads.concatenated")} provenance=${trace.provenance}
      table=${table} recompute=${recompute} subject=${`${one.at} ${query} ${at}`}
      says=${t("heads.concatenated_says", {name: rowName(one, query), n: numHeads, d: width, width: output.length})}
      caption=${t("heads.concatenated_caption", {at, parameters: `${one.parameters}.output`})}
    >
      <div class="vectors">
        <div class="vector">
          <p class="vector-name">
            <${Symbol} letter="z" /> <small>${t("heads.side_by_side", {n: numHeads, d: width})}</small>
          </p>
          <div class="head-brackets" style=${{width: `${room}px`}}>
            ${Array.from(
              {length: numHeads},
              (_, h) => html`
                <button
                  key=${h} type="button" aria-pressed=${h === head} aria-label=${`${t("heads.head")} ${h}`}
                  onClick=${() => setState({heads: [h]})} style=${{borderColor: headColour(h)}}
                >
                  ${h}
                </button>
              `,
            )}
          </div>
          <${Strip}
            values=${concatenated} width=${room} height=${26} name="z"
            describe=${(i) =>
              t("heads.cell", {head: Math.floor(i / width), i: i % width, value: short(concatenated[i])})}
            onSelect=${(i) => setState({heads: [Math.floor(i / width)]})}
          />
        </div>
        <div class="vector">
          <p class="vector-name">
            <span class="formula">× <${Formula} text="W_O" /></span> <small>
              ${t("heads.matrix", {d: output.length})}
            </small>
          </p>
          ${
            output.length <= WIDEST_DRAWN
              ? html`<${Waiting} data=${map}>
                ${(weight) => html`<${OutputMap} ...${{weight, numHeads, head, at, room}} />`}
              <//>`
              : html`<p class="hint">${t("heads.too_wide")}</p>`
          }
        </div>
        <p class="vector-name"><span class="formula">+ <${Formula} text="b_O" /> =</span></p>
        <${NamedStrip}
          title=${html`<${Symbol} letter="output" />`} note=${numbers(output.length)} values=${output} room=${room}
          width=${room} height=${22} name=${t("heads.output_column")} selected=${at}
            onSelect=${(i) => setState({"heads.dimension": String(i)})}
            describe=${(i) => `output[${i}] = ${short(output[i])}`}
          />
      </div>
    <//>
  `;
}

/** W_O as in x W_O: one row for each input number, head by head, and one column for each number of the output. */
function OutputMap({weight, numHeads, head, at, room}) {
  const [width] = weight.shape;
  const turned = useMemo(() => transpose(weight.data, weight.shape), [weight]);
  const height = Math.max(numHeads * 14, 180);
  return html`<div class="banded">
    <${Matrix}
      values=${turned} shape=${[width, width]} rows=${null} columns=${null}
      scale=${{kind: "diverging", most: Math.max(largest(turned), 1e-12)}} cell=${[room / width, height / width]}
      isQuiet name="W_O" selected=${[null, at]} onSelect=${(_, i) => setState({"heads.dimension": String(i)})}
      describe=${(i, j) => `W_O[${i}, ${j}] = ${short(turned[i * width + j])}`}
    />
    <div class="bands" style=${{height: `${height}px`}} aria-hidden="true">
      ${Array.from(
        {length: numHeads},
        (_, h) => html`<span key=${h} style=${{background: headColour(h), opacity: h === head ? 1 : 0.45}}></span>`,
      )}
    </div>
  </div>`;
}

/** Before the lengths of the table: where it is measured what a head matters. */
const Worth = ({trace, model}) =>
  html`<p class="hint">
  ${t("heads.worth")} ${model.story && pronounOf(trace) >= 0 && t("heads.worth_story", model.story.writer)} <button
    type="button" onClick=${() => setState({view: "why", "why.show": "heads"})}
  >
    ${t("page.effect")}
  </button>
</p>`;

/** What each head adds: lengths, the part along the output, and the vectors themselves, which add up to it. */
export function Shares({one, model, state}) {
  const {shares, bias, output, trace, query, numHeads} = one;
  const [frame, room] = useWidth(640);
  const at = indexOf(state, "heads.dimension", output.length);
  const length = norm(output) || 1;
  const parts = [...shares, bias];
  const names = parts.map((_, h) => (h < numHeads ? `${t("heads.head")} ${h}` : "b_O"));
  const along = parts.map((part) => dot(part, output) / length);
  const norms = parts.map(norm);
  const most = Math.max(...norms, 1e-12);
  const order = ranking(Float64Array.from(norms.slice(0, numHeads)));
  const summed = useMemo(() => Float64Array.from(output, (_, i) => total(parts.map((part) => part[i]))), [one]);
  const stacked = useMemo(() => Float32Array.from([...parts, summed].flatMap((part) => Array.from(part))), [one]);
  const difference = largest(summed.map((value, i) => value - output[i]));
  const table = () => ({
    columns: [t("heads.part"), t("heads.length"), t("heads.along"), ...Array.from(output, (_, i) => `[${i}]`)],
    rows: [
      ...parts.map((part, h) => [names[h], norms[h], along[h], ...part]),
      [t("attention.sum"), norm(summed), total(along), ...summed],
      [t("heads.output_column"), norm(output), norm(output), ...output],
    ],
  });
  const rows = [...names, t("attention.sum")];
  return html`
    <${Figure}
      frame=${frame} name="heads-shares" title=${t("heads.shares")} provenance=${trace.provenance} table=${table}
      subject=${`${one.at} ${query} ${at}`} caption=${t("heads.shares_caption")}
      recompute=${() => ({
        lines: linesOf(
          Float64Array.from(parts, (part) => part[at]),
          (h) => `${names[h]}[${at}]`,
          parts.length,
        ),
        computed: total(parts.map((part) => part[at])),
        shown: output[at],
      })}
      says=${t("heads.shares_says", {
        name: rowName(one, query),
        head: order[0],
        length: short(norms[order[0]]),
        share: percent(along[order[0]] / length),
        difference: short(difference, 2),
      })}
    >
      <${Worth} trace=${trace} model=${model} />
      <div class="side-by-side">
        <table class="steps">
          <thead>
            <tr>
              <th scope="col">${t("heads.part")}</th><th scope="col">${t("heads.length")}</th><th></th>
              <th scope="col">${t("heads.along")}</th><th></th>
            </tr>
          </thead>
          <tbody>
            ${parts.map(
              (part, h) => html`
                <tr
                  key=${h} class=${h === headOf(state) ? "pinned" : ""}
                  onClick=${() => h < numHeads && setState({heads: [h]})}
                >
                  <th scope="row">
                    ${h < numHeads && html`<span class="head-mark" style=${{background: headColour(h)}}></span> `}
                    ${names[h]}
                  </th>
                  <td class="number">${short(norms[h])}</td>
                  <td>
                    <span
                      class="length-bar"
                      style=${{
                        width: `${(norms[h] / most) * 7}rem`,
                        background: h < numHeads ? headColour(h) : "var(--soft)",
                      }}
                    ></span>
                  </td>
                  <td class="number">${short(along[h])}</td>
                  <td>
                    <${SignedBar}
                      value=${along[h]} most=${Math.max(...along.map(Math.abs), 1e-12)}
                      colour=${h < numHeads ? headColour(h) : null}
                    />
                  </td>
                </tr>
              `,
            )}
          </tbody>
          <tfoot>
            <tr>
              <th scope="row">${t("attention.sum")}</th><td></td><td></td><td class="number">${short(total(along))}</td>
              <td>${t("heads.is_length")}</td>
            </tr>
          </tfoot>
        </table>
        <${Matrix}
          values=${stacked} shape=${[rows.length, output.length]} rows=${rows} columns=${null}
          scale=${{kind: "diverging", most: Math.max(largest(stacked), 1e-12)}}
          cell=${[Math.max((room - 90) / output.length, 0.5), 16]} name=${t("heads.vectors")} rowTitle=""
          selected=${[null, at]} onSelect=${(_, i) => setState({"heads.dimension": String(i)})}
          describe=${(h, i) => `${rows[h]} [${i}] = ${short(stacked[h * output.length + i])}`}
        />
      </div>
    <//>
  `;
}
