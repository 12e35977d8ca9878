// The curves of training: a point opens the model as it was then, in every other view.
import {html} from "pellucid/ui";
import {ofModel, useData} from "pellucid/data";
import {LineChart, LineSample} from "pellucid/pictures/chart";
import {Figure, Waiting} from "pellucid/pictures/figure";
import {short} from "pellucid/numbers";
import {headColour, headDash} from "pellucid/pictures/palette";
import {Setting, settingOf} from "pellucid/pickers";
import {setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {aimFor} from "pellucid/views/targets";

// What can be drawn: the keys of metrics.jsonl, by the kind of row that has them.
const QUANTITIES = {
  loss: [
    ["step", "loss"],
    ["step", "nll"],
    ["validation", "loss"],
    ["validation", "nll"],
  ],
  quality: [
    ["validation", "bleu"],
    ["validation", "chrf"],
  ],
  rate: [["step", "learning_rate"]],
  gradient: [["step", "gradient_norm"]],
  speed: [
    ["step", "tokens_per_second"],
    ["step", "padded_tokens_per_second"],
  ],
};

const SCALES = ["log", "linear"];

export function CurvesView({trace, model, state}) {
  const data = useData(model.has_training ? `${model.id} training` : null, () => ofModel(model, "training"));
  if (!model.has_training) return html`<p class="hint">${t("curves.nothing")}</p>`;
  return html`<${Waiting} data=${data}>${(training) => html`<${Curves} ...${{trace, model, state, training}} />`}<//>`;
}

/** Where targets are not smoothed, loss and negative log-likelihood are the same numbers: one line for both. */
const isOneLine = (metrics, kind) =>
  metrics
    .filter((row) => row.kind === kind && Number.isFinite(row.nll))
    .every(({loss, nll}) => Math.abs(loss - nll) <= 1e-6 * Math.abs(nll));

const OF_ONE_TEXT = "bleu_"; // before the name of a validation text, where a run has several

/** The keys of a quantity in a journal, those of each validation text included. */
function keysOf(metrics, quantity) {
  if (quantity !== "quality") return QUANTITIES[quantity];
  const scores = metrics.flatMap((row) => Object.keys(row.scores ?? {})).filter((key) => key.startsWith(OF_ONE_TEXT));
  return [...QUANTITIES.quality, ...[...new Set(scores)].map((key) => ["validation", key])];
}

/** The name of a curve. */
function nameOf(metrics, kind, key) {
  if (key.startsWith(OF_ONE_TEXT)) return t("curves.bleu_of", {name: key.slice(OF_ONE_TEXT.length)});
  return t(`curves.${kind}_${key === "loss" && isOneLine(metrics, kind) ? "both" : key}`);
}

function seriesOf(metrics, quantity) {
  return keysOf(metrics, quantity)
    .filter(([kind, key]) => key !== "nll" || !isOneLine(metrics, kind))
    .map(([kind, key], i) => ({
      name: nameOf(metrics, kind, key),
      colour: headColour(i),
      dash: headDash(i),
      points: metrics
        .filter((row) => row.kind === kind)
        .map((row) => [row.step, row[key] ?? row.scores?.[key]])
        .filter(([, value]) => Number.isFinite(value)),
    }))
    .filter(({points}) => points.length > 0);
}

function Curves({trace, model, state, training}) {
  const available = Object.keys(QUANTITIES).filter((quantity) => seriesOf(training.metrics, quantity).length);
  const quantity = settingOf(state, "curves.show", available);
  if (!quantity) return html`<p class="hint">${t("curves.nothing")}</p>`;
  const series = seriesOf(training.metrics, quantity);
  const scale = settingOf(state, "curves.scale", SCALES);
  const [base, , at] = model.id.match(/^(.*?)(@(\d+))?$/).slice(1);
  const open = (step) => setState({model: `${base}@${step}`});
  const aim = aimFor(training.label_smoothing, model);
  const ends = series.map(({name, points}) =>
    t("curves.end", {name, value: short(points.at(-1)[1]), step: points.at(-1)[0]}),
  );
  const table = () => ({
    columns: [t("curves.curve"), t("curves.step"), t("curves.value")],
    rows: series.flatMap(({name, points}) => points.map(([step, value]) => [name, step, value])),
  });
  return html`
    <div class="controls">
      <${Setting}
        state=${state} name="curves.show" label=${t("curves.show")}
        options=${available.map((name) => [name, t(`curves.${name}`)])}
      />
      <${Setting}
        state=${state} name="curves.scale" label=${t("curves.steps")}
        options=${SCALES.map((name) => [name, t(`curves.${name}`)])}
      />
    </div>
    <${Figure}
      name="curves" title=${t("curves.figure")} provenance=${trace.provenance} table=${table}
      says=${t("curves.says", {ends: ends.reduce((before, next) => t("curves.and", {before, next}))})}
      caption=${[
        t(training.snapshots.length ? "curves.caption" : "curves.no_snapshots"),
        ...(quantity === "loss" ? [t("curves.leap"), aim && t("curves.aim", aim)] : []),
        ...(quantity === "quality" ? [t("curves.held_out"), model.is_walkthrough && t("curves.two_sources")] : []),
      ]
        .filter(Boolean)
        .join(" ")}
    >
      <${LineChart}
        series=${series} xScale=${scale} xTitle=${t("curves.step")} yTitle=${t(`curves.unit.${quantity}`)}
        name=${t("curves.figure")} marks=${training.snapshots} picked=${at === undefined ? null : Number(at)}
        onPick=${open} describe=${(name, step, value) => t("curves.point", {name, step, value: short(value)})}
      />
      <p class="legend">
        ${series.map(
          ({name, colour, dash}) => html`
            <span key=${name}>
              <${LineSample} ...${{colour, dash}} /> ${name}
            </span>
          `,
        )}
      </p>
    <//>
    ${
      training.snapshots.length > 0 &&
      html`<div class="choice" role="group" aria-label=${t("curves.open")}>
        <span class="choice-label">${t("curves.open")}</span>
        ${training.snapshots.map(
          (step) => html`
            <button key=${step} aria-pressed=${String(step) === at} onClick=${() => open(step)}>${step}</button>
          `,
        )}
        <button aria-pressed=${at === undefined} onClick=${() => setState({model: base})}>${t("curves.final")}</button>
      </div>`
    }
  `;
}
