// One unit opened: the products behind its pre-activation, its activation, what it writes; and the sum of what all of
// them write, which is the output. What is computed from weights comes with the word that it is of. Read words.js next.
import {html, useMemo} from "pellucid/ui";
import {isFile, useData, weights} from "pellucid/data";
import {addEdit, dropEdit, editAt} from "pellucid/editing/list";
import {Figure, Waiting} from "pellucid/pictures/figure";
import {Matrix} from "pellucid/pictures/matrix";
import {bySize, cosine, exact, largest, norm, short, total} from "pellucid/numbers";
import {Setting, settingOf} from "pellucid/pickers";
import {indexOf, setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {Formula, NamedStrip, Symbol, numbers, rowName, stripWidth} from "pellucid/views/attention/parts";
import {Running, SignedBar} from "pellucid/views/attention/products";
import {productsOf} from "pellucid/views/attention/sums";
import {bracketed, chooseUnit, loadUnit, partsOf, sumByHand, unitByHand} from "pellucid/views/feed_forward/parts";
import {useWidth} from "pellucid/pictures/width";

const LISTED = 6;
const STRONGEST = ["4", "8", "16", "32"];
const MOST_WEIGHTS = 1 << 22; // W_2 of the largest preset; one that is larger is not fetched for a picture

export function Unit(shared) {
  const {one, model, unit, ranked, state} = shared;
  const data = useData(`${one.trace.id} ${one.at} ${one.query} ${unit}`, async () => ({
    one,
    ranked,
    own: await loadUnit({model, parameters: one.parameters, unit}),
  }));
  return html`<${Waiting} data=${data}>${(all) => html`<${Opened} state=${state} ...${all} />`}<//>`;
}

/** Which unit is open: a number, or the next in the order of strength. */
function UnitPicker({unit, ranked, state, at, off}) {
  const rank = ranked.indexOf(unit);
  return html`<div class="controls unit-picker">
    <label class="slider">
      ${t("feed_forward.unit_label")} <input
        type="number" min="0" max=${ranked.length - 1} step="1" value=${unit}
        onChange=${(event) =>
          event.currentTarget.value !== "" &&
          chooseUnit(Math.min(Math.max(Math.trunc(Number(event.currentTarget.value)) || 0, 0), ranked.length - 1))}
      />
    </label>
    <span class="choice">
      <button type="button" disabled=${rank <= 0} onClick=${() => chooseUnit(ranked[rank - 1])}>
        ← ${t("feed_forward.stronger")}
      </button>
      <button type="button" disabled=${rank + 1 >= ranked.length} onClick=${() => chooseUnit(ranked[rank + 1])}>
        ${t("feed_forward.weaker")} →
      </button>
    </span>
    <button
      type="button" aria-pressed=${!state["feed_forward.unit"]}
      onClick=${() => setState({"feed_forward.unit": "", "feed_forward.from": ""})}
    >
      ${t("feed_forward.strongest")}
    </button>
    <span class="hint">${t("feed_forward.rank", {rank: rank + 1, n: ranked.length})}</span>
    <button
      type="button" role="switch" aria-checked=${!off} disabled=${isFile}
      onClick=${() => (off ? dropEdit(off) : addEdit(`${at}.unit.${unit}=zero`))}
    >
      ${t("editing.switch_unit", {unit})} <small>${t(off ? "editing.off" : "editing.on")}</small>
    </button>
  </div>`;
}

function Opened({one, own, state, ranked}) {
  const {x, trace, activation} = one;
  const {unit, hears, bias, writes} = own;
  const [frame, room] = useWidth(420);
  const [p, h] = [one.p[unit], one.h[unit]];
  const off = editAt(trace.provenance.edits, `${one.at}.unit.${unit}`);
  const products = productsOf(x, hears);
  const written = Float64Array.from(writes, (value) => h * value);
  let sum = bias;
  const running = Array.from(products, (value) => (sum += value));
  const order = bySize(products);
  const rest = order.slice(LISTED);
  const most = Math.max(...order.slice(0, LISTED).map((i) => Math.abs(products[i])), Math.abs(bias), 1e-12);
  const width = stripWidth(x.length, room);
  const strip = (title, values, name, scale) =>
    html`<${NamedStrip}
    title=${title} values=${values} most=${scale} room=${room} height=${20} name=${name}
    describe=${(i) => `${name}[${i}] = ${short(values[i])}`}
  />`;
  const table = () => ({
    columns: [
      t("attention.dimension"),
      "x",
      `W₁[·, ${unit}]`,
      `x × W₁[·, ${unit}]`,
      `W₂[${unit}, ·]`,
      `h × W₂[${unit}, ·]`,
    ],
    rows: Array.from(x, (value, i) => [i, value, hears[i], products[i], writes[i], written[i]]),
  });
  const line = (name, cells, value, key) => html`
    <tr key=${key}>
      <th scope="row">${name}</th>
      ${cells.map((cell, n) => html`<td key=${n} class="number" title=${exact(cell)}>${short(cell)}</td>`)}
      <td class="number" title=${exact(value)}>${short(value)}</td>
      <td><${SignedBar} value=${value} most=${most} /></td>
    </tr>
  `;
  const says = t(
    off
      ? "feed_forward.unit_off"
      : p > 0
        ? "feed_forward.unit_says"
        : activation.isCut
          ? "feed_forward.unit_silent"
          : "feed_forward.unit_faint",
    {
      unit,
      d: x.length,
      name: rowName(one, one.query),
      bias: short(bias),
      p: short(p),
      h: short(h),
      length: short(norm(written)),
    },
  );
  return html`
    <${Figure}
      frame=${frame} name="feed-forward-unit" title=${t("feed_forward.unit", {unit})} says=${says}
      caption=${t("feed_forward.unit_caption")} provenance=${trace.provenance} table=${table}
      recompute=${() => unitByHand({one, own})} subject=${`${trace.id} ${one.at} ${one.query} ${unit}`}
    >
      <${UnitPicker} ...${{unit, ranked, state, at: one.at, off}} />
      <div class="side-by-side">
        <div class="vectors">
          ${strip(html`<${Symbol} letter="x" />`, x, "x")}
          ${strip(
            html`
              <span class="formula">× <${Formula} text="W_1" />[·, ${unit}]</span> <small>
                ${t("feed_forward.hears")}
              </small>
            `,
            hears,
            `W₁[·, ${unit}]`,
          )}
          ${strip(
            html`<span class="formula">= x × <${Formula} text="W_1" />[·, ${unit}]</span>`,
            products,
            `x × W₁[·, ${unit}]`,
          )}
          <${Running} ...${{running, width}} />
        </div>
        <table class="steps compact">
          <thead>
            <tr>
              <th scope="col">${t("attention.dimension")}</th><th scope="col">x</th>
              <th scope="col"><${Formula} text="W_1" /></th><th scope="col">x × <${Formula} text="W_1" /></th><th></th>
            </tr>
          </thead>
          <tbody>
            ${order.slice(0, LISTED).map((i) => line(i, [x[i], hears[i]], products[i], i))}
            ${
              rest.length > 0 &&
              html`<tr>
                <th scope="row">${t("sum.rest", {n: rest.length})}</th><td></td><td></td>
                <td class="number">${short(total(rest.map((i) => products[i])))}</td><td></td>
              </tr>`
            }
            <tr>
              <th scope="row"><${Formula} text="b_1" />[${unit}]</th><td></td><td></td>
              <td class="number" title=${exact(bias)}>${short(bias)}</td>
              <td><${SignedBar} value=${bias} most=${most} /></td>
            </tr>
          </tbody>
          <tfoot>
            <tr>
              <th scope="row">${t("attention.sum")} = p[${unit}]</th><td></td><td></td>
              <td class="number pre-activation" title=${exact(p)}>${short(p)}</td><td></td>
            </tr>
          </tfoot>
        </table>
      </div>
      <p class="equation">
        <span class="formula">h[${unit}] = ${off ? "" : `${activation.formula(bracketed(p))} = `}</span>
        <b class="number activation-value" title=${exact(h)}>${short(h)}</b>
      </p>
      <div class="vectors">
        ${strip(
          html`
            <span class="formula"><${Formula} text="W_2" />[${unit}, ·]</span> <small>
              ${t("feed_forward.writes")}
            </small>
          `,
          writes,
          `W₂[${unit}, ·]`,
        )}
        ${strip(
          html`
            <span class="formula">h × <${Formula} text="W_2" />[${unit}, ·]</span> <small>
              ${t("feed_forward.written")}
            </small>
          `,
          written,
          `h × W₂[${unit}, ·]`,
          Math.max(largest(writes), largest(written), 1e-12),
        )}
      </div>
    <//>
  `;
}

export function Sum(shared) {
  const {one, model, state, unit} = shared;
  const isDrawn = one.p.length * one.x.length <= MOST_WEIGHTS;
  const data = useData(isDrawn ? `${one.trace.id} ${one.at} ${one.query} sum` : null, async () => {
    const [weight, bias] = await Promise.all(
      ["weight", "bias"].map((part) => weights(model, `${one.parameters}.outer.${part}`)),
    );
    return {one, weight, bias: bias.data};
  });
  if (!isDrawn) return html`<p class="hint">${t("feed_forward.too_wide", {n: one.p.length * one.x.length})}</p>`;
  return html`<${Waiting} data=${data}>${(all) => html`<${Added} ...${{state, unit}} ...${all} />`}<//>`;
}

/** The strongest units' vectors, the others', the bias: their sum is the output. */
function Added({one, state, unit, weight, bias}) {
  const {output, trace} = one;
  const [frame, room] = useWidth(500);
  const asked = settingOf(state, "feed_forward.most", STRONGEST, "8");
  const at = indexOf(state, "feed_forward.at", output.length);
  const parts = useMemo(() => partsOf({one, weight, bias, most: Number(asked)}), [one, weight, bias, asked]);
  const {strongest, lengths, vectors, rest, few, sum} = parts;
  const most = strongest.length;
  const others = one.h.length - most;
  const named = [
    ...strongest.map((own) => t("feed_forward.unit_is", {unit: own})),
    ...(others ? [t("feed_forward.others", {n: others})] : []),
    "b₂",
    t("attention.sum"),
  ];
  const rows = [...vectors, ...(others ? [rest] : []), Float64Array.from(bias), sum];
  const stacked = useMemo(() => Float32Array.from(rows.flatMap((row) => Array.from(row))), [parts]);
  const difference = largest(sum.map((value, i) => value - output[i]));
  const widest = Math.max(...rows.slice(0, -1).map((row) => Math.abs(row[at])), 1e-12);
  const table = () => ({
    columns: [t("heads.part"), "h", t("heads.length"), ...Array.from(output, (_, i) => `[${i}]`)],
    rows: [
      ...rows.map((row, n) => [named[n], one.h[strongest[n]] ?? "", norm(row), ...row]),
      ["FFN(x)", "", norm(output), ...output],
    ],
  });
  return html`
    <${Figure}
      frame=${frame} name="feed-forward-sum" title=${t("feed_forward.sum")} provenance=${trace.provenance}
      table=${table} subject=${`${trace.id} ${one.at} ${one.query} ${at} ${most}`}
      recompute=${() => sumByHand({one, weight, bias, at})}
      says=${t("feed_forward.sum_says", {
        units: one.h.length,
        difference: short(difference, 2),
        k: most,
        cosine: short(cosine(few, output), 3),
      })}
      caption=${t("feed_forward.sum_caption", {at})}
    >
      <div class="controls">
        <${Setting}
          state=${state} name="feed_forward.most" label=${t("feed_forward.most")} usual="8"
          options=${STRONGEST.map((own) => [own, own])}
        />
      </div>
      <${NamedStrip}
        isResult title=${html`<${Symbol} letter="FFN(x)" />`} note=${numbers(output.length)} values=${output}
        room=${room} height=${22} name="FFN(x)" selected=${at}
        onSelect=${(i) => setState({"feed_forward.at": String(i)})}
        describe=${(i) => `FFN(x)[${i}] = ${short(output[i])}`}
      />
      <div class="side-by-side">
        <table class="steps compact">
          <thead>
            <tr>
              <th scope="col">${t("heads.part")}</th><th scope="col">h</th><th scope="col">${t("heads.length")}</th>
              <th scope="col">[${at}]</th><th></th>
            </tr>
          </thead>
          <tbody>
            ${rows.slice(0, -1).map(
              (row, n) => html`
                <tr key=${named[n]} class=${strongest[n] === unit ? "pinned" : ""}>
                  <th scope="row">
                    ${
                      n < most
                        ? html`<button
                          type="button" class="product" aria-pressed=${strongest[n] === unit}
                          onClick=${() => chooseUnit(strongest[n])}
                        >
                          ${named[n]}
                        </button>`
                        : named[n]
                    }
                  </th>
                  <td class="number" title=${n < most ? exact(one.h[strongest[n]]) : undefined}>
                    ${n < most ? short(one.h[strongest[n]]) : ""}
                  </td>
                  <td class="number">${short(n < most ? lengths[strongest[n]] : norm(row))}</td>
                  <td class="number" title=${exact(row[at])}>${short(row[at])}</td>
                  <td><${SignedBar} value=${row[at]} most=${widest} /></td>
                </tr>
              `,
            )}
          </tbody>
          <tfoot>
            <tr>
              <th scope="row">${t("attention.sum")} = FFN(x)[${at}]</th><td></td>
              <td class="number">${short(norm(sum))}</td>
              <td class="number" title=${exact(sum[at])}>${short(sum[at])}</td><td></td>
            </tr>
          </tfoot>
        </table>
        <${Matrix}
          values=${stacked} shape=${[rows.length, output.length]} rows=${named} columns=${null}
          scale=${{kind: "diverging", most: Math.max(largest(stacked), 1e-12)}}
          cell=${[Math.max((room - 140) / output.length, 0.5), 16]} name=${t("feed_forward.vectors")}
          selected=${[null, at]}
          onSelect=${(row, i) =>
            setState({
              "feed_forward.at": String(i),
              ...(row < most ? {"feed_forward.unit": String(strongest[row])} : {}),
            })}
          describe=${(row, i) => `${named[row]} [${i}] = ${short(stacked[row * output.length + i])}`}
        />
      </div>
    <//>
  `;
}
