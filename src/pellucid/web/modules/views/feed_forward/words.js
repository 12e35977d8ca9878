// The same network at every word: one unit from word to word, and all units of all words. Nothing passes between rows.
import {html, useEffect, useMemo, useRef} from "pellucid/ui";
import {Figure} from "pellucid/pictures/figure";
import {Matrix} from "pellucid/pictures/matrix";
import {exact, largest, percent, ranking, short, total} from "pellucid/numbers";
import {Paging} from "pellucid/pickers";
import {isOver, setHover, setState, useHover} from "pellucid/state";
import {t} from "pellucid/texts";
import {cut, pieceLabel, pieceText} from "pellucid/tokens";
import {rowCells, rowHeads, rowName} from "pellucid/views/attention/parts";
import {SignedBar} from "pellucid/views/attention/products";
import {Curve} from "pellucid/views/feed_forward/curve";
import {countAwake, isAwake} from "pellucid/views/feed_forward/parts";
import {useWidth} from "pellucid/pictures/width";

const UNITS_AT_ONCE = {wide: 256, narrow: 64};

/** What one unit does at each word: its pre-activation and its activation. */
export function UnitEverywhere({one, unit}) {
  const {trace, labels, query, side} = one;
  const hover = useHover();
  const [frame, room] = useWidth(340);
  const [words, units] = one.pre.shape;
  const columnOf = ({data}) => Float32Array.from({length: words}, (_, word) => data[word * units + unit]);
  const [p, h] = useMemo(() => [columnOf(one.pre), columnOf(one.hidden)], [one, unit]);
  const awake = countAwake(p);
  const top = ranking(p)[0];
  const most = Math.max(largest(h), 1e-12);
  const list = useRef(null);
  useEffect(() => {
    // of a long sentence, the chosen word is brought into the window
    const line = list.current.querySelector(".pinned");
    if (line) list.current.scrollTop = line.offsetTop - list.current.clientHeight / 2;
  }, [query, trace.id]);
  const table = () => ({
    columns: [...rowHeads(labels), `p[${unit}]`, `h[${unit}]`],
    rows: Array.from(p, (value, word) => [...rowCells(labels, word), value, h[word]]),
  });
  const classOf = (word) =>
    [isOver(hover, side, word) && "hovered", word === query && "pinned", !isAwake(p[word]) && "masked"]
      .filter(Boolean)
      .join(" ");
  const row = (word) => html`
    <tr
      key=${word} class=${classOf(word)}
      onPointerEnter=${() => setHover({side, position: word})} onPointerLeave=${() => setHover(null)}
    >
      <th scope="row">
        <span class="count">${word}</span> <button
          type="button" class="word" aria-pressed=${word === query} onClick=${() => setState({query: word})}
        >
          <bdi dir="auto">${pieceText(labels.rows[word])}</bdi>
          ${
            labels.predicts &&
            html` <small>
                → <bdi dir="auto">${pieceText(labels.predicts[word])}</bdi>
              </small>
            `
          }
        </button>
      </th>
      <td class="number" title=${exact(p[word])}>${short(p[word])}</td>
      <td class="number" title=${exact(h[word])}>${short(h[word])}</td>
      <td><${Bar} value=${h[word]} most=${most} isCut=${one.activation.isCut} /></td>
    </tr>
  `;
  const count = {unit, awake, n: words, name: rowName(one, top), h: short(h[top])};
  const says = t(awake ? "feed_forward.words_says" : "feed_forward.words_none", count);
  return html`
    <${Figure}
      frame=${frame} name="feed-forward-words" title=${t("feed_forward.words", {unit})} provenance=${trace.provenance}
      table=${table} subject=${`${trace.id} ${one.at} ${unit}`} caption=${t("feed_forward.words_caption")}
      says=${`${says} ${t("feed_forward.words_same")}`}
    >
      <div class="side-by-side">
        <div
          class="table-window unit-words" ref=${list} tabindex="0" role="region"
          aria-label=${t("feed_forward.words", {unit})}
        >
          <table class="steps">
            <thead>
              <tr>
                <th scope="col">${t("attention.column_piece")}</th><th scope="col">p</th><th scope="col">h</th><th></th>
              </tr>
            </thead>
            <tbody>${Array.from(p, (_, word) => row(word))}</tbody>
          </table>
        </div>
        <${Curve}
          ...${{p, h, awake, room}} activation=${one.activation} at=${query}
          label=${cut(pieceText(labels.rows[query]), 12)}
          says=${t("feed_forward.words_curve", {
            formula: one.activation.formula("p"),
            awake,
            n: words,
            name: rowName(one, query),
            p: short(p[query]),
            h: short(h[query]),
          })}
        />
      </div>
    <//>
  `;
}

/** An activation as a bar: from the left where none is below zero, else to both sides. */
const Bar = ({value, most, isCut}) =>
  isCut
    ? html`<span class="activation-bar" aria-hidden="true" style=${{width: `${(100 * value) / most}%`}}></span>`
    : html`<${SignedBar} value=${value} most=${most} />`;

/** All words by all units, a window of them at a time. */
export function AllWords({one, state, order, unit}) {
  const {trace, labels, query, side} = one;
  const [words, units] = one.hidden.shape;
  const [frame, room] = useWidth(860);
  const size = Math.min(room > 600 ? UNITS_AT_ONCE.wide : UNITS_AT_ONCE.narrow, units);
  const asked = /^\d+$/.test(state["feed_forward.from"] ?? "")
    ? Number(state["feed_forward.from"])
    : order.indexOf(unit);
  const first = Math.floor(Math.min(asked, units - 1) / size) * size;
  const shown = useMemo(() => order.slice(first, first + size), [order, first, size]);
  const values = useMemo(
    () =>
      Float32Array.from(
        {length: words * shown.length},
        (_, i) => one.hidden.data[Math.floor(i / shown.length) * units + shown[i % shown.length]],
      ),
    [one, shown],
  );
  const facts = useMemo(() => factsOf(one), [one.pre, one.hidden]);
  const rows = useMemo(() => labels.rows.map(pieceLabel), [one]);
  const predicts = useMemo(() => labels.predicts?.map(pieceLabel) ?? null, [one]);
  const cell = [Math.max((room - (predicts ? 210 : 130)) / size, 2.5), Math.max(Math.min(420 / words, 18), 2)];
  const at = shown.indexOf(unit);
  const table = () => ({
    columns: [...rowHeads(labels), ...Array.from({length: units}, (_, own) => `h[${own}]`)],
    rows: Array.from({length: words}, (_, word) => [...rowCells(labels, word), ...one.hidden.part(word).data]),
  });
  return html`
    <${Figure}
      frame=${frame} name="feed-forward-all" title=${t("feed_forward.all")} provenance=${trace.provenance}
      table=${table} subject=${`${trace.id} ${one.at}`}
      says=${t("feed_forward.all_says", {share: percent(facts.share), units, never: facts.never, always: facts.always})}
      caption=${t("feed_forward.all_caption")}
    >
      <${Matrix}
        values=${values} shape=${[words, shown.length]} rows=${rows} predicts=${predicts} columns=${null}
        scale=${{kind: "diverging", most: facts.most}} cell=${cell} name=${t("feed_forward.all")}
        selected=${[query, at < 0 ? null : at]}
        describe=${(word, column) =>
          t("feed_forward.all_cell", {
            name: rowName(one, word),
            unit: shown[column],
            value: short(values[word * shown.length + column]),
          })}
        onHover=${(word) => setHover(word === null ? null : {side, position: word})}
        onSelect=${(word, column) =>
          setState({query: word, "feed_forward.unit": String(shown[column]), "feed_forward.from": String(first)})}
      />
      ${
        units > size &&
        html`<${Paging}
          ...${{first, size, all: units}} says=${(part) => t("feed_forward.window", part)}
          go=${(from) => setState({"feed_forward.from": String(from)})}
        />`
      }
    <//>
  `;
}

/** How much of the network is awake in the sentence, and the bound of the colours. */
function factsOf({pre, hidden}) {
  const [words, units] = pre.shape;
  const awake = new Uint32Array(units);
  pre.data.forEach((value, i) => {
    if (isAwake(value)) awake[i % units] += 1;
  });
  const count = (times) => awake.reduce((sum, own) => sum + (own === times ? 1 : 0), 0);
  return {
    share: total(awake) / (words * units),
    never: count(0),
    always: count(words),
    most: Math.max(largest(hidden.data), 1e-12),
  };
}
