// The visible list of edits, and what they do: both translations, where they first differ, and every log-probability.
// Read panel.js next.
import {html} from "pellucid/ui";
import {isFile, ofTrace, useData} from "pellucid/data";
import {dropAll, dropEdit, editsIn, inWords} from "pellucid/editing/list";
import {Figure, Waiting} from "pellucid/pictures/figure";
import {largest, short, total} from "pellucid/numbers";
import {t} from "pellucid/texts";
import {pieceLabel, pieceText} from "pellucid/tokens";

/** trace: the trace that is shown, with or without its edits yet; state: with the list of the address */
export function EditBar({trace, state, problem}) {
  const recorded = trace?.provenance.edits ?? [];
  const edits = isFile ? recorded : editsIn(state.edits);
  if (!edits.length) return null;
  return html`<section class="edit-bar" aria-label=${t("editing.list")}>
    <div class="edit-list">
      <b>${t("editing.list")}</b>
      <ul>
        ${edits.map(
          (edit) =>
            html`<li key=${edit}>
            <span title=${edit}>${inWords(edit)}</span>
            ${
              !isFile &&
              html`<button
                type="button" aria-label=${t("editing.undo", {edit: inWords(edit)})} onClick=${() => dropEdit(edit)}
              >
                ×
              </button>`
            }
          </li>`,
        )}
      </ul>
      ${
        isFile
          ? html`<small class="hint">${t("editing.needs_model")}</small>`
          : html`<button type="button" onClick=${dropAll}>${t("editing.undo_all")}</button>`
      }
    </div>
    ${recorded.length > 0 && !problem && html`<${Effect} trace=${trace} />`}
  </section>`;
}

function Effect({trace}) {
  const data = useData(`${trace.id} effect`, () => ofTrace(trace, "effect"));
  return html`<${Waiting} data=${data}>${(effect) => html`<${Both} ...${{trace, effect}} />`}<//>`;
}

function Both({trace, effect}) {
  const {divergence, parts} = effect;
  const [old, fresh] = [effect.tokens.predicted_pieces, trace.tokens.predicted_pieces];
  const says =
    divergence === null
      ? t("editing.same")
      : t("editing.differs", {
          step: divergence,
          before: pieceLabel(old[divergence] ?? "</s>"),
          after: pieceLabel(fresh[divergence] ?? "</s>"),
        });
  const sum = (values) => short(total(values), 4);
  const side = (name, pieces) =>
    html`
    <p class=${`edit-${name}`}>
      <b>${t(`editing.${name}`)}</b> ${parts.map((part, i) => {
        const text = pieces
          .slice(...part[name])
          .map(shown)
          .join("");
        if (!text) return null;
        return part.kind === "equal" ? text : html`<mark key=${i}>${text}</mark>`;
      })}
    </p>`;
  return html`
    ${
      effect.source !== trace.source &&
      html`<p>${t("editing.source", {before: effect.source, after: trace.source})}</p>`
    }
    ${side("before", old)} ${side("after", fresh)}
    <p role="status">${says}</p>
    <details>
      <summary>${t("editing.numbers", {before: sum(effect.old_before), after: sum(effect.old_after)})}</summary>
      <${Steps} name="effect-old" title=${t("editing.old")} trace=${trace} pieces=${old} one=${effect.old_before}
        other=${effect.old_after} />
      ${
        divergence !== null &&
        html`<${Steps} name="effect-new" title=${t("editing.new")} trace=${trace} pieces=${fresh}
          one=${effect.new_before} other=${effect.new_after} />`
      }
    </details>
  `;
}

const shown = (piece) => (piece.startsWith("<") ? "" : piece.replaceAll("▁", " "));

/** The change of the log-probability of each piece as bars that go up or down, with all numbers as a table. */
function Steps({name, title, trace, pieces, one, other}) {
  const changes = one.map((before, i) => other[i] - before);
  const most = Math.max(largest(changes), 1e-6);
  const step = changes.reduce((best, change, i) => (Math.abs(change) > Math.abs(changes[best]) ? i : best), 0);
  const table = () => ({
    columns: [t("word.position"), t("word.piece"), t("editing.before"), t("editing.after"), t("editing.change")],
    rows: pieces.map((piece, i) => [i, piece, one[i], other[i], changes[i]]),
  });
  return html`<${Figure}
    name=${name} title=${title} provenance=${trace.provenance} table=${table}
    says=${t("editing.most", {piece: pieceLabel(pieces[step]), step, change: short(changes[step])})}
  >
    <ol class="step-changes">
      ${pieces.map(
        (piece, i) =>
          html`<li key=${i}>
          <svg width="26" height="60" aria-hidden="true">
            <line x1="0" x2="26" y1="30" y2="30" class="axis" />
            <rect
              x="5" width="16" y=${30 - Math.max(0, changes[i] / most) * 28}
              height=${Math.max(Math.abs(changes[i] / most) * 28, 0.5)} class=${changes[i] < 0 ? "less" : "more"}
            />
          </svg>
          <bdi>${pieceText(piece)}</bdi> <small>${short(changes[i], 2)}</small>
        </li>`,
      )}
    </ol>
  <//>`;
}
