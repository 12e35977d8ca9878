// The visible list of edits, and what they do: both translations, where they first differ, and every log-probability.
// Read panel.js next.
import {html, useEffect, useRef} from "pellucid/ui";
import {isFile, ofTrace, useData} from "pellucid/data";
import {dropAll, dropEdit, editsIn, inWords} from "pellucid/editing/list";
import {Figure, Waiting} from "pellucid/pictures/figure";
import {largest, percent, short, total} from "pellucid/numbers";
import {Setting} from "pellucid/pickers";
import {t} from "pellucid/texts";
import {marked, pieceLabel, pieceText, textOf} from "pellucid/tokens";

/** trace: the trace that is shown, with or without its edits yet; state: with the list of the address */
export function EditBar({trace, state, problem}) {
  const recorded = trace?.provenance.edits ?? [];
  const edits = isFile ? recorded : editsIn(state.edits);
  const refused = trace?.refused ?? {};
  const bar = useRef(null);
  // The effect of a click far down the page stands above it: bring it into the window.
  useEffect(() => bar.current?.scrollIntoView({block: "nearest"}), [recorded.join()]);
  if (!edits.length) return null;
  return html`<section ref=${bar} class="edit-bar" aria-label=${t("editing.list")}>
    <div class="edit-list">
      <b>${t("editing.list")}</b>
      <ul>
        ${edits.map(
          (edit) =>
            html`<li key=${edit} class=${edit in refused ? "refused" : ""}>
            <span title=${edit}>${inWords(edit)}</span>
            ${edit in refused && html`<small role="alert"><b>${t("editing.refused")}</b> ${refused[edit]}</small>`}
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
    ${
      recorded.length > 0 &&
      state.view !== "compare" &&
      html`<${Setting}
        state=${state} name="shown" label=${t("editing.shown")}
        options=${[
          ["after", t("editing.shown_after")],
          ["before", t("editing.shown_before")],
        ]}
      />
      <p>
        <button type="button" onClick=${() => document.querySelector(".edit-change")?.scrollIntoView()}>
          ${t("editing.jump")}
        </button>
      </p>`
    }
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
  const whole = (which, ...logs) => {
    const [one, two] = logs.map((values) => short(total(values), 4));
    return t(`editing.whole.${which}${one === two ? "_same" : ""}`, {one, two});
  };
  const rows = [
    [effect.old_before, effect.old_after],
    ...(divergence === null ? [] : [[effect.new_before, effect.new_after]]),
  ];
  const drawn = rows.map(([one, other]) => (isNothing(changesOf(one, other)) ? one : changesOf(one, other)));
  const most = Math.max(...drawn.map(largest), 1e-6); // both pictures have one scale
  const side = (name, pieces) =>
    html`
    <p class=${`edit-${name}`}>
      <b>${t(`editing.${name}`)}</b> ${parts.map((part, i) => {
        const text = textOf(pieces.slice(...part[name]));
        if (!text) return null;
        return part.kind === "equal" ? text : marked(text, i);
      })}
    </p>`;
  return html`
    ${
      effect.source !== trace.source &&
      html`<p>${t("editing.source", {before: effect.source, after: trace.source})}</p>`
    }
    ${Object.entries(effect.written).map(
      ([edit, pieces]) =>
        html`<p key=${edit} class="hint">
          ${t("editing.written", {edit: inWords(edit), n: pieces.length, pieces: pieces.map(pieceLabel).join(" ")})}
        </p>`,
    )}
    ${side("before", old)} ${side("after", fresh)}
    <p role="status">${says} ${heard({trace, effect})}</p>
    <details>
      <summary>
        ${whole("old", effect.old_before, effect.old_after)}
        ${divergence !== null && html`<br />${whole("new", effect.new_before, effect.new_after)}`}
      </summary>
      <${Steps} which="old" trace=${trace} pieces=${old} one=${effect.old_before} other=${effect.old_after}
        most=${most} />
      ${
        divergence !== null &&
        html`<${Steps} which="new" trace=${trace} pieces=${fresh} one=${effect.new_before}
          other=${effect.new_after} most=${most} />`
      }
    </details>
  `;
}

/**
 * The effect on one step, without and with the edits: on both pieces where the translations part, or else on the piece
 * that changes most.
 */
function heard({trace, effect}) {
  const {divergence: step, old_before: before, old_after: after} = effect;
  const [old, fresh] = [effect.tokens.predicted_pieces, trace.tokens.predicted_pieces];
  const log = (value) => short(value, 3);
  const share = (value) => percent(Math.exp(value));
  if (step !== null && step < Math.min(old.length, fresh.length)) {
    const logs = [before[step], after[step], effect.new_before[step], effect.new_after[step]];
    const [one, two, three, four] = logs.map(log);
    const [p, q, r, s] = logs.map(share);
    const isSame = one === two && three === four;
    const pieces = {before: pieceLabel(old[step]), after: pieceLabel(fresh[step])};
    return t(`editing.heard_both${isSame ? "_same" : ""}`, {...pieces, one, two, three, four, p, q, r, s});
  }
  const most = mostChanged(changesOf(before, after));
  const [one, two] = [before[most], after[most]];
  const piece = pieceLabel(old[most]);
  return t("editing.heard", {piece, step: most, one: log(one), two: log(two), p: share(one), q: share(two)});
}

const changesOf = (one, other) => one.map((before, i) => other[i] - before);
const isNothing = (changes) => changes.every((change) => change === 0);

const mostChanged = (changes) =>
  changes.reduce((best, change, i) => (Math.abs(change) > Math.abs(changes[best]) ? i : best), 0);

/**
 * The change of the log-probability of each piece as bars that go up or down, with all numbers as a table. Edits of
 * pieces leave the model as it is: then nothing changes, and the bars are the log-probabilities themselves.
 */
function Steps({which, trace, pieces, one, other, most}) {
  const changes = changesOf(one, other);
  const isSame = isNothing(changes);
  const drawn = isSame ? one : changes;
  const step = mostChanged(drawn);
  const table = () => ({
    columns: [t("word.position"), t("word.piece"), t("editing.before"), t("editing.after"), t("editing.change")],
    rows: pieces.map((piece, i) => [i, piece, one[i], other[i], changes[i]]),
  });
  return html`<${Figure}
    name=${`effect-${which}`} title=${t(`editing.steps.${which}${isSame ? "_same" : ""}`)}
    provenance=${trace.provenance} table=${table}
    says=${t(isSame ? "editing.most_same" : "editing.most", {
      piece: pieceLabel(pieces[step]),
      step,
      change: short(drawn[step]),
    })}
  >
    <ol class="step-changes">
      ${pieces.map(
        (piece, i) =>
          html`<li key=${i}>
          <svg width="26" height="60" aria-hidden="true">
            <line x1="0" x2="26" y1="30" y2="30" class="axis" />
            <rect
              x="5" width="16" y=${30 - Math.max(0, drawn[i] / most) * 28}
              height=${Math.max(Math.abs(drawn[i] / most) * 28, 0.5)} class=${drawn[i] < 0 ? "less" : "more"}
            />
          </svg>
          <bdi>${pieceText(piece)}</bdi> <small>${short(drawn[i], 2)}</small>
        </li>`,
      )}
    </ol>
  <//>`;
}
