// What the edits change in the picture of a chapter: before, after and the signed difference, in every chapter.
// Read pair.js next, which draws them.
import {html} from "pellucid/ui";
import {get, ofTrace, site, useData} from "pellucid/data";
import {areOfText} from "pellucid/editing/list";
import {Pair, Sheet} from "pellucid/editing/pair";
import {Waiting} from "pellucid/pictures/figure";
import {largest, percent, points, short} from "pellucid/numbers";
import {settingOf} from "pellucid/pickers";
import {SUBLAYERS, labelsOf, place, sitesOf, stackOf, sublayers} from "pellucid/sites";
import {t} from "pellucid/texts";
import {pieceLabel, pieceName} from "pellucid/tokens";

const MOST_NUMBERS = 16; // of each vector

/** What each chapter shows; compare shows all of it by itself, and the training knows nothing of the edits. */
const PICTURES = {
  translate: OfSteps,
  stack: OfLayers,
  embeddings: (own) =>
    html`<${OfVectors} ...${own} name=${`${settingOf(own.state, "embeddings.side", ["source", "target"])}.input`} />`,
  positions: (own) => html`<${OfVectors} ...${own} name="source.position" />`,
  attention: OfAttention,
  matrices: OfAttention,
  heads: OfAttention,
  links: OfAttention,
  atlas: OfAttention,
  residual: (own) => html`<${OfVectors} ...${own} name=${sitesOf(blockOf(own), own.model.config).norm} />`,
  feed_forward: ({state, ...own}) =>
    html`<${OfVectors} ...${own} name=${`${stackOf(state.kind)}.${state.layer}.feed_forward.hidden`} />`,
  decoder: OfSteps,
  softmax: OfCandidates,
  search: OfSearch,
  targets: OfSteps,
  curves: () => html`<p class="hint">${t("editing.not_trained")}</p>`,
  health: OfSigns,
  why: OfCandidates,
};

export function Change({trace, model, state}) {
  const Picture = PICTURES[state.view];
  return Picture ? html`<${Picture} ...${{trace, model, state}} />` : null;
}

/** Something of the trace before the edits and of the trace itself, both with their pieces. */
function useBoth(trace, key, load) {
  return useData(`${trace.id} change ${key}`, async () => {
    const manifest = await ofTrace(trace, "before");
    const [before, after] = await Promise.all([manifest, trace].map(load));
    return {before, after, tokens: manifest.tokens};
  });
}

/** One head's attention. */
function OfAttention({trace, state}) {
  const {kind, layer} = state;
  const head = state.heads[0] ?? 0;
  const name = `${place(kind, layer)}.weights`;
  // The file has the weights of before and the pieces in the effect.
  const data = useData(`${trace.id} ${name} ${head} before`, async () => {
    const [before, after, effect] = await Promise.all([
      get(`api/traces/${trace.id}/before/sites/${name}`),
      site(trace, name),
      ofTrace(trace, "effect"),
    ]);
    return {before: before.part(head), after: after.part(head), labels: [effect.tokens, trace.tokens]};
  });
  return html`<${Waiting} data=${data}>
    ${({before, after, labels}) =>
      html`<${Pair}
        ...${{before, after, trace}} labels=${labels.map((tokens) => labelsOf(kind, tokens))}
        name="attention-difference" title=${t("editing.three", {kind: t(`kind.${kind}`), layer, head})}
        scale=${{kind: "sequential", most: 1}}
      />`}
  <//>`;
}

function blockOf({state, model}) {
  const list = sublayers(model.config);
  return list.find((one) => `${one.stack}.${one.layer}.${one.name}` === state["residual.block"]) ?? list[0];
}

/** The numbers of a vector at each position that change most. */
function OfVectors({trace, name}) {
  const data = useBoth(trace, name, (one) => site(one, name));
  const isSource = /^(source|encoder)/.test(name);
  return html`<${Waiting} data=${data}>
    ${({before, after, tokens}) => {
      const numbers = mostChanged(before, after);
      const labels = [tokens, trace.tokens].map((one) => ({
        rows: isSource ? one.source_pieces : one.fed_pieces,
        columns: numbers.map(String),
      }));
      const [one, two] = [before, after].map((values) => columnsOf(values, numbers));
      const most = Math.max(largest(one.data), largest(two.data), 1e-9);
      return html`<${Pair}
        ...${{trace, labels}} before=${one} after=${two} name="vector-difference"
        title=${t("editing.vectors", {name})} scale=${{kind: "diverging", most}}
        note=${t("editing.vectors_caption", {n: numbers.length, all: before.shape[1]})}
      />`;
    }}
  <//>`;
}

/** The columns in which two matrices differ most, in their order. */
function mostChanged(before, after) {
  const width = before.shape[1];
  const rows = Math.min(before.shape[0], after.shape[0]);
  const moved = Array.from({length: width}, (_, column) => {
    let sum = 0;
    for (let row = 0; row < rows; row += 1) sum += Math.abs(after.at(row, column) - before.at(row, column));
    return [sum, column];
  });
  const first = moved.sort((a, b) => b[0] - a[0] || a[1] - b[1]).slice(0, MOST_NUMBERS);
  return first.map(([, column]) => column).sort((a, b) => a - b);
}

const matrixOf = (data, shape) => ({data, shape, at: (row, column) => data[row * shape[1] + column]});

function columnsOf(values, columns) {
  const shape = [values.shape[0], columns.length];
  return matrixOf(
    Float32Array.from({length: shape[0] * shape[1]}, (_, i) =>
      values.at(Math.floor(i / shape[1]), columns[i % shape[1]]),
    ),
    shape,
  );
}

/** How much each sub-layer changes each position, stack by stack. */
function OfLayers({trace, model}) {
  const data = useBoth(trace, "changes", (one) => ofTrace(one, "changes"));
  return html`<${Waiting} data=${data}>
    ${({before, after, tokens}) =>
      Object.keys(SUBLAYERS).map((stack) => {
        const blocks = sublayers(model.config).filter((one) => one.stack === stack);
        const keys = blocks.map(({layer, name}) => `${stack}.${layer}.${name}`);
        const [one, two] = [before, after].map((found) => {
          const rows = keys.map((key) => found[key]);
          return matrixOf(Float32Array.from(rows.flat()), [rows.length, rows[0].length]);
        });
        const labels = [tokens, trace.tokens].map((own) => ({
          rows: blocks.map(({layer, name}) => `${layer} ${t(`stack.${name}`)}`),
          columns: stack === "encoder" ? own.source_pieces : own.fed_pieces,
        }));
        return html`<${Pair}
          key=${stack} ...${{trace, labels}} before=${one} after=${two} name=${`layers-difference-${stack}`}
          title=${t("editing.layers", {stack: t(`stack.${stack}s`)})}
          scale=${{kind: "sequential", most: Math.max(largest(one.data), largest(two.data))}}
        />`;
      })}
  <//>`;
}

/** The pieces that were written before: their log-probabilities without and with the edits. */
function OfSteps({trace}) {
  const data = useData(`${trace.id} effect`, () => ofTrace(trace, "effect"));
  return html`<${Waiting} data=${data}>
    ${(effect) => {
      const isSame = effect.old_before.every((value, step) => value === effect.old_after[step]);
      if (isSame && areOfText(trace.provenance.edits)) return html`<p class="hint">${t("editing.of_text")}</p>`;
      return html`<${Sheet}
        name="steps-difference" title=${t("editing.steps")} trace=${trace}
        rows=${effect.tokens.predicted_pieces.map((piece, step) => [
          `${step} ${pieceLabel(piece)}`,
          effect.old_before[step],
          effect.old_after[step],
        ])}
        text=${(value) => short(value)} note=${t("editing.steps_caption")}
      />`;
    }}
  <//>`;
}

/** The first choices at the step, without and with the edits. */
function OfCandidates({trace, state}) {
  const data = useBoth(trace, "predictions", (one) => one.predictions);
  return html`<${Waiting} data=${data}>
    ${({before, after, tokens}) => {
      const step = Math.min(state.step, tokens.predicted_pieces.length - 1, trace.tokens.predicted_pieces.length - 1);
      const [old, fresh] = [before, after].map((found) => chancesOf(found, step));
      const ids = [...new Set([...fresh.keys(), ...old.keys()])].slice(0, 12);
      const label = (id) => pieceName((fresh.get(id) ?? old.get(id))[1] ?? String(id));
      return html`<${Sheet}
        name="candidates-difference" title=${t("editing.candidates", {step})} trace=${trace}
        rows=${ids.map((id) => [label(id), old.get(id)?.[0] ?? null, fresh.get(id)?.[0] ?? null])}
        text=${(value) => percent(value)} by=${(value) => t("editing.points", {n: points(value)})}
        note=${t("editing.candidates_caption")}
      />`;
    }}
  <//>`;
}

/** id -> [probability, piece] of the first choices at a step. */
function chancesOf({top_ids: ids, top_log_probabilities: logs, top_pieces: pieces}, step) {
  return new Map(ids[step].map((id, i) => [id, [Math.exp(logs[step][i]), pieces?.[step][i]]]));
}

/** The translations that the search came to, with their scores. */
function OfSearch({trace}) {
  const data = useBoth(trace, "search", async (one) => {
    const {hypotheses} = await ofTrace(one, "search");
    return new Map(hypotheses.toReversed().map(({text, score}) => [text, score])); // the best of equal texts last
  });
  return html`<${Waiting} data=${data}>
    ${({before, after}) =>
      html`<${Sheet}
        name="search-difference" title=${t("editing.searches")} trace=${trace}
        rows=${[...new Set([...after.keys()].toReversed().concat([...before.keys()].toReversed()))]
          .slice(0, 12)
          .map((text) => [text || "…", before.get(text) ?? null, after.get(text) ?? null])}
        text=${(value) => short(value)} note=${t("editing.searches_caption")}
      />`}
  <//>`;
}

/** The signs of health. */
function OfSigns({trace}) {
  const data = useBoth(trace, "health", (one) => new Map(one.health.map((sign) => [sign.name, sign.value])));
  return html`<${Waiting} data=${data}>
    ${({before, after}) =>
      html`<${Sheet}
        name="signs-difference" title=${t("editing.signs")} trace=${trace}
        rows=${[...after.keys()].map((name) => [t(`health.${name}`), before.get(name) ?? null, after.get(name)])}
        text=${(value) => short(value)} note=""
      />`}
  <//>`;
}
