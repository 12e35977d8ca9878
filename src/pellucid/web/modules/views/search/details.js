// One candidate: the sum along its path, its score, what became of it, and the way into the model for its hypothesis.
import {html} from "pellucid/ui";
import {isFile} from "pellucid/data";
import {percent, short} from "pellucid/numbers";
import {setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {pieceLabel, pieceName} from "pellucid/tokens";
import {drawnText, outcomeText, pathOf} from "pellucid/views/search/nodes";

const MOST_TERMS = 6; // the last ones of a long path; the others are added up

const Term = ({value, label}) => html`<span>${short(value)} <small><bdi>${label}</bdi></small></span>`;

export function Details({tree, node, settings, edits}) {
  const path = pathOf(node, tree);
  const last = path.slice(-MOST_TERMS);
  const before = path.length - last.length;
  const penalty = t(`search.divisor.${settings.length_penalty}`, {
    n: path.length,
    alpha: short(Number(settings.alpha), 3),
    value: short(tree.steps[node.step].divisor),
  });
  const open = () =>
    setState({
      view: "decoder",
      target: "",
      ids: path.map(({token}) => token).join(","),
      edits: edits.filter((edit) => !/^(step\.|ban=)/.test(edit)).join(";"), // the ids have those pieces
      step: path.length - 1,
    });
  return html`<section class="search-details" aria-live="polite" aria-label=${t("search.details")}>
    <p><b><bdi>${path.map(({piece}) => pieceLabel(piece)).join(" ")}</bdi></b></p>
    <p class="search-sum">
      ${before > 0 && html`<${Term} value=${path[before - 1].total} label=${t("search.earlier", {n: before})} />`}
      ${last.map(
        ({number, log_probability: value, piece}) =>
          html`<${Term} key=${number} value=${value} label=${pieceLabel(piece)} />`,
      )}
      <span class="total">= ${short(node.total, 6)}</span>
    </p>
    <p>
      ${t("search.score", {total: short(node.total, 6), score: short(node.score, 6)})} ${penalty}
    </p>
    <p>
      ${t("search.probability", {
        piece: pieceName(node.piece),
        p: percent(Math.exp(node.log_probability)),
      })} ${drawnText(node)} <b>${outcomeText(node, tree)}</b>
    </p>
    <button disabled=${isFile} onClick=${open}>${t("search.open")}</button>
    ${isFile && html`<p class="hint">${t("search.needs_model")}</p>`}
  </section>`;
}
