// The answer of the server as nodes, and what became of each in words. Read tree.js next.
import {percent, short} from "pellucid/numbers";
import {t} from "pellucid/texts";

const trees = new WeakMap(); // by answer

const numberOf = (value) => (value === "-Infinity" ? -Infinity : value);

/** {nodes: [{number, parent, children, piece, ..., isWinner, rank}], steps, settings}; the same for the same answer. */
export function treeOf(found) {
  if (trees.has(found)) return trees.get(found);
  const columns = Object.entries(found.nodes);
  const nodes = found.nodes.parent.map((_, number) => {
    const node = {number, children: [], rank: null, isWinner: false};
    for (const [name, values] of columns) node[name] = numberOf(values[number]);
    return node;
  });
  for (const node of nodes) if (node.parent !== null) nodes[node.parent].children.push(node.number);
  for (const number of found.winner) nodes[number].isWinner = true;
  found.hypotheses.forEach(({node}, rank) => (nodes[node].rank = rank));
  const starts = nodes.filter(({parent}) => parent === null).map(({number}) => number);
  const {steps, settings, hypotheses} = found;
  const tree = {nodes, starts, steps, settings, best: hypotheses[0]?.score};
  trees.set(found, tree);
  return tree;
}

/** The nodes from the first piece to this one. */
export function pathOf(node, {nodes}) {
  const path = [node];
  while (path[0].parent !== null) path.unshift(nodes[path[0].parent]);
  return path;
}

/** Why a candidate went on, ended or was dropped. */
export function outcomeText(node, {settings, best}) {
  const values = {beam: settings.beam_size, k: settings.top_k, p: settings.top_p, rank: node.rank};
  const text = t(`search.outcome.${node.outcome}`, values);
  if (node.rank === null) return text;
  if (node.rank === 0) return `${text} ${t("search.result")}`;
  return `${text} ${t("search.worse", {rank: node.rank, by: short(best - node.score)})}`;
}

/** With what probability sampling drew it; nothing for a search. */
export const drawnText = ({narrowed}) =>
  narrowed === undefined ? "" : t("search.drawn_with", {p: percent(Math.exp(narrowed))});
