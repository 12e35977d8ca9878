// Which heads look elsewhere in the second trace: a list of the most different ones, and a sheet of all.
import {html} from "pellucid/ui";
import {Figure} from "pellucid/pictures/figure";
import {Matrix} from "pellucid/pictures/matrix";
import {useWidth} from "pellucid/pictures/width";
import {percent} from "pellucid/numbers";
import {KINDS, depthOf} from "pellucid/sites";
import {setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {pieceLabel} from "pellucid/tokens";
import {tell} from "pellucid/views/compare/texts";

const MOST = 8;

const open = ({kind, layer, head}) => setState({kind, layer, heads: [head], query: null, key: null});

/** The row of a head that changes most, with the piece that looks; in a decoder also the piece that it writes. */
function rowText({kind, row}, {first: {tokens}}) {
  if (kind === "encoder") return pieceLabel(tokens.source_pieces[row]);
  return `${pieceLabel(tokens.fed_pieces[row])} → ${pieceLabel(tokens.predicted_pieces[row])}`;
}

const partner = (one) =>
  one.layer === one.other_layer && one.head === one.other_head
    ? ""
    : t("compare.partner", {layer: one.other_layer, head: one.other_head});

export function HeadChanges({model, state, found, provenance}) {
  const {heads, first, second} = found;
  if (!heads.length) return html`<p class="hint">${t("compare.no_heads")}</p>`;
  const table = () => ({
    columns: [
      t("pick.kind"),
      t("pick.layer"),
      t("pick.head"),
      tell(found, "other_layer"),
      tell(found, "other_head"),
      t("compare.similarity"),
      t("compare.moved"),
      t("compare.row"),
      t("compare.row_moved"),
    ],
    rows: heads.map((one) => [
      t(`kind.${one.kind}`),
      one.layer,
      one.head,
      one.other_layer,
      one.other_head,
      one.similarity,
      one.change,
      rowText(one, found),
      one.row_change,
    ]),
  });
  const isChosen = ({kind, layer, head}) => kind === state.kind && layer === state.layer && state.heads[0] === head;
  const top = heads[0];
  return html`<${Figure}
    name="compare-heads" title=${t("compare.heads")} provenance=${provenance} table=${table}
    says=${t("compare.heads_say", {
      kind: t(`kind.${top.kind}`),
      layer: top.layer,
      head: top.head,
      share: percent(top.change),
      row: rowText(top, found),
      most: percent(top.row_change),
    })}
    caption=${t(found.heads_by === "number" ? "compare.by_number" : "compare.by_rows")}
  >
    <p class="hint">
      ${t("page.no_effect")} <button type="button" onClick=${() => setState({view: "why", "why.show": "heads"})}>
        ${t("page.effect")}
      </button>
    </p>
    <ol class="compare-heads" aria-label=${t("compare.heads")}>
      ${heads.slice(0, MOST).map(
        (one) =>
          html`<li key=${`${one.kind} ${one.layer} ${one.head}`}>
          <button type="button" aria-pressed=${isChosen(one)} onClick=${() => open(one)}>
            ${t("compare.head", {kind: t(`kind.${one.kind}`), layer: one.layer, head: one.head})} ${partner(one)}
          </button>
          <span class="number">${percent(one.change)}</span>
          <small>${t("compare.most_in", {row: rowText(one, found), share: percent(one.row_change)})}</small>
        </li>`,
      )}
    </ol>
    <div class="side-by-side">
      ${KINDS.map((kind) => html`<${Sheet} key=${kind} ...${{kind, heads, model, state, first, second}} />`)}
    </div>
  <//>`;
}

function Sheet({kind, heads, model, state}) {
  const {config} = model;
  const [frame, room] = useWidth(320);
  const [layers, width] = [depthOf(kind, config), config.num_heads];
  const values = new Float32Array(layers * width);
  const hidden = new Uint8Array(layers * width).fill(1);
  for (const one of heads) {
    if (one.kind !== kind) continue;
    values[one.layer * width + one.head] = one.change;
    hidden[one.layer * width + one.head] = 0;
  }
  const cell = Math.max(Math.min(Math.floor((room - 90) / width), 30), 14);
  const at = (layer, head) => heads.find((one) => one.kind === kind && one.layer === layer && one.head === head);
  return html`<div ref=${frame} class="compare-sheet">
    <p class="caption">${t(`kind.${kind}`)}</p>
    <${Matrix}
      values=${values} shape=${[layers, width]} hidden=${hidden} isQuiet
      rows=${Array.from({length: layers}, (_, i) => `${t("pick.layer")} ${i}`)}
      columns=${Array.from({length: width}, (_, i) => String(i))} columnTitle=${t("pick.head")}
      scale=${{kind: "sequential", most: Math.max(heads[0].change, 1e-6)}} cell=${cell}
      name=${`${t("compare.moved")}: ${t(`kind.${kind}`)}`}
      selected=${kind === state.kind && state.heads.length ? [state.layer, state.heads[0]] : null}
      describe=${(layer, head) =>
        at(layer, head)
          ? t("compare.head_says", {layer, head, share: percent(at(layer, head).change)})
          : t("compare.no_partner", {layer, head})}
      onSelect=${(layer, head) => open({kind, layer, head})}
    />
  </div>`;
}
