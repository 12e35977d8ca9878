// Which heads matter for a word: every head off in turn, and beside the effect of a head what it looks at in this step.
// Read most.js next, then links.js.
import {html} from "pellucid/ui";
import {ofTrace, site, useData} from "pellucid/data";
import {HeadEffects, firstHead} from "pellucid/editing/heads";
import {editAt, editsIn} from "pellucid/editing/list";
import {Figure, Waiting} from "pellucid/pictures/figure";
import {Matrix} from "pellucid/pictures/matrix";
import {useWidth} from "pellucid/pictures/width";
import {short} from "pellucid/numbers";
import {KINDS, labelsOf, place} from "pellucid/sites";
import {setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {pieceLabel, pieceName} from "pellucid/tokens";
import {MostOfAll} from "pellucid/views/why/most";

export function HeadsOfStep({trace, model, state}) {
  const effects = useData(`${trace.id} head_effects`, () => ofTrace(trace, "head_effects"));
  // Until the reader chooses a head, it is the one that matters most.
  if (state.heads.length) return html`<${OneHead} ...${{trace, model, state}} />`;
  if (!effects.value) return html`<${Waiting} data=${effects}>${() => null}<//>`;
  const [kind, layer, head] = weightiest(effects.value, state.step, model.config);
  return html`<${OneHead} ...${{trace, model, state: {...state, kind, layer, heads: [head]}}} />`;
}

/** [kind, layer, head] of the head whose absence changes the piece of a step most. */
function weightiest(effects, step, config) {
  let best = 0;
  for (let i = 1; i < effects.shape[0]; i += 1)
    if (Math.abs(effects.at(i, step)) > Math.abs(effects.at(best, step))) best = i;
  const kind = KINDS.findLast((one) => firstHead(one, config) <= best);
  const at = best - firstHead(kind, config);
  return [kind, Math.floor(at / config.num_heads), at % config.num_heads];
}

function OneHead({trace, model, state}) {
  const {kind, layer} = state;
  const head = state.heads[0] ?? 0;
  return html`
    <${MostOfAll} ...${{trace, model, state}} />
    <${HeadEffects}
      ...${{trace, model, state}} caption=${t("why.heads.caption")} picked=${[kind, layer, head]}
      onPick=${(...[of, at, one]) => setState({kind: of, layer: at, heads: [one]})}
    />
    <${Looks} ...${{trace, model, state, kind, layer, head}} />
  `;
}

/** The weights of the chosen head: of this step or, in the encoder, of every position. */
function Looks({trace, model, state, kind, layer, head}) {
  const {step} = state;
  const data = useData(`${trace.id} looks ${kind} ${layer} ${head}`, async () => {
    const [weights, effects] = await Promise.all([
      site(trace, `${place(kind, layer)}.weights`, {head}),
      ofTrace(trace, "head_effects"),
    ]);
    return {weights, effect: effects.part(firstHead(kind, model.config) + layer * model.config.num_heads + head)};
  });
  const fresh = {...data, value: data.isStale ? undefined : data.value};
  return html`<${Waiting} data=${fresh}>
    ${({weights, effect}) =>
      html`<${Picture} ...${{trace, state, kind, layer, head, step, weights, effect: effect.at(step)}} />`}
  <//>`;
}

function Picture({trace, state, kind, layer, head, step, weights, effect}) {
  const [frame, room] = useWidth(900);
  const isEdited = Boolean(editAt(editsIn(state.edits), `${place(kind, layer)}.head.${head}`));
  const labels = labelsOf(kind, trace.tokens);
  const isOfStep = kind !== "encoder";
  const width = kind === "decoder" ? step + 1 : weights.shape[1];
  const values = isOfStep ? weights.part(step).data.subarray(0, width) : weights.data;
  const rows = isOfStep ? [labels.rows[step]] : labels.rows;
  const columns = labels.columns.slice(0, width).map(pieceLabel);
  const piece = pieceName(trace.tokens.predicted_pieces[step]);
  const best = values.reduce((most, value, i) => (value > values[most] ? i : most), 0);
  const table = () => ({
    columns: [t("heads.row"), t("heads.column"), t("links.weight")],
    rows: Array.from(values, (value, i) => [pieceLabel(rows[Math.floor(i / width)]), columns[i % width], value]),
  });
  const cell = Math.max(Math.min(Math.floor((room - 130) / width), 28), 12);
  return html`<${Figure}
    frame=${frame} name="why-head" title=${t("why.heads.looks", {head, layer, kind: t(`kind.${kind}`)})}
    provenance=${trace.provenance} table=${table} subject=${`${kind} ${layer} ${head} ${step}`}
    says=${t(isEdited ? "why.heads.edited" : isOfStep ? "why.heads.says" : "why.heads.says_encoder", {
      piece,
      column: columns[best % width],
      weight: short(values[best], 3),
      effect: short(effect, 4),
    })}
    caption=${isEdited ? null : t("why.heads.both")}
  >
    <${Matrix}
      values=${values} shape=${[rows.length, width]} rows=${rows.map(pieceLabel)} columns=${columns}
      predicts=${isOfStep ? [pieceLabel(labels.predicts[step])] : null}
      scale=${{kind: "sequential", most: 1}} cell=${cell} selected=${null}
      name=${t("why.heads.looks", {head, layer, kind: t(`kind.${kind}`)})}
    />
    <p>
      <button onClick=${() => setState({view: "links", kind, layer, heads: [head], query: isOfStep ? step : null})}>
        ${t("why.heads.open")}
      </button>
    </p>
  <//>`;
}
