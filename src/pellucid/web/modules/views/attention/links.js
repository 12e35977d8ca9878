// Who looks at whom: two columns of pieces and a line for every weight, one colour a head.
import {html, pressable, useMemo} from "pellucid/ui";
import {ofTrace, site, useData} from "pellucid/data";
import {Figure, Waiting} from "pellucid/pictures/figure";
import {mean, percent, ranking, short, total} from "pellucid/numbers";
import {LineSample} from "pellucid/pictures/chart";
import {headColour, headDash} from "pellucid/pictures/palette";
import {Said, linked} from "pellucid/pictures/said";
import {HeadPicker, KindHint, KindPicker, LayerPicker, MergePicker, labelText} from "pellucid/pickers";
import {labelsOf, longKind, place, sidesOf} from "pellucid/sites";
import {isOver, setHover, setState, useHover} from "pellucid/state";
import {t} from "pellucid/texts";
import {mergeWeights, nameAmong, pieceLabel, pieceName, wordsOf} from "pellucid/tokens";
import {useWidth} from "pellucid/pictures/width";
import {Meant} from "pellucid/views/attention/meant";
import {rowOf} from "pellucid/views/beginning";

const MOST_LINES = 1200;
const ROW = 26;
const NARROW = 420; // pixels, below which the left words need more of the room and the titles stand at the edges

/** Where the two columns stand in the room there is. */
const columnsOf = (room) => {
  const width = Math.min(Math.max(room - 2, 280), 760);
  const isNarrow = width < NARROW;
  return {left: Math.round(width * (isNarrow ? 0.44 : 0.34)), right: Math.round(width * 0.66), width, isNarrow};
};

export function LinksView({trace, model, state}) {
  const at = place(state.kind, state.layer);
  const data = useData(`${trace.id}/${state.kind} ${at}`, () => site(trace, `${at}.weights`));
  const facts = useData(`${trace.id} heads`, () => ofTrace(trace, "heads"));
  return html`
    <div class="controls">
      <${KindPicker} state=${state} /><${LayerPicker} state=${state} config=${model.config} />
      <${HeadPicker} state=${state} config=${model.config} /><${AllPicker} state=${state} />
      <${MergePicker} state=${state} /><${Least} state=${state} />
    </div>
    <${KindHint} state=${state} config=${model.config} />
    <${Meant} ...${{trace, model}} />
    <${Waiting} data=${data}>
      ${(weights) => html`<${Links} ...${{trace, state, weights, facts: facts.value}} />`}
    <//>
  `;
}

/** Whether the lines of all words are drawn at once; a word that is pinned comes first. */
const showsAll = (state) => state["links.all"] === "1" && state.query === null;

const AllPicker = ({state}) => html`
  <label class="switch">
    <input
      type="checkbox" checked=${showsAll(state)}
      onChange=${(event) => setState({query: null, "links.all": event.currentTarget.checked ? "1" : ""})}
    /> ${t("links.all")}
  </label>
`;

const leastOf = (state) => Math.min(Math.max(Number(state["links.least"] ?? 0.05) || 0, 0), 1);

const Least = ({state}) => html`
  <label class="slider">
    ${t("links.least")}
    <input
      type="range" min="0" max="0.5" step="0.01" value=${leastOf(state)}
      onInput=${(event) => setState({"links.least": event.currentTarget.value})}
    />
    <output>${leastOf(state).toFixed(2)}</output>
  </label>
`;

/** The two columns of units (pieces or words), the weights of each chosen head, and which row a position is in. */
function unitsOf(trace, state, weights) {
  const {kind, merge} = state;
  const labels = labelsOf(kind, trace.tokens);
  const heads = state.heads.length ? state.heads : Array.from({length: weights.shape[0]}, (_, head) => head);
  if (!merge) {
    return {
      heads,
      rows: labels.rows.map(pieceLabel),
      columns: labels.columns.map(pieceLabel),
      predicts: labels.predicts?.map(pieceLabel),
      matrices: heads.map((head) => weights.part(head).data),
      position: (row) => row,
      rowAt: (position) => position,
    };
  }
  const rowWords = wordsOf(kind === "encoder" ? "source" : "fed", trace.tokens);
  const columnWords = wordsOf(kind === "decoder" ? "fed" : "source", trace.tokens);
  return {
    heads,
    rows: rowWords.map(({text}) => text),
    columns: columnWords.map(({text}) => text),
    predicts: null,
    matrices: heads.map(
      (head) => mergeWeights(weights.part(head).data, weights.shape.slice(1), rowWords, columnWords).values,
    ),
    position: (word) => rowWords[word].start,
    rowAt: (position) => {
      const found = rowWords.findIndex(({start, end}) => position >= start && position < end);
      return found < 0 ? null : found;
    },
  };
}

function Links({trace, state, weights, facts}) {
  const units = useMemo(() => unitsOf(trace, state, weights), [weights, state.kind, state.merge, state.heads.join()]);
  const {heads, rows, columns, matrices} = units;
  const hover = useHover();
  const [frame, room] = useWidth();
  const {left, right, width, isNarrow} = columnsOf(room);
  const sides = sidesOf(state.kind);
  const least = leastOf(state);
  const row = showsAll(state) ? null : units.rowAt(rowOf(state, trace));
  // The word under the pointer, or with the focus, shows its lines meanwhile.
  const drawn = (hover?.side === sides.rows ? units.rowAt(hover.position) : null) ?? row;
  const {lines, mass, hiddenLines} = useMemo(() => linesOf(units, least, drawn), [units, least, drawn]);
  const means = columns.map((_, column) =>
    mean(matrices.map((matrix) => (drawn === null ? 0 : matrix[drawn * columns.length + column]))),
  );
  const table = () => ({
    columns: [
      t("links.head"),
      t("links.from"),
      ...(units.predicts ? [t("links.predicts")] : []),
      t("links.to"),
      t("links.weight"),
    ],
    rows: matrices.flatMap((matrix, h) =>
      Array.from(matrix, (value, i) => {
        const [from, to] = [Math.floor(i / columns.length), i % columns.length];
        return [heads[h], rows[from], ...(units.predicts ? [units.predicts[from]] : []), columns[to], value];
      }),
    ),
  });
  const capped = hiddenLines ? t("links.capped", {n: MOST_LINES, hidden: hiddenLines}) : "";
  const over = (index) => () => setHover({side: sides.rows, position: units.position(index)});
  const out = () => setHover(null);
  const isHovered = (index) => isOver(hover, sides.rows, units.position(index));
  const choose = (index) => {
    if (row === index) return setState({query: null, "links.all": "1"});
    return setState({query: units.position(index), ...(state["links.all"] ? {"links.all": ""} : {})});
  };
  return html`
    <${Figure}
      name="links" title=${t("links.figure")} provenance=${trace.provenance} table=${table}
      recompute=${row === null || state.merge ? null : () => sumOfRow(units, row)}
      says=${html`<${Said} text=${saysOf(units, row, state)} />`}
      caption=${`${t("links.drawn", {share: percent(mass)})} ${capped} ${state.merge ? t("links.merged") : ""}`}
    >
      <div ref=${frame}>
        <svg
          class="links" width=${width} height=${Math.max(rows.length, columns.length) * ROW + 34}
          viewBox=${`0 0 ${width} ${Math.max(rows.length, columns.length) * ROW + 34}`} role="group"
          aria-label=${t("links.figure")}
        >
          <text class="axis-title" x=${isNarrow ? 0 : left} y="14" text-anchor=${isNarrow ? "start" : "end"}>
            ${t(`links.side.${state.kind}.rows`)}
          </text>
          <text class="axis-title" x=${isNarrow ? width : right} y="14" text-anchor=${isNarrow ? "end" : "start"}>
            ${t(`links.side.${state.kind}.columns`)}
          </text>
          <g aria-hidden="true">
            ${lines.map(
              ({h, from, to, value}, i) => html`
                <line
                  key=${i} x1=${left + 8} x2=${right - 8} y1=${34 + from * ROW + spread(h, heads)}
                  y2=${34 + to * ROW + spread(h, heads)} stroke=${headColour(heads[h])}
                  stroke-dasharray=${heads.length > 1 ? headDash(heads[h]) : "none"} stroke-width=${0.6 + 3.4 * value}
                  opacity=${drawn === null ? 0.08 + 0.82 * value : 0.45 + 0.55 * value}
                />
              `,
            )}
          </g>
          ${rows.map(
            (label, index) => html`
              <g
                key=${index}
                class=${`unit ${row === index ? "pinned" : ""} ${isHovered(index) ? "hovered" : ""}`}
                ...${pressable(() => choose(index))} aria-pressed=${row === index}
                onPointerEnter=${over(index)} onPointerLeave=${out} onFocus=${over(index)} onBlur=${out}
              >
                <rect x="0" y=${34 + index * ROW - ROW / 2} width=${left + 4} height=${ROW - 2} rx="5" />
                <text x=${left - 2} y=${34 + index * ROW} dy="0.32em" text-anchor="end" direction="ltr">
                  ${label}
                  ${
                    units.predicts &&
                    html`<tspan class="second" dx="6">
                      → ${units.predicts[index]}
                    </tspan>`
                  }
                </text>
              </g>
            `,
          )}
          ${columns.map(
            (label, column) => html`
              <g key=${column} class=${`unit target ${isOver(hover, sides.columns, column) ? "hovered" : ""}`}>
                ${
                  drawn !== null &&
                  html`<rect
                    class="share" x=${right - 4} y=${34 + column * ROW - ROW / 2}
                    width=${Math.max(means[column], 0) * (width - right)} height=${ROW - 2} rx="5"
                  />`
                }
                <text x=${right + 2} y=${34 + column * ROW} dy="0.32em">
                  ${label}
                  ${
                    drawn !== null &&
                    means[column] >= 0.005 &&
                    html`<tspan class="second" dx="8">${short(means[column], 2)}</tspan>`
                  }
                </text>
              </g>
            `,
          )}
        </svg>
      </div>
    <//>
    <${HeadFacts} ...${{facts, state, heads}} />
  `;
}

const spread = (h, heads) => (heads.length > 1 ? (h / (heads.length - 1) - 0.5) * 9 : 0);

/** The lines to draw, heaviest last, and what share of all the weight they carry. */
function linesOf({matrices, columns}, least, row) {
  const all = [];
  let whole = 0;
  matrices.forEach((matrix, h) =>
    matrix.forEach((value, i) => {
      const from = Math.floor(i / columns.length);
      if (row !== null && from !== row) return;
      whole += value;
      if (value >= least && value > 0) all.push({h, from, to: i % columns.length, value});
    }),
  );
  all.sort((a, b) => a.value - b.value);
  const lines = all.slice(-MOST_LINES);
  return {
    lines,
    mass: whole ? total(lines.map(({value}) => value)) / whole : 0,
    hiddenLines: all.length - lines.length,
  };
}

function saysOf({rows, predicts, columns, heads, matrices}, row, {kind, merge}) {
  if (row === null) return t("links.choose");
  const means = columns.map((_, column) => mean(matrices.map((matrix) => matrix[row * columns.length + column])));
  // Where both sides are one, or words are drawn, a place does not name what is looked at.
  const looked = (column) => {
    const name = nameAmong(columns, column);
    return kind === "cross" && !merge ? linked(name, "source", column) : name;
  };
  const [first, second] = ranking(means);
  const strongest = ranking(matrices.map((matrix) => matrix[row * columns.length + first]))[0];
  return t(heads.length === 1 || second === undefined ? "links.says_one" : "links.says", {
    word: predicts ? `${pieceName(rows[row])} → ${pieceName(predicts[row])}` : pieceName(rows[row]),
    first: looked(first),
    weight: short(means[first], 3),
    second: second === undefined ? "" : looked(second),
    other: short(means[second] ?? 0, 3),
    head: heads[strongest],
    own: short(matrices[strongest][row * columns.length + first], 3),
  });
}

/** The weights of the pinned row add up to 1 in every head: add them up again. */
function sumOfRow({matrices, heads, columns}, row) {
  const width = columns.length;
  const sums = matrices.map((matrix) => total(matrix.subarray(row * width, (row + 1) * width)));
  return {
    lines: heads.map((head, h) => ({
      text: t("links.sum", {
        head,
        terms: columns.map((label, j) => `${short(matrices[h][row * width + j], 3)}`).join(" + "),
      }),
      value: sums[h],
    })),
    computed: mean(sums),
    shown: 1,
  };
}

function HeadFacts({facts, state, heads}) {
  const own = facts?.[longKind(state.kind)]?.heads?.[state.layer];
  if (!own) return null;
  return html`<div class="head-facts">
    ${heads.map(
      (head) => html`
        <p key=${head}>
          <${LineSample} colour=${headColour(head)} dash=${headDash(head)} />
          <b>${t("links.head")} ${head}</b> ${
            own[head].label && html`<span class="badge">${labelText(own[head].label)}</span>`
          } <span>${t("links.entropy", {value: short(own[head].entropy, 3)})}</span>
        </p>
      `,
    )}
  </div>`;
}
