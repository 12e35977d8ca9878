// Both sentences and both translations with their differences marked, and the probabilities at each step.
import {html} from "pellucid/ui";
import {Figure} from "pellucid/pictures/figure";
import {inWords} from "pellucid/editing/list";
import {percent} from "pellucid/numbers";
import {t} from "pellucid/texts";
import {marked, pieceLabel, textOf} from "pellucid/tokens";

/** A text of this view; where the two sides are before and after the edits, it says so in its words. */
export const tell = (found, key, values) =>
  found.other === "before" ? t(`compare.edited.${key}`, values) : t(`compare.${key}`, values);

/** The name of a side: its number (or before and after), model, step and edits. */
export const sideName = (found, side) => {
  const {model, step, edits} = found[side];
  const hasOwn = model && (found.first.model !== found.second.model || step !== found.first.step);
  const parts = [hasOwn && (step === null ? model : t("page.snapshot", {name: model, step})), ...edits.map(inWords)];
  return [tell(found, side), ...parts].filter(Boolean).join(", ");
};

const SIDES = [
  ["first", "before"],
  ["second", "after"],
];

/** A text in pieces, with the parts that the other text does not have marked. */
function Marked({pieces, parts, name}) {
  return parts.map((part, i) => {
    const text = textOf(pieces.slice(...part[name]));
    if (!text.trim()) return text;
    return part.kind === "equal" ? text : marked(text, i);
  });
}

export function Outputs({found, provenance}) {
  const {divergence} = found;
  const written = (side) => found[side].tokens.predicted_pieces[divergence];
  const label = (side) => (written(side) === undefined ? t("compare.no_piece") : pieceLabel(written(side)));
  const alone = (side) => found[side].only_first.length + found[side].only_second.length;
  const lonely = alone("source") + alone("target");
  return html`<${Figure}
    name="compare-texts" title=${t("compare.texts")} provenance=${provenance}
    says=${
      divergence === null
        ? t("compare.equal")
        : tell(found, "diverges", {step: divergence, first: label("first"), second: label("second")})
    }
    caption=${lonely ? t("compare.alone", {source: alone("source"), target: alone("target")}) : ""}
  >
    <dl class="compare-texts">
      ${SIDES.map(
        ([side, name]) =>
          html`<div key=${side}>
          <dt>${sideName(found, side)}</dt>
          <dd dir="auto">
            <${Marked} pieces=${found[side].tokens.source_pieces} parts=${found.source.parts} name=${name} />
          </dd>
          <dd dir="auto" class="compare-text">
            <${Marked} pieces=${found[side].tokens.predicted_pieces} parts=${found.target.parts} name=${name} />
          </dd>
        </div>`,
      )}
    </dl>
  <//>`;
}

const chance = (value) => (value === null || value === undefined ? null : Math.exp(value));
const percentOf = (value) => (value === null ? "–" : percent(value));

const numbers = ([from, to]) => Array.from({length: to - from}, (_, i) => from + i);

/** The steps of both in their order: {a, b: steps or null, and the log-probabilities [trace][piece]}. */
function rowsOf({target, step_log_probabilities: table, first, second}) {
  const own = (side, at) => side.log_probabilities?.[at] ?? null;
  const left = (a) => ({
    a,
    b: null,
    table: [
      [own(first, a), null],
      [null, null],
    ],
  });
  const right = (b) => ({
    a: null,
    b,
    table: [
      [null, null],
      [null, own(second, b)],
    ],
  });
  let row = 0;
  return target.parts.flatMap(({before, after}) => {
    const [ours, others] = [numbers(before), numbers(after)];
    if (ours.length !== others.length) return [...ours.map(left), ...others.map(right)];
    return ours.map((a, i) => ({a, b: others[i], table: table[row++]}));
  });
}

export function Steps({found, provenance}) {
  const rows = rowsOf(found).map(({a, b, table}) => ({
    a,
    b,
    one: a === null ? null : found.first.tokens.predicted_pieces[a],
    two: b === null ? null : found.second.tokens.predicted_pieces[b],
    chances: table.map((row) => row.map(chance)),
  }));
  const both = rows.filter(({a, b}) => a !== null && b !== null);
  const change = ({chances: [[first], [second]]}) => (first === null || second === null ? 0 : Math.abs(second - first));
  const most = both.reduce((best, row) => (change(row) > change(best) ? row : best), both[0]);
  const columns = [
    t("pick.step"),
    ...["first", "second"].flatMap((side) => [
      tell(found, "writes", {side: tell(found, side)}),
      tell(found, "in", {side: tell(found, "first")}),
      tell(found, "in", {side: tell(found, "second")}),
    ]),
  ];
  const table = () => ({
    columns,
    rows: rows.map(({a, b, one, two, chances}) => [
      a === b ? a : `${a ?? "–"} | ${b ?? "–"}`,
      one,
      chances[0][0],
      chances[1][0],
      two,
      chances[0][1],
      chances[1][1],
    ]),
  });
  return html`<${Figure}
    name="compare-steps" title=${t("compare.steps")} provenance=${provenance} table=${table}
    says=${
      most && change(most) > 0
        ? tell(found, "steps_say", {
            piece: pieceLabel(most.one),
            step: most.a,
            first: percentOf(most.chances[0][0]),
            second: percentOf(most.chances[1][0]),
          })
        : t(most ? "compare.steps_same" : "compare.steps_apart")
    }
    caption=${tell(found, "steps_caption")}
  >
    <ol class="compare-steps">${rows.map((row) => html`<${Step} key=${`${row.a} ${row.b}`} row=${row} />`)}</ol>
  <//>`;
}

/** One step: each piece with its probability in the first and in the second trace, as two bars. */
function Step({row: {a, b, one, two, chances}}) {
  const pieces =
    one === two
      ? [[one, 0]]
      : [
          [one, 0],
          [two, 1],
        ].filter(([piece]) => piece !== null);
  return html`<li class=${one === two ? "" : "differs-here"}>
    <small>${a === b ? a : `${a ?? "–"} | ${b ?? "–"}`}</small>
    ${pieces.map(
      ([piece, column]) =>
        html`<div key=${column}>
        <bdi>${pieceLabel(piece)}</bdi>
        <svg width="34" height="44" aria-hidden="true">
          ${[0, 1].map((side) => {
            const height = Math.max((chances[side][column] ?? 0) * 42, 0.5);
            return html`<rect
              key=${side} x=${side * 17 + 1} width="15" y=${43 - height} height=${height}
              class=${side ? "second" : "first"}
            />`;
          })}
        </svg>
        <small>${percentOf(chances[0][column])} | ${percentOf(chances[1][column])}</small>
      </div>`,
    )}
  </li>`;
}
