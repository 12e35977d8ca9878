// The decoder step by step: what it has written, where it looks, what it may write next, what it chooses.
import {html} from "pellucid/ui";
import {site, useData} from "pellucid/data";
import {Figure, Waiting} from "pellucid/pictures/figure";
import {Matrix} from "pellucid/pictures/matrix";
import {Said, linked} from "pellucid/pictures/said";
import {mean, percent, ranking, short} from "pellucid/numbers";
import {Bars} from "pellucid/pictures/bars";
import {LayerPicker, StepSlider, kindHint} from "pellucid/pickers";
import {setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {Chips, nameAmong, pieceLabel, pieceName, within, wordsOf} from "pellucid/tokens";
import {Play} from "pellucid/views/play";

export function DecoderView({trace, model, state}) {
  const {tokens} = trace;
  const steps = tokens.fed_pieces.length;
  const {step, layer} = state;
  const inDecoder = {...state, kind: "cross"};
  const data = useData(`${trace.id} ${layer} ${step}`, () =>
    Promise.all(
      ["self", "cross"].map((kind) => site(trace, `decoder.${layer}.${kind}_attention.weights`, {row: step})),
    ),
  );
  return html`
    <div class="controls">
      <${Play} step=${step} steps=${steps} isChosen=${!state.isFirstStep} go=${(next) => setState({step: next})} />
      <${StepSlider} state=${state} steps=${steps} />
      <${LayerPicker} state=${inDecoder} config=${model.config} />
    </div>
    <${Written} ...${{trace, step}} />
    <${Waiting} data=${data}>
      ${([own, cross]) => html`
        <div class="side-by-side">
          <${Looks}
            name="decoder-self" trace=${trace} weights=${own} columns=${tokens.fed_pieces.slice(0, step + 1)}
            ...${{step, layer}} title=${t("decoder.self")} kind="decoder"
            caption=${`${t("decoder.self_caption")} ${kindHint("decoder", model.config)}`}
          />
          <${Looks}
            name="decoder-cross" trace=${trace} weights=${cross} columns=${tokens.source_pieces} ...${{step, layer}}
            title=${t("decoder.cross")} kind="cross"
            caption=${`${kindHint("cross", model.config)} ${t("decoder.cross_caption")}`}
          />
        </div>
      `}
    <//>
    <${Candidates} ...${{trace, step}} />
  `;
}

function Written({trace, step}) {
  const {tokens} = trace;
  return html`
    <div class="written">
      <p class="choice-label">${t("decoder.read")}</p>
      <${Chips} pieces=${tokens.source_pieces} words=${tokens.source_words} side="source" name=${t("decoder.read")} />
      <p class="choice-label">${t("decoder.written")}</p>
      <${Chips}
        pieces=${tokens.fed_pieces.slice(0, step + 1)} words=${within(wordsOf("fed", tokens), step + 1)}
        side="target" name=${t("decoder.written")} selected=${step} onSelect=${(position) => setState({step: position})}
      />
      <p class="writes">
        ${t("decoder.writes")} <b><bdi>${pieceLabel(tokens.predicted_pieces[step])}</bdi></b> <span>
          ${percent(Math.exp(trace.predictions.target_log_probability[step]))}
        </span>
      </p>
    </div>
  `;
}

/** Where this step looks: one row a head. Later positions are not there yet. */
function Looks({name, trace, weights, columns, step, layer, title, caption, kind}) {
  const heads = weights.shape[0];
  const width = columns.length;
  const full = weights.shape[1];
  const values = Float32Array.from(
    {length: heads * width},
    (_, i) => weights.data[Math.floor(i / width) * full + (i % width)],
  );
  const means = columns.map((_, column) =>
    mean(Array.from({length: heads}, (_, head) => values[head * width + column])),
  );
  const best = ranking(means)[0];
  const [single] = ranking(values);
  const looked = (column) => linked(nameAmong(columns, column), kind === "cross" ? "source" : "target", column);
  const labels = columns.map(pieceLabel);
  const headNames = Array.from({length: heads}, (_, head) => t("decoder.head", {head}));
  const table = () => ({
    columns: [t("links.head"), ...labels],
    rows: headNames.map((_, head) => [head, ...values.subarray(head * width, (head + 1) * width)]),
  });
  return html`
    <${Figure}
      name=${name} title=${title} caption=${caption} table=${table} provenance=${trace.provenance}
      says=${html`<${Said} text=${t("decoder.says", {
        fed: pieceName(trace.tokens.fed_pieces[step]),
        predicts: pieceName(trace.tokens.predicted_pieces[step]),
        best: looked(best),
        weight: short(means[best], 3),
        head: Math.floor(single / width),
        one: looked(single % width),
        own: short(values[single], 3),
      })} />`}
    >
      <${Matrix}
        values=${values} shape=${[heads, width]} rows=${headNames} columns=${labels}
        scale=${{kind: "sequential", most: 1}} cell=${[width > 60 ? 10 : 24, 20]} name=${title}
        describe=${(head, column) =>
          t("decoder.cell", {head, column: labels[column], value: short(values[head * width + column])})}
        onSelect=${(head) => setState({view: "links", kind, layer, heads: [head], query: step})}
      />
    <//>
  `;
}

/** How many times as probable the first piece is as the second: [[piece, probability]], the best first. */
export function runnerUp([[first, most], [second, next] = []]) {
  if (second === undefined || next === 0) return "";
  const names = {first: pieceLabel(first), second: pieceLabel(second)};
  return t("decoder.runner_up", {...names, ratio: short(most / next, 3)});
}

/** The ten pieces it found most probable, the chosen one marked. */
function Candidates({trace, step}) {
  const {predictions, tokens} = trace;
  const chosen = tokens.predicted_ids[step];
  const rows = predictions.top_ids[step].map((id, rank) => ({
    id,
    rank,
    piece: predictions.top_pieces[step][rank],
    probability: Math.exp(predictions.top_log_probabilities[step][rank]),
    isChosen: id === chosen,
  }));
  const table = () => ({
    columns: [t("word.rank"), t("word.id"), t("word.piece"), t("word.probability")],
    rows: rows.map(({rank, id, piece, probability}) => [rank, id, piece, probability]),
  });
  return html`
    <${Figure}
      name="candidates" title=${t("decoder.candidates")} table=${table} provenance=${trace.provenance}
      caption=${t("decoder.candidates_caption")}
      says=${[
        t("decoder.chosen", {
          piece: pieceLabel(tokens.predicted_pieces[step]),
          rank: predictions.target_rank[step],
          probability: percent(Math.exp(predictions.target_log_probability[step])),
        }),
        runnerUp(rows.map(({piece, probability}) => [piece, probability])),
      ].join(" ")}
    >
      <${Bars}
        rows=${rows.map(({id, piece, probability, isChosen}) => ({
          key: id,
          label: pieceLabel(piece),
          share: probability,
          text: percent(probability),
          kind: isChosen ? "chosen" : "",
        }))}
      />
      <p class="next"><button onClick=${() => setState({view: "softmax"})}>${t("decoder.all_pieces")}</button> <button
        onClick=${() => setState({view: "why", "why.show": "lens"})}
      >${t("decoder.lens")}</button></p>
    <//>
  `;
}
