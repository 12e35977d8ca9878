// The final linear layer and softmax: one vector becomes a number, then a probability, for every piece there is.
import {html, useMemo, useState} from "pellucid/ui";
import {ofModel, site, useData} from "pellucid/data";
import {Figure, Waiting} from "pellucid/pictures/figure";
import {Strip} from "pellucid/pictures/matrix";
import {bySize, dot, percent, ranking, short, softmax, total} from "pellucid/numbers";
import {Bars} from "pellucid/pictures/bars";
import {StepSlider} from "pellucid/pickers";
import {indexOf, setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {pieceLabel, pieceName} from "pellucid/tokens";
import {runnerUp} from "pellucid/views/decoder";

const SHOWN = 12;
const [COLDEST, HOTTEST] = [0.1, 3];

/** The temperature that the address keeps, 1 where it has none that the slider can show. */
function temperatureOf(state) {
  const kept = Number(state["softmax.temperature"]);
  return kept >= COLDEST && kept <= HOTTEST ? kept : 1;
}

export function SoftmaxView({trace, model, state}) {
  const {step} = state;
  const vocabulary = useData(`${model.id} vocabulary`, () => ofModel(model, "vocabulary/target"));
  const data = useData(`${trace.id} ${step} softmax`, () =>
    Promise.all([site(trace, "decoder.output", {row: step}), site(trace, "logits", {row: step})]),
  );
  return html`
    <div class="controls">
      <${StepSlider} state=${state} steps=${trace.tokens.fed_pieces.length} />
      <span class="hint">
        ${t("softmax.row", {
          fed: pieceName(trace.tokens.fed_pieces[step]),
          predicts: pieceName(trace.tokens.predicted_pieces[step]),
        })}
      </span>
    </div>
    <${Waiting} data=${data}>
      ${([vector, logits]) => html`
        <${Figure}
          name="softmax-vector" title=${t("softmax.vector")} provenance=${trace.provenance}
          says=${t("softmax.vector_says", {n: vector.data.length})}
          table=${() => ({
            columns: [t("softmax.dimension"), t("softmax.value")],
            rows: Array.from(vector.data, (value, i) => [i, value]),
          })}
        >
          <${Strip}
            values=${vector.data} name="decoder.output" width=${Math.min(vector.data.length * 6, 768)} height=${26}
          />
        <//>
        <${Waiting} data=${vocabulary}>
          ${(pieces) =>
            html`<${Probabilities}
            ...${{trace, model, state, vector: vector.data, logits: logits.data, pieces}}
          />`}
        <//>
      `}
    <//>
  `;
}

function Probabilities({trace, model, state, vector, logits, pieces}) {
  const {step} = state;
  const temperature = temperatureOf(state);
  const probabilities = useMemo(() => softmax(logits.map((value) => value / temperature)), [logits, temperature]);
  const order = useMemo(() => ranking(logits), [logits]);
  const chosen = trace.tokens.predicted_ids[step];
  const picked = indexOf(state, "softmax.id", logits.length, chosen);
  const rows = order.slice(0, SHOWN);
  if (!rows.includes(picked)) rows.push(picked);
  const rank = order.indexOf(picked);
  const table = () => ({
    columns: [t("word.rank"), t("word.id"), t("word.piece"), t("softmax.logit"), t("word.probability")],
    rows: order.map((id, i) => [i, id, pieces[id], logits[id], probabilities[id]]),
  });
  const entropy = probabilities.reduce((sum, p) => sum - (p > 0 ? p * Math.log(p) : 0), 0);
  return html`
    <${Figure}
      name="softmax" title=${t("softmax.figure")} provenance=${trace.provenance} table=${table}
      recompute=${() => byHand({model, vector, logits, pieces, picked})}
      says=${[
        runnerUp(order.slice(0, 2).map((id) => [pieces[id], probabilities[id]])),
        t("softmax.says", {pieces: logits.length, entropy: short(entropy, 3), even: short(Math.exp(entropy), 3)}),
      ].join(" ")}
      caption=${
        temperature === 1
          ? `${t("softmax.caption")} ${taught(model)}`
          : `${t("softmax.caption")} ${t("softmax.heated", {temperature: temperature.toFixed(2)})}`
      }
    >
      <div class="controls">
        <${Search} ...${{pieces, picked}} />
        <label class="slider">
          ${t("softmax.temperature")} <input
            type="range" min=${COLDEST} max=${HOTTEST} step="0.05" value=${temperature}
            onInput=${({currentTarget: {value}}) => setState({"softmax.temperature": value === "1" ? "" : value})}
          /> <output>${temperature.toFixed(2)}</output>
        </label>
        <button onClick=${() => draw(temperature)}>${t("softmax.draw")}</button>
      </div>
      <p>
        ${t("softmax.picked", {
          piece: pieceLabel(pieces[picked]),
          rank,
          logit: short(logits[picked]),
          probability: percent(probabilities[picked]),
        })}
      </p>
      <${Bars}
        rows=${rows.map((id) => ({
          key: id,
          label: pieceLabel(pieces[id]),
          before: short(logits[id]),
          share: probabilities[id],
          text: percent(probabilities[id]),
          kind: `${id === chosen ? "chosen" : ""} ${id === picked ? "picked" : ""}`,
        }))}
      />
    <//>
  `;
}

/** Opens the chapter on search with translations that are drawn by chance at this temperature. */
const draw = (temperature) =>
  setState({
    view: "search",
    "search.node": "",
    "search.set": new URLSearchParams({sampling: "true", temperature, top_k: 0, top_p: 1, seed: 1}).toString(),
  });

/** How sure training asked the model to be, where its targets were smoothed. */
function taught({label_smoothing: epsilon, tokenizer}) {
  return epsilon
    ? t("softmax.smoothing", {
        epsilon: percent(epsilon, 2),
        sure: percent(1 - epsilon + epsilon / tokenizer.target_size, 2),
      })
    : "";
}

/** Any piece of the vocabulary, found by a part of it or by its id. */
function Search({pieces, picked}) {
  const [text, setText] = useState("");
  const found = useMemo(() => {
    const wanted = text.trim();
    if (!wanted) return [];
    const exact = pieces.flatMap((piece, id) =>
      pieceLabel(piece).replace(/^·/, "") === wanted || String(id) === wanted ? [id] : [],
    );
    const partly = pieces.flatMap((piece, id) => (piece.includes(wanted) && !exact.includes(id) ? [id] : []));
    return [...exact, ...partly].slice(0, 12);
  }, [text, pieces]);
  return html`
    <label class="switch">
      ${t("softmax.search")} <input
        type="search" value=${text} autocomplete="off" spellcheck=${false}
        onInput=${(event) => setText(event.currentTarget.value)}
      />
    </label>
    ${
      text.trim() &&
      html`<span class="choice" role="group" aria-label=${t("softmax.found")}>
        ${
          found.length
            ? found.map(
                (id) => html`
                  <button key=${id} aria-pressed=${id === picked} onClick=${() => setState({"softmax.id": String(id)})}>
                    <bdi>${pieceLabel(pieces[id])}</bdi>
                  </button>
                `,
              )
            : t("softmax.none")
        }
      </span>
      ${found.some((id) => pieces[id].startsWith("▁")) && html`<span class="hint">${t("softmax.dot")}</span>`}`
    }
  `;
}

/** logit = decoder.output · the piece's row of the output matrix (+ bias), then softmax over all logits. */
async function byHand({model, vector, logits, pieces, picked}) {
  const {data: row} = await ofModel(model, "rows/output", {ids: picked});
  const bias = model.config.output_bias ? row[vector.length] : 0;
  const product = dot(vector, row.subarray(0, vector.length)) + bias;
  const terms = bySize(Float64Array.from(vector, (value, i) => value * row[i])).slice(0, 5);
  const inverse = total(Float64Array.from(logits, (value) => Math.exp(value - product)));
  return {
    lines: [
      ...terms.map((i) => ({
        text: t("softmax.term", {i, x: short(vector[i]), w: short(row[i])}),
        value: vector[i] * row[i],
      })),
      {text: t("softmax.all_terms", {n: vector.length, piece: pieceLabel(pieces[picked])}), value: product},
      {text: t("softmax.divide"), value: 1 / inverse},
    ],
    computed: product,
    shown: logits[picked],
  };
}
