// Self-attention step by step: one word, one head, every number on the way from its vector to its context.
// Cross-attention and the decoder's self-attention are the same steps. Read scores.js next.
import {html} from "pellucid/ui";
import {site, useData, weights} from "pellucid/data";
import {Figure, Waiting} from "pellucid/pictures/figure";
import {Said, linked} from "pellucid/pictures/said";
import {ranking, short} from "pellucid/numbers";
import {setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {pieceText} from "pellucid/tokens";
import {
  Formula,
  NamedStrip,
  Pickers,
  Symbol,
  WordPicker,
  headOf,
  loadRow,
  numbers,
  quoted,
  rowKey,
  rowName,
} from "pellucid/views/attention/parts";
import {rowOf} from "pellucid/views/beginning";
import {Context, Products} from "pellucid/views/attention/products";
import {Scores} from "pellucid/views/attention/scores";
import {projection, scaleOf} from "pellucid/views/attention/sums";
import {useWidth} from "pellucid/pictures/width";

export function AttentionView({trace, model, state}) {
  const {kind, layer} = state;
  const head = headOf(state);
  const query = rowOf(state, trace);
  const row = useData(rowKey(trace, kind, layer, head, query), () => loadRow({trace, model, kind, layer, head, query}));
  return html`<div>
    <${Pickers} state=${state} config=${model.config} />
    <${WordPicker} ...${{trace, state, query}} />
    <${Waiting} data=${row}>${(one) => html`<${Steps} ...${{one, model, state}} />`}<//>
  </div>`;
}

function Steps({one, model, state}) {
  const pinned = state.key !== null && state.key < one.scores.length ? state.key : null;
  const looked = ranking(one.weights)[0];
  const key = pinned ?? (one.kind === "cross" ? looked : one.query);
  return html`<div>
    <${Vectors} ...${{one, model, state, other: key}} />
    <${Scores} ...${{one, state, pinned, looked}} />
    ${pinned !== null && html`<${Products} key=${pinned} ...${{one, state, at: pinned}} />`}
    <${Context} ...${{one, state}} />
    <p class="hint">
      ${t("attention.on")} <button onClick=${() => setState({view: "matrices", query: one.query})}>
        ${t("attention.as_matrices")}
      </button>
      <button onClick=${() => setState({view: "heads", query: one.query})}>${t("attention.all_heads")}</button>
    </p>
  </div>`;
}

const LETTERS = {q: "queries", k: "keys", v: "values"};

/** Which number of which vector is looked at: ["q", 3]. */
function cellOf(state, width) {
  const [, letter = "q", index = "0"] = /^([qkv])(\d+)$/.exec(state["attention.cell"] ?? "") ?? [];
  return [letter, Math.min(Number(index), width - 1)];
}

/** Step 1: the vector of the word that asks becomes a query; that of a word that is looked at, a key and a value. */
function Vectors({one, model, state, other}) {
  const {kind, layer, head, query, labels, inputs, trace} = one;
  const [frame, room] = useWidth(460);
  const isSame = kind !== "cross" && other === query;
  const memory = useData(isSame ? null : `${trace.id} ${inputs.memory} ${other}`, () =>
    site(trace, inputs.memory, {row: other}),
  );
  const y = isSame ? one.x : memory.value?.data;
  const vectors = {q: one.q, k: one.keys.part(other).data, v: one.values.part(other).data};
  const [letter, index] = cellOf(state, one.q.length);
  const asks = pieceText(labels.rows[query]);
  const looked = pieceText(labels.columns[other]);
  const recompute = async () => {
    const name = `${one.parameters}.${LETTERS[letter]}`;
    const input = letter === "q" ? one.x : isSame ? one.x : (await site(trace, inputs.memory, {row: other})).data;
    const [matrix, bias] = await Promise.all(
      ["weight", "bias"].map((part) => weights(model, `${name}.${part}`, {head})),
    );
    return projection(
      input,
      matrix.data,
      bias.data,
      index,
      {input: letter === "q" || isSame ? "x" : "y", weight: `W_${letter}`, bias: `b_${letter}`},
      vectors[letter][index],
    );
  };
  const table = async () => {
    const inputOf = async (own) =>
      own === "y" ? (await site(trace, inputs.memory, {row: other})).data : own === "x" ? one.x : vectors[own];
    const names = ["x", ...(isSame ? [] : ["y"]), "q", "k", "v"];
    const columns = await Promise.all(names.map(inputOf));
    return {
      columns: [t("attention.dimension"), ...names],
      rows: Array.from(one.x, (_, i) => [i, ...columns.map((column) => column[i] ?? "")]),
    };
  };
  const {most} = scaleOf(...Object.values(vectors));
  const result = (name) => ({
    letter: name,
    name,
    of: name === "q" ? asks : looked,
    values: vectors[name],
    formula: `${name === "q" || isSame ? "x" : "y"} W_${name} + b_${name}`,
    selected: letter === name ? index : null,
    most,
    room,
  });
  const says = t(isSame ? "attention.vectors_says_own" : "attention.vectors_says", {
    asks: rowName(one, query),
    looked: linked(quoted(labels.columns[other]), one.sides.columns, other),
    width: one.x.length,
    head,
    d: one.q.length,
  });
  return html`
    <${Figure}
      frame=${frame} name="attention-vectors"
      subject=${`${rowKey(trace, kind, layer, head, query)} ${other} ${letter}${index}`} title=${t("attention.vectors")}
      says=${html`<${Said} text=${says} />`} provenance=${trace.provenance}
      table=${table} recompute=${recompute}
      caption=${t("attention.vectors_caption", {letter, index, entry: inputs.queries, parameters: one.parameters})}
    >
      <div class="asks-and-answers">
        <div class="vectors">
          <p class="caption">${t("attention.asks", {piece: quoted(labels.rows[query])})}</p>
          <${Vector} letter="x" of=${asks} values=${one.x} room=${room} /><${Vector} ...${result("q")} />
          ${isSame && ["k", "v"].map((own) => html`<${Vector} key=${own} ...${result(own)} />`)}
        </div>
        ${
          !isSame &&
          html`<div class="vectors">
            <p class="caption">${t("attention.answers", {piece: quoted(labels.columns[other])})}</p>
            ${
              y
                ? html`<${Vector} letter="y" of=${looked} values=${y} room=${room} />`
                : html`<${Waiting} data=${memory}>${() => null}<//>`
            }
            ${["k", "v"].map((own) => html`<${Vector} key=${own} ...${result(own)} />`)}
          </div>`
        }
      </div>
    <//>
  `;
}

function Vector({letter, of, values, formula, name, selected, most, room}) {
  const title = html`
    <${Symbol} letter=${letter} of=${of} />
    ${formula && html` <span class="formula">= <${Formula} text=${formula} /></span>`}
  `;
  return html`<${NamedStrip}
    isResult=${Boolean(name)} title=${title} note=${numbers(values.length)} values=${values} most=${most}
    room=${name ? room - 20 : room} height=${name ? 24 : 18} name=${`${letter} ${of}`} selected=${selected ?? null}
    onSelect=${name && ((i) => setState({"attention.cell": `${name}${i}`}))}
    describe=${(i) => `${letter}[${i}] = ${short(values[i])}`}
  />`;
}
