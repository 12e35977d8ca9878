// The numbers of a mark, exact, from the trace: what a card shows and a screen reader says. Read scene.js next.
import {ofTrace, site} from "pellucid/data";
import {exact, mean, percent, ranking, short} from "pellucid/numbers";
import {place} from "pellucid/sites";
import {t} from "pellucid/texts";
import {pieceLabel, pieceName} from "pellucid/tokens";
import {attentionOf, nameOf} from "pellucid/whole/marks";

const MOST = 5; // lines of a list

/** The weights of a row in every head: a Tensor [heads, columns]. */
const rowOf = (trace, kind, layer, row) => site(trace, `${place(kind, layer)}.weights`, {row});

/** {name, value (a number or null), says, bars: [{label, share, text, head}]}, or a promise of it. */
export async function detailOf(trace, mark, head = null) {
  const {tokens} = trace;
  const name = nameOf(mark, trace);
  const {type, row, cell, link, dimension} = mark;
  if (dimension !== undefined) {
    const value = (await site(trace, cell.site)).at(row, dimension);
    return {name, value, says: t("whole.number", {site: cell.site, row, dimension, value: short(value)}), bars: []};
  }
  if (type === "piece") {
    const id = (mark.stack === "encoder" ? tokens.source_ids : tokens.fed_ids)[row];
    return {name, value: null, says: t("whole.id", {id, row}), bars: []};
  }
  if (type === "output") return {name, ...candidates(trace, row)};
  if (type === "link") {
    const weights = await rowOf(trace, link.kind, link.layer, row);
    const heads = Array.from({length: weights.shape[0]}, (_, one) => weights.at(one, link.column));
    const value = head === null ? mean(heads) : heads[head];
    const bars = heads.map((share, i) => ({
      label: t("decoder.head", {head: i}),
      share,
      text: short(share, 3),
      head: i,
    }));
    const said = {value: short(value), n: heads.length, head};
    return {name, value, says: t(head === null ? "whole.weight" : "whole.weight_of_head", said), bars};
  }
  if (cell.kind === "memory") return {name, value: null, says: t("whole.memory_says"), bars: []};
  const change = (await ofTrace(trace, "changes"))[cell.block][row];
  const kind = attentionOf(mark);
  const bars = kind ? looks(await rowOf(trace, kind, cell.layer, row), kind, tokens, head) : [];
  return {name, value: change, says: t("whole.change", {value: short(change)}), bars};
}

/** Where a row looks, on average over the heads or in one: the first few places. */
function looks(weights, kind, tokens, own) {
  const [heads, columns] = weights.shape;
  const labels = kind === "decoder" ? tokens.fed_pieces : tokens.source_pieces;
  const means = Array.from({length: columns}, (_, column) =>
    own === null ? mean(Array.from({length: heads}, (__, head) => weights.at(head, column))) : weights.at(own, column),
  );
  return ranking(means)
    .slice(0, MOST)
    .filter((column) => means[column] > 0)
    .map((column) => ({label: pieceLabel(labels[column]), share: means[column], text: short(means[column], 3)}));
}

function candidates({predictions, tokens}, row) {
  const value = Math.exp(predictions.target_log_probability[row]);
  const bars = predictions.top_ids[row].slice(0, MOST).map((id, rank) => {
    const share = Math.exp(predictions.top_log_probabilities[row][rank]);
    const piece = predictions.top_pieces?.[row][rank];
    return {label: piece === undefined ? String(id) : pieceLabel(piece), share, text: percent(share)};
  });
  const says = t("whole.probability", {piece: pieceName(tokens.predicted_pieces[row]), value: percent(value)});
  return {value, says, bars};
}

/** All of it in words, for a screen reader. */
export const spoken = ({name, says, bars}) =>
  [name, says, bars.map(({label, text}) => `${label} ${text}`).join(", ")].filter(Boolean).join(". ");

export const exactText = ({value}) => (value === null ? "" : exact(value));
