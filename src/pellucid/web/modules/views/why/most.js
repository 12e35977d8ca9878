// The head that matters most for a step, and beside it the one that looks hardest at a single place: rarely the same.
import {html} from "pellucid/ui";
import {isFile, ofTrace, site, useData} from "pellucid/data";
import {addEdit} from "pellucid/editing/list";
import {firstHead} from "pellucid/editing/heads";
import {Waiting} from "pellucid/pictures/figure";
import {percent, short} from "pellucid/numbers";
import {KINDS, depthOf, labelsOf, place} from "pellucid/sites";
import {t} from "pellucid/texts";
import {pieceName} from "pellucid/tokens";

const OF_STEP = ["decoder", "cross"]; // the attentions with a row for every step

export function MostOfAll({trace, model, state}) {
  const {step} = state;
  const data = useData(`${trace.id} ${step} most of all`, () => found(trace, model, step));
  const fresh = {...data, value: data.isStale ? undefined : data.value};
  return html`<${Waiting} data=${fresh}>${(both) => html`<${Said} ...${{trace, step, ...both}} />`}<//>`;
}

/** {most, hardest}: {kind, layer, head, effect, and of a decoder's head weight and column}. */
async function found(trace, model, step) {
  const heads = model.config.num_heads;
  const weights = Object.fromEntries(
    await Promise.all(
      OF_STEP.flatMap((kind) =>
        Array.from({length: depthOf(kind, model.config)}, async (_, layer) => [
          `${kind} ${layer}`,
          await site(trace, `${place(kind, layer)}.weights`, {row: step}),
        ]),
      ),
    ),
  );
  const effects = await ofTrace(trace, "head_effects");
  const all = KINDS.flatMap((kind) =>
    Array.from({length: depthOf(kind, model.config) * heads}, (_, i) => {
      const [layer, head] = [Math.floor(i / heads), i % heads];
      const effect = effects.at(firstHead(kind, model.config) + i, step);
      const row = weights[`${kind} ${layer}`]?.part(head).data;
      const column = row?.reduce((best, value, at) => (value > row[best] ? at : best), 0);
      return {kind, layer, head, effect, column, weight: row?.[column] ?? -1};
    }),
  );
  const largest = (of) => all.reduce((best, one) => (of(one) > of(best) ? one : best));
  return {most: largest(({effect}) => Math.abs(effect)), hardest: largest(({weight}) => weight)};
}

function Said({trace, step, most, hardest}) {
  const piece = pieceName(trace.tokens.predicted_pieces[step]);
  const log = trace.predictions.target_log_probability[step];
  const numbers = ({kind, layer, head, effect, column, weight}) => ({
    piece,
    head,
    layer,
    kind: t(`kind.${kind}`),
    before: percent(Math.exp(log)),
    after: percent(Math.exp(log + effect)),
    weight: short(weight, 3),
    column: column === undefined ? "" : pieceName(labelsOf(kind, trace.tokens).columns[column]),
  });
  return html`<div class="why-most" role="status">
    <p>
      ${t("why.heads.most", numbers(most))}
      ${
        !isFile &&
        html` <button onClick=${() => addEdit(`${place(most.kind, most.layer)}.head.${most.head}=zero`)}>
          ${t("why.heads.switch")}
        </button>`
      }
    </p>
    <p>
      ${t(most === hardest ? "why.heads.hardest_too" : "why.heads.hardest", numbers(hardest))}
      ${trace.provenance.edits?.length > 0 && ` ${t("why.heads.with_edits")}`}
    </p>
  </div>`;
}
