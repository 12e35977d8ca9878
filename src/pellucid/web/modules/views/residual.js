// Residual and normalisation: what a sub-layer adds to its input, and how the sum is brought back to size.
import {html} from "pellucid/ui";
import {site, useData, weights} from "pellucid/data";
import {Figure, Waiting} from "pellucid/pictures/figure";
import {Strip} from "pellucid/pictures/matrix";
import {bySize, cosine, largest, layerNorm, norm, short} from "pellucid/numbers";
import {Choice, StackPicker} from "pellucid/pickers";
import {SUBLAYERS, depthOf, sitesOf, sublayers} from "pellucid/sites";
import {indexOf, setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {Chips, wordsOf} from "pellucid/tokens";
import {firstWord} from "pellucid/views/beginning";

export function ResidualView({trace, model, state}) {
  const list = sublayers(model.config);
  const block = list.find((one) => `${one.stack}.${one.layer}.${one.name}` === state["residual.block"]) ?? list[0];
  const {stack, layer, name} = block;
  const side = stack === "encoder" ? "source" : "target";
  const {tokens} = trace;
  const pieces = side === "source" ? tokens.source_pieces : tokens.fed_pieces;
  const usual = side === "source" ? firstWord(trace) : state.step;
  const position = indexOf(state, "residual.position", pieces.length, usual);
  const sites = sitesOf(block, model.config);
  const data = useData(`${trace.id} ${sites.sum} ${position}`, async () => {
    const [x, added, sum, normed, gain, bias] = await Promise.all([
      ...[sites.entry, sites.output, sites.sum, sites.norm].map((one) => site(trace, one, {row: position})),
      weights(model, `${sites.parameters}.weight`),
      weights(model, `${sites.parameters}.bias`),
    ]);
    return {x: x.data, added: added.data, sum: sum.data, normed: normed.data, gain: gain.data, bias: bias.data};
  });
  const go = (next) =>
    setState({
      "residual.block": `${next.stack}.${next.layer}.${next.name}`,
      "residual.position": next.stack === stack ? state["residual.position"] : "",
    });
  const depth = depthOf(stack, model.config);
  return html`
    <div class="controls">
      <${StackPicker} stack=${stack} onChange=${(own) => go({stack: own, layer: 0, name: "self_attention"})} />
      <${Choice}
        label=${t("pick.layer")} value=${layer} options=${Array.from({length: depth}, (_, i) => [i, String(i)])}
        onChange=${(own) => go({stack, layer: own, name})}
      />
      <${Choice}
        label=${t("residual.sublayer")} value=${name} options=${SUBLAYERS[stack].map((own) => [own, t(`stack.${own}`)])}
        onChange=${(own) => go({stack, layer, name: own})}
      />
    </div>
    <p class="choice-label">${t("residual.position")}</p>
    <${Chips}
      pieces=${pieces} words=${wordsOf(side === "source" ? "source" : "fed", tokens)} side=${side}
      name=${t("residual.position")} selected=${position}
      onSelect=${(own) => setState({"residual.position": String(own)})}
    />
    <${Waiting} data=${data}>${(vectors) => html`<${Vectors} ...${{trace, model, sites, vectors}} />`}<//>
    ${
      name === "feed_forward" &&
      html`<p class="hint">
        ${t("feed_forward.inside")} <button
          type="button"
          onClick=${() => setState({view: "feed_forward", kind: stack, layer, query: position, key: null})}
        >
          ${t("feed_forward.name")}
        </button>
      </p>`
    }
  `;
}

function Vectors({trace, model, sites, vectors}) {
  const {x, added, sum, normed, gain, bias} = vectors;
  const epsilon = model.config.layer_norm_epsilon;
  const isPre = model.config.norm_order === "pre";
  const most = largest([...x, ...added, ...sum]);
  const made = layerNorm(isPre ? x : sum, gain, bias, epsilon);
  const width = Math.min(Math.max(x.length * 6, 256), 768);
  const strip = (name, values, own) => html`
    <div class="strip-row">
      <span>${name}</span><${Strip} values=${values} name=${name} most=${own ?? most} width=${width} height=${20} />
    </div>
  `;
  const table = () => ({
    columns: [
      t("softmax.dimension"),
      sites.entry,
      sites.output,
      sites.sum,
      t("residual.normalised"),
      t("residual.gain"),
      t("residual.bias"),
      sites.norm,
    ],
    rows: Array.from(x, (value, i) => [i, value, added[i], sum[i], made.normalised[i], gain[i], bias[i], normed[i]]),
  });
  const [i] = bySize(normed);
  const addition = html`
    <${Figure}
      key="sum" name="residual" title=${t("residual.sum")} provenance=${trace.provenance} table=${table}
      says=${t("residual.sum_says", {
        x: short(norm(x), 3),
        added: short(norm(added), 3),
        cosine: short(cosine(x, sum), 3),
      })}
      recompute=${() => ({
        lines: [
          {text: `${sites.entry}[${i}]`, value: x[i]},
          {text: `+ ${sites.output}[${i}]`, value: added[i]},
        ],
        computed: x[i] + added[i],
        shown: sum[i],
      })}
    >
      ${strip(t("residual.x"), x)}${strip(t("residual.added"), added)}${strip(t("residual.total"), sum)}
    <//>
  `;
  const normalisation = html`
    <${Figure}
      key="norm" name="layer-norm" title=${t("residual.norm")} provenance=${trace.provenance} table=${table}
      says=${t("residual.norm_says", {mean: short(made.mean), variance: short(made.variance)})}
      recompute=${() => ({
        lines: [
          {text: t("residual.mean", {n: x.length}), value: made.mean},
          {text: t("residual.variance"), value: made.variance},
          {
            text: t("residual.hand_normalised", {
              value: short((isPre ? x : sum)[i]),
              mean: short(made.mean),
              variance: short(made.variance),
              epsilon,
            }),
            value: made.normalised[i],
          },
          {
            text: t("residual.hand_gain", {
              value: short(made.normalised[i]),
              gain: short(gain[i]),
              bias: short(bias[i]),
            }),
            value: made.result[i],
          },
        ],
        computed: made.result[i],
        shown: normed[i],
      })}
    >
      ${strip(t("residual.before"), isPre ? x : sum)}
      ${strip(t("residual.normalised"), made.normalised, largest(made.normalised))}
      ${strip(t("residual.gain"), gain, largest(gain))}${strip(t("residual.bias"), bias, largest(bias))}
      ${strip(t("residual.after"), normed, largest(normed))}
    <//>
  `;
  return isPre ? [normalisation, addition] : [addition, normalisation];
}
