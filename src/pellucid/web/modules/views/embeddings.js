// Words become vectors: the pieces, their ids, and the three vectors that each one is before the first layer.
import {html} from "pellucid/ui";
import {isFile, ofModel, site, useData} from "pellucid/data";
import {about} from "pellucid/sentence";
import {Figure, Waiting} from "pellucid/pictures/figure";
import {Matrix} from "pellucid/pictures/matrix";
import {bySize, largest, short} from "pellucid/numbers";
import {Setting, settingOf} from "pellucid/pickers";
import {Bars} from "pellucid/pictures/bars";
import {indexOf, setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {Chips, pieceLabel, pieceName, wordsOf} from "pellucid/tokens";
import {firstWord} from "pellucid/views/beginning";

// A sentence of the walkthrough's world in which pieces come twice, and one of them with a capital, too.
export const REPEATED = "The actress was painting the boat when the tourist arrived.";

const STAGES = ["embedding", "scaled_embedding", "position", "input"];

export function EmbeddingsView({trace, model, state}) {
  const side = settingOf(state, "embeddings.side", ["source", "target"]);
  const {tokens} = trace;
  const pieces = side === "source" ? tokens.source_pieces : tokens.fed_pieces;
  const ids = side === "source" ? tokens.source_ids : tokens.fed_ids;
  const usual = side === "source" ? firstWord(trace) : state.step;
  const chosen = indexOf(state, "embeddings.position", pieces.length, usual);
  const data = useData(`${trace.id}/${side} embeddings`, () =>
    Promise.all(STAGES.map((stage) => site(trace, `${side}.${stage}`))),
  );
  const choose = (position) => setState({"embeddings.position": String(position)});
  return html`
    <div class="controls">
      <${Setting}
        state=${state} name="embeddings.side" label=${t("embeddings.side")} also=${{"embeddings.position": ""}}
        options=${["source", "target"].map((name) => [name, t(`embeddings.${name}`)])}
      />
    </div>
    <${Figure}
      name="pieces" title=${t("embeddings.pieces")} provenance=${trace.provenance}
      caption=${t("embeddings.pieces_caption")}
      says=${[
        t("embeddings.pieces_says", {
          n: pieces.length,
          size: side === "source" ? model.tokenizer.source_size : model.tokenizer.target_size,
          d: model.config.d_model,
        }),
        repeatedText(pieces),
      ].join(" ")}
      table=${() => ({
        columns: [t("word.position"), t("word.piece"), t("word.id")],
        rows: pieces.map((piece, i) => [i, piece, ids[i]]),
      })}
    >
      <${Chips}
        pieces=${pieces} words=${wordsOf(side === "source" ? "source" : "fed", tokens)} side=${side}
        name=${t("embeddings.pieces")} notes=${ids.map((id) => (id < 0 ? "" : String(id)))} selected=${chosen}
        onSelect=${choose}
      />
      ${
        model.is_walkthrough &&
        !isFile &&
        side === "source" &&
        repeatedIn(pieces).length === 0 &&
        html`<p class="examples">
          <span>${t("embeddings.try_repeated")}</span> <button type="button" onClick=${() => setState(about(REPEATED))}>
            <bdi lang="en">${REPEATED}</bdi>
          </button>
        </p>`
      }
    <//>
    <${Waiting} data=${data}>
      ${(stages) => html`<${Strips} ...${{trace, model, side, pieces, stages, chosen, choose}} />`}
    <//>
    <${Neighbours} ...${{trace, model, side, id: ids[chosen], piece: pieces[chosen]}} />
  `;
}

/** The pieces that come more than once: [piece, positions]. */
function repeatedIn(pieces) {
  const places = Map.groupBy(pieces.keys(), (i) => pieces[i]);
  return [...places].filter(([piece, {length}]) => length > 1 && /\p{L}/u.test(piece));
}

/** The longest piece that is repeated, with its places: one id, one row, however often. */
function repeatedText(pieces) {
  const [most] = repeatedIn(pieces).sort(([a], [b]) => b.length - a.length);
  return most ? t("embeddings.repeated", {piece: pieceName(most[0]), places: most[1].join(", ")}) : "";
}

function Strips({trace, model, side, pieces, stages, chosen, choose}) {
  const [embedding, scaled, position, input] = stages;
  const width = model.config.d_model;
  const labels = pieces.map(pieceLabel);
  const factor = model.config.scale_embeddings ? Math.sqrt(width) : 1;
  const pictures = [
    ["embedding", embedding, t("embeddings.row_of_table")],
    [
      "scaled_embedding",
      scaled,
      model.config.scale_embeddings
        ? t("embeddings.scaled", {d: width, factor: short(factor)})
        : t("embeddings.not_scaled"),
    ],
    ["input", input, t("embeddings.plus_position")],
  ];
  // One scale for the two that are added up, so that their colours can be compared.
  const most = {embedding: largest(embedding.data), scaled_embedding: largest(input.data), input: largest(input.data)};
  const cell = [Math.max(Math.floor(768 / width), 2), pieces.length > 40 ? 11 : 16];
  const byHand = () => {
    const [dimension] = bySize(input.part(chosen).data);
    const [e, p, x] = [embedding, position, input].map((tensor) => tensor.at(chosen, dimension));
    return {
      lines: [
        {text: t("embeddings.hand_row", {piece: labels[chosen], dimension}), value: e},
        {text: t("embeddings.hand_scale", {e: short(e), factor: short(factor)}), value: e * factor},
        {text: t("embeddings.hand_position", {position: chosen + model.config.position_offset, dimension}), value: p},
      ],
      computed: e * factor + p,
      shown: x,
    };
  };
  return pictures.map(
    ([name, tensor, says]) => html`
      <${Figure}
        key=${name} name=${`strips-${name}`} title=${t(`embeddings.${name}`)} says=${says}
        provenance=${trace.provenance} recompute=${name === "input" ? byHand : null}
        table=${() => ({
          columns: [t("word.piece"), ...Array.from({length: width}, (_, i) => String(i))],
          rows: labels.map((label, i) => [label, ...tensor.part(i).data]),
        })}
      >
        <${Matrix}
          values=${tensor.data} shape=${tensor.shape} rows=${labels} columns=${null}
          scale=${{kind: "diverging", most: most[name]}} cell=${cell} name=${`${side}.${name}`}
          selected=${[chosen, null]} onSelect=${(row) => choose(row)}
          describe=${(row, i) => t("strip.says", {name: labels[row], i, value: short(tensor.at(row, i))})}
        />
      <//>
    `,
  );
}

function Neighbours({trace, model, side, id, piece}) {
  const data = useData(id < 0 ? null : `${model.id} ${side} near ${id}`, () =>
    ofModel(model, `neighbours/${side}/${id}`),
  );
  if (id < 0) return null;
  const size = model.tokenizer[`${side}_size`]; // of n random directions in d dimensions the nearest is about this near
  return html`<${Waiting} data=${data}>
    ${(near) => html`
      <${Figure}
        name="neighbours" title=${t("embeddings.near", {piece: pieceLabel(piece)})} provenance=${trace.provenance}
        says=${t("embeddings.near_says", {
          n: size,
          chance: short(Math.sqrt(1 - size ** (-2 / (model.config.d_model - 1))), 1),
        })}
        table=${() => ({
          columns: [t("word.id"), t("word.piece"), t("embeddings.cosine")],
          rows: near.map((one) => [one.id, one.piece, one.cosine]),
        })}
      >
        <${Bars}
          rows=${near.map((one) => ({
            key: one.id,
            label: pieceLabel(one.piece),
            share: Math.max(one.cosine, 0),
            text: short(one.cosine, 3),
          }))}
        />
      <//>
    `}
  <//>`;
}
