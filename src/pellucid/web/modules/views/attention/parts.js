// What the views of one attention share: which word, layer and head is looked at, its numbers, and small pieces of
// the picture. The numbers of a row come together with what they are of, so that labels never run ahead of them.
import {html, useEffect, useRef} from "pellucid/ui";
import {site} from "pellucid/data";
import {Strip} from "pellucid/pictures/matrix";
import {HeadPicker, KindHint, KindPicker, LayerPicker} from "pellucid/pickers";
import {inputsOf, labelsOf, parameters, place, sidesOf} from "pellucid/sites";
import {setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {Chips, pieceText, wordsOf} from "pellucid/tokens";

/** The head that is looked at where a view has one at a time. */
export const headOf = (state) => state.heads[0] ?? 0;

/** "32 numbers", "1 number". */
export const numbers = (n) => t(n === 1 ? "attention.number" : "attention.numbers", {n});

export const quoted = (piece) => `“${pieceText(piece)}”`;

/** A row in words: what it was fed, and in the decoder what it predicts. */
export function rowName({labels}, row) {
  if (!labels.predicts) return quoted(labels.rows[row]);
  return t("attention.decoder_row", {fed: quoted(labels.rows[row]), predicts: quoted(labels.predicts[row])});
}

/** Where an attention is, and what stands at its sides; what is loaded of it comes with this. */
export const placed = ({trace, kind, layer}) => ({
  trace,
  kind,
  layer,
  at: place(kind, layer),
  labels: labelsOf(kind, trace.tokens),
  parameters: parameters(kind, layer),
});

/** Everything about one row of one head: {kind, layer, head, query, labels, sides, x, q, keys, values, scores, ...}. */
export async function loadRow({trace, model, kind, layer, head, query}) {
  const at = place(kind, layer);
  const inputs = inputsOf(kind, layer, model.config);
  const row = {head, row: query};
  const [x, q, keys, values, scores, scaled, mayAttend, weights, context] = await Promise.all([
    site(trace, inputs.queries, {row: query}),
    site(trace, `${at}.queries`, row),
    site(trace, `${at}.keys`, {head}),
    site(trace, `${at}.values`, {head}),
    ...["scores", "scaled", "may_attend", "weights", "context"].map((name) => site(trace, `${at}.${name}`, row)),
  ]);
  return {
    ...placed({trace, kind, layer}),
    head,
    query,
    inputs,
    sides: sidesOf(kind),
    x: x.data,
    q: q.data,
    keys,
    values,
    scores: scores.data,
    scaled: scaled.data,
    mayAttend: mayAttend.data,
    weights: weights.data,
    context: context.data,
  };
}

/** What tells one row of one head from all others; for useData. */
export const rowKey = (trace, kind, layer, head, query) => `${trace.id} ${place(kind, layer)} ${head} ${query}`;

export const Pickers = ({state, config, single = true, children}) => html`
  <div class="controls">
    <${KindPicker} state=${state} /><${LayerPicker} state=${state} config=${config} />
    <${HeadPicker} state=${state} config=${config} single=${single} />${children}
  </div>
  <${KindHint} state=${state} config=${config} />
`;

/** The sentence whose rows ask, as chips; a decoder's chips say what they predict. `label` names the choice. */
export function WordPicker({trace, state, query, label}) {
  const {rows, predicts} = labelsOf(state.kind, trace.tokens);
  const side = sidesOf(state.kind).rows;
  const words = wordsOf(side === "source" ? "source" : "fed", trace.tokens);
  const picker = useRef(null);
  useEffect(() => {
    // of a long sentence, the chosen word is brought into the window
    const [list, chip] = [".chips", "[aria-pressed=true]"].map((selector) => picker.current.querySelector(selector));
    if (chip) list.scrollTop = chip.offsetTop - list.offsetTop - list.clientHeight / 2;
  }, [query, trace.id, state.kind]);
  return html`<div class="word-picker" ref=${picker}>
    <span class="choice-label">${label ?? t(predicts ? "attention.which_step" : "attention.which_word")}</span>
    <${Chips}
      pieces=${rows} words=${words} side=${side} name=${label ?? t("attention.which_word")} selected=${query}
      notes=${predicts?.map((piece) => `→ ${pieceText(piece)}`) ?? null}
      onSelect=${(position) => setState({query: position})}
    />
  </div>`;
}

/** The width of a strip of n numbers within `room`: cells of at most 12 pixels, and a margin for the frame. */
export const stripWidth = (n, room) => Math.min(n * 12, room - 4);

/** How a table names the rows of an attention: two columns, and in a decoder a third for what a row predicts. */
export const rowHeads = ({predicts}) => [
  t("word.position"),
  t("word.piece"),
  ...(predicts ? [t("matrices.predicts")] : []),
];
export const rowCells = ({rows, predicts}, row) => [row, rows[row], ...(predicts ? [predicts[row]] : [])];

/** A vector with its name over it, and a note beside the name; the rest is for the strip. */
export const NamedStrip = ({title, note, values, room, isResult = false, ...rest}) => html`
  <div class=${isResult ? "vector result" : "vector"}>
    <p class="vector-name">${title}${note && html` <small>${note}</small>`}</p>
    <${Strip} values=${values} width=${stripWidth(values.length, room)} ...${rest} />
  </div>
`;

/** A formula as text, with what follows "_" set lower: "x W_q + b_q". */
export const Formula = ({text}) => html`
  ${text.split(/(_\w+)/).map((part, i) => (part.startsWith("_") ? html`<sub key=${i}>${part.slice(1)}</sub>` : part))}
`;

/** A letter with an index, as formulas have it: q with a small "it". */
export const Symbol = ({letter, of}) =>
  html`<span class="symbol"><i>${letter}</i>${of !== undefined && html`<sub><bdi>${of}</bdi></sub>`}</span>`;
