// The picture of the tree: a column a step, the best candidate on top, lines from each candidate to the one before it.
// It is a tree for screen readers too; the arrow keys go along it. Read details.js next.
import {html, useLayoutEffect, useRef, useState} from "pellucid/ui";
import {percent, short} from "pellucid/numbers";
import {Paging} from "pellucid/pickers";
import {setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {pieceLabel, pieceName} from "pellucid/tokens";
import {outcomeText} from "pellucid/views/search/nodes";

const GAP = 20; // pixels between columns
const HEIGHT = 40; // of a row
const [BOX, WIDE_BOX] = [92, 144]; // pixels of a node; a draw has two numbers
const MOST_ROWS = 12; // candidates of a step that are drawn
export const MOST_STEPS = 24; // steps that are drawn at a time
const LIVE = new Set(["kept", "open", "finished", "max_length", "stuck"]);

/** Steps are counted from 0, as everywhere on the page, though the way through a list counts from 1. */
const windowText = ({first, last, all}) => t("search.window", {first: first - 1, last: last - 1, all});

/** The nodes that are drawn, each with its row: of every step what lived, then the best of the others. */
function drawnOf({nodes, steps}, first, picked) {
  const drawn = new Map();
  const left = [];
  for (const {step, first: start, count} of steps.slice(first, first + MOST_STEPS)) {
    const own = nodes.slice(start, start + count);
    const worth = ({number, isWinner, children, outcome}) =>
      (number === picked || isWinner ? 4 : 0) + (children.length ? 2 : 0) + (LIVE.has(outcome) ? 1 : 0);
    const best = [...own].sort((a, b) => worth(b) - worth(a) || a.place - b.place).slice(0, MOST_ROWS);
    best.sort((a, b) => a.place - b.place);
    best.forEach((node, row) => drawn.set(node.number, {node, row, column: step - first}));
    left.push(own.length - best.length);
  }
  return {drawn, left};
}

const x = ({column}, wide) => column * (wide + GAP);
const y = ({row}) => row * HEIGHT;

/** picked: the number of a node; isChosen: whether the reader chose it, so that it is brought into view */
export function Tree({tree, picked, isChosen}) {
  const {nodes, steps} = tree;
  const at = nodes[picked].step;
  const wide = nodes[picked].narrowed === undefined ? BOX : WIDE_BOX;
  const [start, setStart] = useState(0);
  const first = at < start || at >= start + MOST_STEPS ? at - (at % MOST_STEPS) : start;
  const {drawn, left} = drawnOf(tree, first, picked);
  const scroller = useRef(null);
  const hasFocus = useRef(false);
  useLayoutEffect(() => {
    const own = scroller.current?.querySelector('[aria-selected="true"]');
    if (!own || !isChosen) return;
    const box = scroller.current;
    const [from, to] = [own.offsetLeft, own.offsetLeft + own.offsetWidth];
    if (from < box.scrollLeft || to > box.scrollLeft + box.clientWidth) box.scrollLeft = from - box.clientWidth / 2;
    if (hasFocus.current) own.focus({preventScroll: true});
  }, [picked, first]);
  const pick = (number) => setState({"search.node": String(number)});
  const rows = Math.max(...[...drawn.values()].map(({row}) => row + 1));
  const size = {width: Math.min(steps.length - first, MOST_STEPS) * (wide + GAP), height: rows * HEIGHT + 44};
  return html`
    ${
      steps.length > MOST_STEPS &&
      html`<${Paging}
        first=${first} size=${MOST_STEPS} all=${steps.length} says=${windowText}
        go=${(to) => {
          setStart(to);
          pick(tree.nodes.find((node) => node.step === to && node.isWinner)?.number ?? steps[to].first);
        }}
      />`
    }
    <div class="search-window" ref=${scroller}>
      <div class="search-canvas" style=${{width: `${size.width}px`, height: `${size.height}px`}}>
        <svg width=${size.width} height=${size.height} aria-hidden="true">
          ${[...drawn.values()].map((own) => html`<${Line} key=${own.node.number} ...${{own, drawn, wide}} />`)}
          ${left.map(
            (n, column) =>
              html`<text key=${column} x=${x({column}, wide) + 2} y=${size.height - 24}>${first + column}</text>
                <text key=${`more${column}`} x=${x({column}, wide) + 2} y=${size.height - 8} class="more">
                  ${t("search.not_drawn", {n: n + steps[first + column].num_others})}
                </text>`,
          )}
        </svg>
        <div
          role="tree" aria-label=${t("search.figure")} onKeyDown=${(event) => go(event, tree, drawn, picked, pick)}
          onFocusIn=${() => (hasFocus.current = true)} onFocusOut=${() => (hasFocus.current = false)}
        >
          ${inOrder(nodes, drawn).map(
            (own) => html`<${Item} key=${own.node.number} ...${{own, tree, picked, wide, pick}} />`,
          )}
        </div>
      </div>
    </div>
  `;
}

/** Each node before its children, as a screen reader reads a tree. */
function inOrder(nodes, drawn) {
  const starts = [...drawn.values()].filter(({node}) => !drawn.has(node.parent));
  const order = [];
  const waiting = starts.toReversed();
  while (waiting.length) {
    const own = waiting.pop();
    order.push(own);
    for (const number of own.node.children.toReversed()) if (drawn.has(number)) waiting.push(drawn.get(number));
  }
  return order;
}

function Line({own, drawn, wide}) {
  const from = drawn.get(own.node.parent);
  if (!from) return null;
  const [x0, y0, x1, y1] = [x(from, wide) + wide, y(from) + HEIGHT / 2 - 4, x(own, wide), y(own) + HEIGHT / 2 - 4];
  return html`<path class=${kindOf(own.node)} d=${`M${x0},${y0}C${x0 + 12},${y0} ${x1 - 12},${y1} ${x1},${y1}`} />`;
}

const kindOf = (node) => (node.isWinner ? "winner" : LIVE.has(node.outcome) ? "live" : "lost");

const MARKS = {finished: "■", max_length: "▯", stuck: "▯", open: "…"};

/** The score; of a draw, the probability before and after temperature, top-k and top-p. */
const numberUnder = ({score, log_probability: before, narrowed}) =>
  narrowed === undefined ? short(score, 3) : `${percent(Math.exp(before), 2)} → ${percent(Math.exp(narrowed), 2)}`;

function Item({own, tree, picked, wide, pick}) {
  const {node} = own;
  const family = node.parent === null ? tree.starts : tree.nodes[node.parent].children;
  const isPicked = node.number === picked;
  const says = t("search.node", {
    piece: pieceName(node.piece),
    log_probability: short(node.log_probability),
    total: short(node.total),
    score: short(node.score),
    outcome: outcomeText(node, tree),
  });
  return html`<div
    role="treeitem" class=${`search-node ${kindOf(node)}`} aria-level=${node.step + 1}
    aria-posinset=${family.indexOf(node.number) + 1} aria-setsize=${family.length}
    aria-selected=${isPicked ? "true" : "false"}
    aria-expanded=${node.children.length ? "true" : undefined} aria-label=${says} title=${says}
    tabindex=${isPicked ? "0" : "-1"} onClick=${() => pick(node.number)}
    style=${{left: `${x(own, wide)}px`, top: `${y(own)}px`, width: `${wide}px`}}
  >
    <bdi>${MARKS[node.outcome] ?? ""} ${pieceLabel(node.piece)}</bdi>
    <small>${numberUnder(node)}</small>
  </div>`;
}

/** Left: the candidate before; right: the best after; up, down: in the same step; Home, End: of the result. */
function go(event, {nodes}, drawn, picked, pick) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const node = nodes[picked];
  const step = [...drawn.values()].filter((own) => own.node.step === node.step).map((own) => own.node.number);
  const winner = nodes.filter((one) => one.isWinner);
  const next = {
    ArrowLeft: () => node.parent,
    ArrowRight: () => node.children.find((number) => nodes[number].isWinner) ?? node.children[0],
    ArrowUp: () => step[step.indexOf(picked) - 1],
    ArrowDown: () => step[step.indexOf(picked) + 1],
    Home: () => winner[0]?.number,
    End: () => winner.at(-1)?.number,
  }[event.key];
  if (!next) return;
  event.preventDefault();
  const number = next();
  if (number !== undefined && number !== null) pick(number);
}
