// What a step comes from: a signed part of its score for each source piece and each piece that was written before, and
// their sum, added again. Read lens.js next.
import {html, useState} from "pellucid/ui";
import {isFile, ofModel, ofTrace, useData} from "pellucid/data";
import {areOfText} from "pellucid/editing/list";
import {Figure, Waiting} from "pellucid/pictures/figure";
import {css, diverging, inkOn} from "pellucid/pictures/palette";
import {Said, linked} from "pellucid/pictures/said";
import {bySize, largest, percent, short, total} from "pellucid/numbers";
import {Choice, MergePicker, Setting, settingOf} from "pellucid/pickers";
import {isOver, setHover, setState, useHover} from "pellucid/state";
import {t} from "pellucid/texts";
import {useTheme} from "pellucid/theme";
import {pieceLabel, pieceName, within, wordsOf} from "pellucid/tokens";
import {rivalOf} from "pellucid/views/why/gold";
import {METHODS} from "pellucid/views/why/methods";

const SPLITTING = ["alti_logit", "alti"]; // one pass explains every step, and the single file has them
const MOST_ALTERNATIVES = 5;
const TOLERANCE = {alti: 1e-3, alti_logit: 1e-3, integrated_gradients: 0.02}; // as a share of the sum that is promised

const POINTS = ["", "64", "256"]; // of integrated gradients; "" takes as many as the sum needs

/** What the server refuses here, for somebody who has only the page; another sentence stays as it is. */
const REFUSALS = [
  [/^against = .* has no piece in the vocabulary/, "unknown"],
  [/^against = .* is the piece that step/, "same"],
  [/positions; the limit on this page is/, "costly"],
  [/^integrated gradients: with/, "points"],
];
function refusalText({message, written}) {
  const found = REFUSALS.find(([pattern]) => pattern.test(written ?? ""));
  return found ? t(`why.refused.${found[1]}`) : message;
}

/** Whether ALTI+ can split what the edits left; the server says the same in other words. */
const isSplittable = (trace) => areOfText(trace.provenance.edits);

export function PartsOfStep({trace, model, state}) {
  const known = METHODS.filter((name) => (SPLITTING.includes(name) ? isSplittable(trace) : !isFile));
  const method = settingOf(state, "why.method", known);
  const other = method === "alti" || isFile ? {} : otherOf(state, trace);
  const isIntegral = method === "integrated_gradients";
  const points = isIntegral && settingOf(state, "why.points", POINTS);
  const isWhole = SPLITTING.includes(method) && !Object.keys(other).length;
  const asked = isWhole ? {method} : {method, step: state.step, ...other, ...(points && {points})};
  const data = useData(known.length ? `${trace.id} why ${JSON.stringify(asked)}` : null, () =>
    ofTrace(trace, "why", asked),
  );
  const measured = useData(`${model.id} measured`, () => ofModel(model, "measured"));
  // Parts of one method never stand under the name of another.
  const value = data.isStale ? undefined : data.value;
  const fresh = {...data, value, error: data.error && {message: refusalText(data.error)}};
  return html`
    <div class="controls why-controls">
      <${Choice}
        label=${t("why.method")} value=${method} options=${known.map((name) => [name, t(`why.method.${name}`)])}
        onChange=${(name) => setState({"why.method": name})}
      /><${MergePicker} state=${state} />
      ${
        isIntegral &&
        html`<${Setting}
          state=${state} name="why.points" label=${t("why.points")}
          options=${POINTS.map((number) => [number, number || t("why.points_needed")])}
        />`
      }
    </div>
    <${Against} ...${{trace, state, method}} />
    ${isFile && html`<p class="hint">${t("why.file")}</p>`}
    ${!isSplittable(trace) && html`<p class="hint">${t("why.not_split")}</p>`}
    ${
      known.length > 0 &&
      html`<${Waiting} data=${fresh}>
          ${(found) => html`<${Parts} ...${{trace, state, found, row: found.steps.indexOf(state.step)}} />`}
        <//>
        <p class="hint">${t(`why.means.${method}`)} ${belief(measured.value, method)}</p>`
    }
  `;
}

const NONE = "none"; // in place of a number: the reader wants no comparison

/** The other piece, as parameters of a request: the one of the address or, for the story, the other pronoun. */
function otherOf(state, trace) {
  const id = state["why.id"];
  if (id) return id === NONE ? {} : {against_id: id};
  const word = state["why.against"] || rivalOf(trace, state.step);
  return word ? {against: word} : {};
}

/** One sentence on what the method was worth on this model. */
function belief(measured, method) {
  const curve = measured?.faithfulness;
  if (!curve?.nats[method]) return "";
  return t("why.worth", {own: short(curve.nats[method][0], 3), random: short(curve.nats.random[0], 3)});
}

/** Why this piece and not another: one of the runners-up, or a word that is typed. */
function Against({trace, state, method}) {
  const {predictions, tokens} = trace;
  const [typed, type] = useState("");
  const {step} = state;
  const own = tokens.predicted_ids[step];
  const cannot = isFile || method === "alti";
  const others = (predictions?.top_ids[step] ?? [])
    .map((id, i) => [id, predictions.top_pieces?.[step][i], predictions.top_log_probabilities[step][i]])
    .filter(([id, piece]) => id !== own && piece !== undefined)
    .slice(0, MOST_ALTERNATIVES);
  const choose = (id, word) => setState({"why.id": id, "why.against": word});
  // A runner-up of this spelling, with or without a space before it as the piece of the step.
  const space = tokens.predicted_pieces[step].startsWith("▁") ? "▁" : "";
  const runnerUp = (word) => others.find(([, piece]) => piece === space + word);
  const submit = (event) => {
    event.preventDefault();
    type("");
    const word = typed.trim();
    if (!word) return;
    const known = runnerUp(word);
    choose(known ? String(known[0]) : "", known ? "" : word);
  };
  const label = t("why.against", {piece: pieceName(tokens.predicted_pieces[step])});
  const {against_id: chosen, against = ""} = cannot ? {} : otherOf(state, trace);
  const id = chosen ?? String(runnerUp(against)?.[0] ?? "");
  const word = id ? "" : against;
  return html`
    <div class="edit-choices" role="group" aria-label=${label}>
      <span class="choice-label">${label}</span>
      <button type="button" disabled=${cannot} aria-pressed=${!id && !word} onClick=${() => choose(NONE, "")}>
        ${t("why.against_none")}
      </button>
      ${others.map(
        ([one, piece, log]) =>
          html`<button
            key=${one} type="button" disabled=${cannot} aria-pressed=${id === String(one)}
            onClick=${() => choose(String(one), "")}
          >
            <bdi>${pieceLabel(piece)}</bdi> <small>${percent(Math.exp(log))}</small>
          </button>`,
      )}
      ${word && html`<button type="button" aria-pressed="true"><bdi>${word}</bdi></button>`}
      <form class="edit-typed" onSubmit=${submit}>
        <label>
          ${t("why.type")} <input
            value=${typed} disabled=${cannot} autocomplete="off" spellcheck=${false} maxlength="100" size="12"
            onInput=${(event) => type(event.currentTarget.value)}
          />
        </label>
        <button disabled=${cannot}>${t("why.compare")}</button>
      </form>
    </div>
    ${method === "alti" && html`<p class="hint">${t("why.alti_alone")}</p>`}
  `;
}

/** What is shaded on a side: pieces, or words whose part is the sum of those of their pieces. */
function unitsOf(side, values, trace, {merge, step}) {
  const pieces = side === "source" ? trace.tokens.source_pieces : trace.tokens.fed_pieces.slice(0, step + 1);
  const spans = merge
    ? within(wordsOf(side === "source" ? "source" : "fed", trace.tokens), pieces.length)
    : pieces.map((piece, start) => ({text: pieceLabel(piece), start, end: start + 1}));
  return spans.map(({text, start, end}) => ({side, text, start, part: total(values.slice(start, end))}));
}

function Parts({trace, state, found, row}) {
  const source = unitsOf("source", found.source[row], trace, state);
  const target = unitsOf("target", found.target[row], trace, state);
  const all = [...source, ...target];
  const parts = all.map(({part}) => part);
  const most = Math.max(largest(parts), 1e-9);
  const sum = total([...found.source[row], ...found.target[row].slice(0, state.step + 1)]);
  const piece = pieceName(found.pieces[row]);
  const title = found.against
    ? t("why.figure_against", {piece, other: pieceName(found.against)})
    : t("why.figure", {piece});
  const [first, second] = bySize(parts); // a part against the piece is as large as one for it
  const isShare = found.method === "alti"; // shares of a state, which have no sign
  const said = isShare ? (part) => short(part, 3) : signed;
  const table = () => ({
    columns: [t("why.side"), t("word.position"), t("word.piece"), t("why.part")],
    rows: all.map(({side, start, text, part}) => [t(`why.${side}`), start, text, part]),
  });
  const recompute = () => ({
    lines: all.map(({text, part}) => ({text, value: part})),
    computed: sum,
    shown: found.sum[row],
  });
  return html`<${Figure}
    name="why" title=${title} provenance=${trace.provenance} table=${table} recompute=${recompute}
    subject=${`${found.method} ${found.against} ${state.step} ${state.merge}`}
    says=${html`<${Said} text=${t(second === undefined ? "why.says_one" : "why.says", {
      first: linked(pieceName(all[first].text), all[first].side, all[first].start),
      part: said(parts[first]),
      second: all[second] && linked(pieceName(all[second].text), all[second].side, all[second].start),
      other: said(parts[second] ?? 0),
    })} />`}
    caption=${t(isShare ? "why.caption.alti" : "why.caption")}
  >
    <${Shaded} ...${{units: source, most, said}} name=${t("why.source")} />
    <${Shaded} ...${{units: target, most, said}} name=${t("why.target")} />
    <${Sum} ...${{found, row, sum}} />
  <//>`;
}

export const signed = (value) => (value > 0 ? "+" : "") + short(value, 3);

function Shaded({units, most, said, name}) {
  const hover = useHover();
  useTheme();
  return html`
    <p class="choice-label">${name}</p>
    <ul class="why-parts" aria-label=${name}>
      ${units.map(({side, text, start, part}) => {
        const colour = diverging(part / most);
        return html`<li
          key=${start} class=${`chip ${isOver(hover, side, start) ? "hovered" : ""}`}
          style=${{background: css(colour), color: inkOn(colour)}}
          onPointerEnter=${() => setHover({side, position: start})} onPointerLeave=${() => setHover(null)}
        >
          <bdi dir="auto">${text}</bdi><small class="number">${said(part)}</small>
        </li>`;
      })}
    </ul>
  `;
}

/** The sum of the parts as this page adds them, and what the method promises of it. */
function Sum({found, row, sum}) {
  const [score, must] = [found.score[row], found.expected_sum?.[row]];
  const values = {sum: short(sum, 5), score: short(score, 5)};
  if (must === undefined) return html`<p class="why-sum">${t("why.sum.none", values)}</p>`;
  const agrees = Math.abs(sum - must) <= TOLERANCE[found.method] * Math.max(1, Math.abs(must));
  return html`<p class=${`why-sum ${agrees ? "agrees" : "differs"}`}>
    ${t(`why.sum.${found.method}`, {
      ...values,
      must: short(must, 5),
      rest: short(score - must, 5),
      points: found.points ?? 0,
      difference: short(Math.abs(sum - must), 2),
    })}
  </p>`;
}
