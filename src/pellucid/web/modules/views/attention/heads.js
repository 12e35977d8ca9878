// Many heads: what each of them looks at. Read output.js next: their contexts side by side, and what each head adds.
import {html} from "pellucid/ui";
import {ofTrace, site, useData} from "pellucid/data";
import {Figure, Waiting} from "pellucid/pictures/figure";
import {Thumbnail} from "pellucid/pictures/matrix";
import {ranking, short} from "pellucid/numbers";
import {labelText} from "pellucid/pickers";
import {headColour} from "pellucid/pictures/palette";
import {labelsOf, longKind, place} from "pellucid/sites";
import {setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {evenText, partOf} from "pellucid/views/attention/atlas";
import {Meant} from "pellucid/views/attention/meant";
import {Concatenated, Shares, loadOutput, loadShares} from "pellucid/views/attention/output";
import {Pickers, WordPicker, headOf} from "pellucid/views/attention/parts";
import {rowOf} from "pellucid/views/beginning";
import {useWidth} from "pellucid/pictures/width";

const MOST_CELLS = 64 * 64 * 16; // weights of one layer up to this are fetched as they are, above it the small pictures

export function HeadsView({trace, model, state}) {
  const {kind, layer} = state;
  const query = rowOf(state, trace);
  const at = place(kind, layer);
  const pictures = useData(`${trace.id} ${at} pictures`, () => loadPictures({trace, model, kind, layer}));
  const row = useData(`${trace.id} ${at} ${query}`, () => loadOutput({trace, model, kind, layer, query}));
  const shares = useData(`${trace.id} ${at} ${query} shares`, () => loadShares({trace, model, kind, layer, query}));
  return html`<div>
    <${Pickers} state=${state} config=${model.config} />
    <${WordPicker} ...${{trace, state, query}} />
    <${Waiting} data=${pictures}>${(own) => html`<${Pictures} ...${{own, state, trace, query}} />`}<//>
    <${Meant} ...${{trace, model}} />
    <${Waiting} data=${row}>${(one) => html`<${Concatenated} ...${{one, model, state}} />`}<//>
    <${Waiting} data=${shares}>${(one) => html`<${Shares} ...${{one, model, state}} />`}<//>
  </div>`;
}

/** The attention of every head of a layer, [heads, rows, columns], and its facts; small pictures for long sentences. */
async function loadPictures({trace, model, kind, layer}) {
  const {rows, columns} = labelsOf(kind, trace.tokens);
  const facts = await ofTrace(trace, "heads");
  const own = facts[longKind(kind)];
  const {num_heads: heads} = model.config;
  const isWhole = heads * rows.length * columns.length <= MOST_CELLS;
  const values = isWhole
    ? (await site(trace, `${place(kind, layer)}.weights`)).data
    : layerOf(layer, partOf(kind, facts, await ofTrace(trace, "atlas")));
  const shape = isWhole ? [rows.length, columns.length] : own.side;
  const size = shape[0] * shape[1];
  return {
    kind,
    layer,
    isWhole,
    shape,
    scale: {kind: "sequential", most: isWhole ? 1 : 255},
    facts: own.heads[layer],
    labels: {rows, columns},
    heads: Array.from({length: heads}, (_, head) => values.subarray(head * size, (head + 1) * size)),
  };
}

/** The small pictures of one layer, out of those of all layers. */
function layerOf(layer, {bytes, heads}) {
  const size = bytes.length / heads.length;
  return bytes.subarray(layer * size, (layer + 1) * size);
}

function Pictures({own, state, trace, query}) {
  const {heads, shape, scale, facts, isWhole, labels, kind} = own;
  const head = headOf(state);
  const [frame, room] = useWidth(1100);
  const {across, size} = gridOf(heads.length, room);
  const height = Math.round(Math.min(Math.max((size * shape[0]) / shape[1], size / 3), size * 1.5));
  const table = async () => {
    const [rows, columns] = [labels.rows.length, labels.columns.length];
    const all = await site(trace, `${place(kind, own.layer)}.weights`);
    return {
      columns: [
        t("heads.head"),
        t("heads.row"),
        t("heads.row_piece"),
        t("heads.column"),
        t("heads.column_piece"),
        t("attention.weight"),
      ],
      rows: Array.from(all.data, (value, i) => {
        const [row, column] = [Math.floor(i / columns) % rows, i % columns];
        return [Math.floor(i / (rows * columns)), row, labels.rows[row], column, labels.columns[column], value];
      }),
    };
  };
  const sharpest = ranking(facts.map(({entropy}) => -entropy))[0];
  const pooled = isWhole ? "" : t("heads.pooled", {rows: shape[0], columns: shape[1]});
  return html`
    <${Figure}
      frame=${frame} name="heads-attention" title=${t("heads.attention", {layer: own.layer})}
      provenance=${trace.provenance} table=${table} subject=${`${trace.id} ${kind} ${own.layer}`}
      says=${[
        t("heads.attention_says", {n: heads.length, head: sharpest, entropy: short(facts[sharpest].entropy, 3)}),
        evenText(kind, trace.tokens),
      ].join(" ")}
      caption=${`${t("heads.attention_caption")} ${pooled}`}
    >
      <div class="small-multiples" style=${{gridTemplateColumns: `repeat(${across}, ${size + AROUND}px)`}}>
        ${heads.map(
          (values, one) => html`
            <button
              key=${one} type="button" class="small-multiple" aria-pressed=${one === head}
              onClick=${() => setState({heads: [one]})} aria-label=${`${t("heads.head")} ${one}. ${label(facts[one])}`}
            >
              <span class="head-mark" style=${{background: headColour(one)}}></span><b>${one}</b>
              <span class="with-row">
                <${Thumbnail}
                  values=${values} shape=${shape} scale=${scale} size=${size} height=${height}
                  label=${`${t("heads.head")} ${one}`}
                />
                <span
                  class="row-mark"
                  style=${{
                    top: `${(query / labels.rows.length) * height}px`,
                    height: `${Math.max(height / labels.rows.length, 2)}px`,
                  }}
                ></span>
              </span>
              <small>${label(facts[one])}</small>
            </button>
          `,
        )}
      </div>
    <//>
  `;
}

// In pixels: padding and border of a button, the gap, the pictures.
const [AROUND, BETWEEN, SMALLEST, LARGEST] = [22, 13, 120, 180];

/** Pictures per line and their width: the longest lines that fit, equally long unless that leaves them half empty. */
function gridOf(n, room) {
  const sizeOf = (across) => Math.floor((room - (across - 1) * BETWEEN) / across) - AROUND;
  const all = Array.from({length: n}, (_, i) => n - i);
  const fit = all.find((across) => sizeOf(across) >= SMALLEST) ?? 1;
  const most = Math.max(fit, Math.min(2, n));
  const even = all.find((across) => n % across === 0 && across <= most);
  const across = even * 2 >= most ? even : Math.ceil(n / Math.ceil(n / most));
  return {across, size: Math.min(Math.max(sizeOf(across), 80), LARGEST)};
}

const label = ({label: name, entropy}) => (name ? labelText(name) : t("heads.entropy", {entropy: short(entropy, 2)}));
