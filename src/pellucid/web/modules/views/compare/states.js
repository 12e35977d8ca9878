// How far apart the states of both traces are: each matched position after each layer.
import {html} from "pellucid/ui";
import {Figure} from "pellucid/pictures/figure";
import {Matrix} from "pellucid/pictures/matrix";
import {useWidth} from "pellucid/pictures/width";
import {largest, short} from "pellucid/numbers";
import {STACKS} from "pellucid/sites";
import {t} from "pellucid/texts";
import {pieceLabel} from "pellucid/tokens";

const SIDES = {encoder: "source", decoder: "target"};
export function States({found, provenance}) {
  const table = () => ({
    columns: [t("compare.site"), t("word.position"), t("word.piece"), t("compare.distance")],
    rows: STACKS.flatMap((stack) => {
      const {sites, distances} = found.states[stack];
      const {pieces, pairs} = piecesOf(found, stack);
      return sites.flatMap((site, i) => pairs.map(([a], j) => [site, a, pieces[j], distances[i][j]]));
    }),
  });
  const isDrawn = STACKS.some((stack) => found.states[stack].sites.length && piecesOf(found, stack).pairs.length);
  if (!isDrawn) return html`<p class="hint">${t("compare.no_states")}</p>`;
  return html`<${Figure}
    name="compare-states" title=${t("compare.states")} provenance=${provenance} table=${table}
    says=${says(found)}
    caption=${[
      t("compare.states_caption", {most: short(mostOf(found), 3)}),
      found.same_weights ? "" : t("compare.axes"),
    ].join(" ")}
  >
    <div class="side-by-side">
      ${STACKS.map((stack) => html`<${Sheet} key=${stack} ...${{found, stack}} />`)}
    </div>
  <//>`;
}

function piecesOf(found, stack) {
  const {pairs} = found[SIDES[stack]];
  const name = stack === "encoder" ? "source_pieces" : "predicted_pieces";
  const [one, two] = [found.first.tokens[name], found.second.tokens[name]];
  const label = ([a, b]) => (one[a] === two[b] ? pieceLabel(one[a]) : `${pieceLabel(one[a])} | ${pieceLabel(two[b])}`);
  return {pairs, pieces: pairs.map(label)};
}

/** The matched positions of a stack at which both have the same piece. */
function equalOf(found, stack) {
  const name = stack === "encoder" ? "source_pieces" : "predicted_pieces";
  return found[SIDES[stack]].pairs.flatMap(([a, b], i) =>
    found.first.tokens[name][a] === found.second.tokens[name][b] ? [i] : [],
  );
}

/** The end of the scale: the largest distance of equal pieces; where the pieces differ, it is larger by itself. */
function mostOf(found) {
  const values = STACKS.flatMap((stack) => {
    const equal = equalOf(found, stack);
    return found.states[stack].distances.flatMap((row) => equal.map((i) => row[i]));
  });
  return largest(values) || 2;
}

/** Where the same piece is least the same: its state tells of the pieces around it. */
function says(found) {
  const {sites, distances} = found.states.encoder;
  const {pieces} = piecesOf(found, "encoder");
  const equal = equalOf(found, "encoder");
  const last = distances.at(-1);
  if (!sites.length) return "";
  if (!equal.length) return "";
  const most = equal.reduce((best, i) => (last[i] > last[best] ? i : best), equal[0]);
  return t("compare.states_say", {piece: pieces[most], distance: short(last[most], 3)});
}

function Sheet({found, stack}) {
  const [frame, room] = useWidth(520);
  const {sites, distances} = found.states[stack];
  const {pieces} = piecesOf(found, stack);
  if (!sites.length || !pieces.length) return html`<div ref=${frame} class="compare-sheet wide"></div>`;
  const cell = Math.max(Math.min(Math.floor((room - 90) / pieces.length), 22), pieces.length > 60 ? 5 : 11);
  const rows = sites.map((site) =>
    site.endsWith(".input") ? t("compare.input") : `${t("pick.layer")} ${site.split(".")[1]}`,
  );
  return html`<div ref=${frame} class="compare-sheet wide">
    <p class="caption">${t(`stack.${stack}s`)}</p>
    <${Matrix}
      values=${Float32Array.from(distances.flat())} shape=${[rows.length, pieces.length]} rows=${rows}
      columns=${pieces} scale=${{kind: "sequential", most: mostOf(found)}} cell=${[cell, 18]} isQuiet selected=${null}
      name=${`${t("compare.states")}: ${t(`stack.${stack}s`)}`}
      describe=${(row, column) => `${rows[row]}, ${pieces[column]}: ${short(distances[row][column])}`}
    />
  </div>`;
}
