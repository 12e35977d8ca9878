// The lens: what the decoder would write at this step if it ended after each of its sub-layers. Read heads.js next.
import {html} from "pellucid/ui";
import {ofTrace, useData} from "pellucid/data";
import {Figure, Waiting} from "pellucid/pictures/figure";
import {css, inkOn, sequential} from "pellucid/pictures/palette";
import {percent, short} from "pellucid/numbers";
import {t} from "pellucid/texts";
import {useTheme} from "pellucid/theme";
import {pieceLabel, pieceName} from "pellucid/tokens";

const SHOWN = 3;

export function Lens({trace, state}) {
  const data = useData(`${trace.id} lens ${state.step}`, () => ofTrace(trace, "lens", {step: state.step}));
  const fresh = {...data, value: data.isStale ? undefined : data.value};
  return html`<${Waiting} data=${fresh}>
    ${(found) => html`<${Rows} ...${{trace, step: state.step, found}} />`}
  <//>`;
}

/** "decoder.2.cross_attention_norm" in words. */
function stateName(site) {
  const [, layer, name] = site.split(".");
  if (name === "input") return t("why.lens.input");
  return t("why.lens.state", {layer, name: t(`why.lens.${name.replace(/_(norm|residual)$/, "")}`)});
}

function Rows({trace, step, found}) {
  useTheme();
  const piece = pieceName(trace.tokens.predicted_pieces[step]);
  const names = found.sites.map(stateName);
  const last = found.sites.length - 1;
  // The first row from which the piece stays the first choice.
  const since = found.rank.reduceRight((first, rank, row) => (rank === 0 && first === row + 1 ? row : first), last + 1);
  const says =
    since > last
      ? t("why.lens.never", {piece, rank: found.rank[last]})
      : t("why.lens.since", {piece, state: names[since]});
  const model = trace.predictions.target_log_probability[step];
  const own = found.log_probability[last];
  const agrees = Math.abs(own - model) <= 1e-4 * Math.max(1, Math.abs(model));
  const columns = [
    t("why.lens.after"),
    t("why.lens.would"),
    t("why.lens.rank", {piece}),
    t("why.lens.probability", {piece}),
  ];
  const topOf = (row) =>
    found.top_ids[row].map((id, i) => [
      found.top_pieces?.[row][i] ?? String(id),
      Math.exp(found.top_log_probabilities[row][i]),
    ]);
  const table = () => ({
    columns: [...columns, t("why.lens.entropy")],
    rows: names.map((name, row) => [
      name,
      topOf(row)
        .map(([one, p]) => `${pieceLabel(one)} ${percent(p)}`)
        .join(", "),
      found.rank[row],
      Math.exp(found.log_probability[row]),
      found.entropy[row],
    ]),
  });
  return html`<${Figure}
    name="lens" title=${t("why.lens.figure", {step, piece})} provenance=${trace.provenance} table=${table}
    says=${says} caption=${t(`why.lens.caveat.${trace.config.norm_order}`)} subject=${`${trace.id} ${step}`}
  >
    <div
      class="table-window why-table why-lens" tabindex="0" role="region"
      aria-label=${t("why.lens.figure", {step, piece})}
    >
      <table>
        <thead><tr>${columns.map((column, i) => html`<th key=${i} scope="col">${column}</th>`)}</tr></thead>
        <tbody>
          ${names.map((name, row) => {
            const p = Math.exp(found.log_probability[row]);
            const colour = sequential(p);
            return html`<tr key=${row}>
              <th scope="row">${name}</th>
              <td>
                ${topOf(row)
                  .slice(0, SHOWN)
                  .map(([one, share], i) => {
                    const text = html`<bdi>${pieceLabel(one)}</bdi> <small>${percent(share, 2)}</small>`;
                    const isOwn = found.top_ids[row][i] === trace.tokens.predicted_ids[step];
                    return html`<span key=${i} class="why-top">${isOwn ? html`<b>${text}</b>` : text}</span>`;
                  })}
              </td>
              <td class="number">${found.rank[row]}</td>
              <td class="number" style=${{background: css(colour), color: inkOn(colour)}}>${percent(p)}</td>
            </tr>`;
          })}
        </tbody>
      </table>
    </div>
    <p class=${`why-sum ${agrees ? "agrees" : "differs"}`}>
      ${t("why.lens.last", {lens: short(own, 6), model: short(model, 6)})}
    </p>
  <//>`;
}
