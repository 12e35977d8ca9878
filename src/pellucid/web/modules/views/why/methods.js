// Which method to believe: what was measured on this model, from the file why.json of its run folder.
import {html} from "pellucid/ui";
import {ofModel, useData} from "pellucid/data";
import {Figure, Waiting} from "pellucid/pictures/figure";
import {percent, short} from "pellucid/numbers";
import {t} from "pellucid/texts";

/** In the order in which they are offered; the first is the usual one. */
export const METHODS = ["alti_logit", "alti", "occlusion", "value_zeroing", "integrated_gradients", "input_x_gradient"];

const nameOf = (name) => t(`why.method.${name}`);

export function Methods({trace, model}) {
  const data = useData(`${model.id} measured`, () => ofModel(model, "measured"));
  return html`<${Waiting} data=${data}>
    ${(found) => (found ? html`<${Measured} ...${{trace, found}} />` : html`<p>${t("why.measured.none")}</p>`)}
  <//>`;
}

function Measured({trace, found}) {
  const {faithfulness: curve, nouns, alignment} = found;
  const names = [...METHODS.filter((name) => curve.nats[name]), "random"];
  return html`
    <p>${inShort(found, names)}</p>
    <${Sheet}
      name="faithfulness" trace=${trace} title=${t("why.measured.faithful")}
      says=${verdict(curve, names)} caption=${t("why.measured.faithful_caption", {
        sentences: curve.sentences,
        steps: curve.steps,
        error: short(Math.max(...Object.values(curve.standard_errors).flat()), 2),
        points: found.points_of_integrated_gradients,
      })}
      columns=${[t("why.method"), ...curve.hidden.map(String)]}
      rows=${names.map((name) => [nameOf(name), ...curve.nats[name]])} text=${(value) => value.toFixed(2)}
    />
    <${Sheet}
      name="nouns" trace=${trace} title=${t("why.measured.nouns")}
      says=${t("why.measured.nouns_says", {n: nouns.sentences})} caption=${t("why.measured.nouns_caption")}
      columns=${["method", "over", "referent", "adjective", "it"].map((name) =>
        name === "method" ? t("why.method") : t(`why.measured.${name}`),
      )}
      rows=${names
        .filter((name) => nouns.methods[name])
        .map((name) => {
          const {referent_over_other: over, largest_word: largest} = nouns.methods[name];
          return [nameOf(name), over, ...["referent", "adjective", "it"].map((role) => largest[role] ?? 0)];
        })}
      text=${(value) => percent(value, 2)}
    />
    <${Sheet}
      name="alignment" trace=${trace} title=${t("why.measured.alignment")}
      says=${t("why.measured.alignment_says", {n: found.aligned_pairs})} caption=${t("why.measured.alignment_caption")}
      columns=${["weights", "error_rate", "precision", "recall"].map((name) => t(`why.measured.${name}`))}
      rows=${Object.entries(alignment).map(([name, one]) => [
        weightsOf(name),
        one.error_rate,
        one.precision,
        one.recall,
      ])}
      text=${(value) => value.toFixed(3)}
    />
  `;
}

/** What the three tables say together: each question has a method that answers it best. */
function inShort({faithfulness, nouns, alignment}, names) {
  const {best, poor} = ranked(faithfulness, names);
  const choice = bestOf(Object.keys(nouns.methods), (name) => nouns.methods[name].referent_over_other);
  const links = bestOf(Object.keys(alignment), (name) => -alignment[name].error_rate);
  const named = {piece: best, choice, links};
  return [
    t("why.measured.short", Object.fromEntries(Object.entries(named).map(([key, name]) => [key, weightsOf(name)]))),
    ...poor.map(([name]) => t("why.measured.never", {name: nameOf(name)})),
  ].join(" ");
}

const bestOf = (names, worth) => names.reduce((one, other) => (worth(other) > worth(one) ? other : one));

const weightsOf = (name) => (METHODS.includes(name) ? nameOf(name) : t("why.links.by.named"));

/** The method that leads for the first piece, those that cannot be told from it, and [those, hidden] of no worth. */
function ranked({nats, standard_errors: errors, hidden}, names) {
  const methods = names.filter((name) => name !== "random");
  const isBetter = (name, i) => nats[name][i] - nats.random[i] > errors[name][i] + errors.random[i];
  const poor = methods.flatMap((name) => {
    const first = hidden.findIndex((_, i) => !isBetter(name, i));
    return first < 0 ? [] : [[name, hidden[first]]];
  });
  const best = bestOf(methods, (name) => nats[name][0]);
  const equal = methods.filter(
    (name) => name !== best && nats[best][0] - nats[name][0] <= errors[best][0] + errors[name][0],
  );
  return {best, equal, poor};
}

/** What the curve says of each method that a random order reaches, and of the others. */
function verdict(curve, names) {
  const {best, equal, poor} = ranked(curve, names);
  const [nats, random] = [curve.nats[best][0], curve.nats.random[0]];
  return [
    t("why.measured.best", {name: nameOf(best), nats: short(nats, 3), random: short(random, 3)}),
    ...(equal.length ? [t("why.measured.equal", {names: equal.map(nameOf).join(", ")})] : []),
    ...poor.map(([name, n]) => t("why.measured.poor", {name: nameOf(name), n})),
  ].join(" ");
}

function Sheet({name, trace, title, says, caption, columns, rows, text}) {
  return html`<${Figure}
    name=${`measured-${name}`} title=${title} says=${says} caption=${caption} provenance=${trace.provenance}
    table=${() => ({columns, rows})}
  >
    <div class="table-window why-table" tabindex="0" role="region" aria-label=${title}>
      <table>
        <thead><tr>${columns.map((column) => html`<th key=${column} scope="col">${column}</th>`)}</tr></thead>
        <tbody>
          ${rows.map(
            ([first, ...numbers]) =>
              html`<tr key=${first}>
                <th scope="row">${first}</th>
                ${numbers.map((value, i) => html`<td key=${i} class="number">${text(value)}</td>`)}
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  <//>`;
}
