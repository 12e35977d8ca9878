// What training teaches: the rows that it asks for beside those that the model gives, from untrained to trained.
import {html, useMemo} from "pellucid/ui";
import {ofModel, useData} from "pellucid/data";
import {Figure, Waiting} from "pellucid/pictures/figure";
import {Matrix} from "pellucid/pictures/matrix";
import {mean, percent, short} from "pellucid/numbers";
import {Bars} from "pellucid/pictures/bars";
import {Setting} from "pellucid/pickers";
import {indexOf, setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {pieceLabel} from "pellucid/tokens";
import {useWidth} from "pellucid/pictures/width";
import {Play} from "pellucid/views/play";

const TOP = 5;
const LEAST = 0.01; // a piece below it in every row has no column of its own in the pictures

export function TargetsView({trace, model, state}) {
  const data = useData(model.has_training ? `${model.id} training` : null, () => ofModel(model, "training"));
  if (!model.has_training) return html`<p class="hint">${t("targets.nothing")}</p>`;
  return html`<${Waiting} data=${data}>
    ${(training) =>
      training.steps.length
        ? html`<${Probed} ...${{trace, model, state, training}} />`
        : html`<p class="hint">${t("targets.nothing")}</p>`}
  <//>`;
}

function Probed({trace, model, state, training}) {
  const {steps, sentences, label_smoothing: epsilon} = training;
  const index = indexOf(state, "targets.step", steps.length, steps.length - 1);
  const sentence = indexOf(state, "targets.sentence", sentences.length);
  const step = steps[index];
  const data = useData(`${model.id} probe ${step}`, () => ofModel(model, `probes/${step}`));
  return html`
    <div class="controls">
      <label class="switch">
        ${t("targets.sentence")} <select
          value=${sentence} onChange=${(event) => setState({"targets.sentence": event.currentTarget.value})}
        >
          ${sentences.map(({source}, i) => html`<option key=${i} value=${i}>${source}</option>`)}
        </select>
      </label>
      <${Play}
        step=${index} steps=${steps.length} isChosen=${Boolean(state["targets.step"])}
        go=${(next) => setState({"targets.step": String(next)})}
      />
      <label class="slider">
        ${t("targets.step")} <input
          type="range" min="0" max=${steps.length - 1} value=${index}
          onInput=${(event) => setState({"targets.step": event.currentTarget.value})}
        /> <output>${step}</output>
      </label>
      <${Setting}
        state=${state} name="targets.rows" label=${t("targets.rows")} usual=${epsilon ? "smoothed" : "one_hot"}
        options=${[
          ["one_hot", t("targets.one_hot")],
          ...(epsilon ? [["smoothed", t("targets.smoothed", {epsilon})]] : []),
        ]}
      />
    </div>
    <${Waiting} data=${data}>
      ${(probes) => html`
        <${Rows} ...${{trace, model, state, training, pair: sentences[sentence], probe: probes[sentence], step}} />
      `}
    <//>
  `;
}

/** The columns: every target piece, the most probable ones of the rows, and all the rest of the vocabulary in one. */
function rowsOf(pair, probe, model, smoothing) {
  const ids = [...new Set([...probe.target_ids, ...probe.top_ids.flatMap((row) => row.slice(0, TOP))])];
  const names = new Map(pair.target_ids.map((id, i) => [id, pair.target_pieces[i]]));
  probe.top_ids.forEach((row, i) => row.forEach((id, j) => names.set(id, probe.top_pieces[i][j])));
  const width = ids.length + 1;
  const vocabulary = model.tokenizer.target_size;
  const [target, output] = [
    new Float32Array(pair.target_ids.length * width),
    new Float32Array(pair.target_ids.length * width),
  ];
  probe.target_ids.forEach((id, row) => {
    const known = new Map(probe.top_ids[row].map((own, j) => [own, Math.exp(probe.top_log_probabilities[row][j])]));
    known.set(id, Math.exp(probe.target_log_probability[row]));
    let rest = 1;
    ids.forEach((own, column) => {
      const share = known.get(own) ?? 0; // not among the ten kept of this row: counted in the rest
      output[row * width + column] = share;
      rest -= share;
      target[row * width + column] = smoothing / vocabulary + (own === id ? 1 - smoothing : 0);
    });
    output[row * width + ids.length] = Math.max(rest, 0);
    target[row * width + ids.length] = (smoothing * (vocabulary - ids.length)) / vocabulary;
  });
  return {
    target,
    output,
    width,
    columns: [...ids.map((id) => pieceLabel(names.get(id) ?? String(id))), t("targets.rest")],
  };
}

/** What the pictures show: the right pieces, those with a share of LEAST in some row, and the sum of all others. */
function drawnOf({target, output, width, columns}, targets) {
  const height = output.length / width;
  const own = [];
  for (let column = 0; column < width - 1; column += 1) {
    let most = column < targets ? 1 : 0; // the right pieces come first
    for (let row = 0; row < height; row += 1) most = Math.max(most, output[row * width + column]);
    if (most >= LEAST) own.push(column);
  }
  const kept = new Set(own);
  const narrowed = (values) =>
    Float32Array.from({length: height * (own.length + 1)}, (_, i) => {
      const [row, at] = [Math.floor(i / (own.length + 1)), i % (own.length + 1)];
      if (at < own.length) return values[row * width + own[at]];
      return values
        .subarray(row * width, (row + 1) * width)
        .reduce((sum, value, column) => (kept.has(column) ? sum : sum + value), 0);
    });
  return {
    target: narrowed(target),
    output: narrowed(output),
    width: own.length + 1,
    columns: [...own, width - 1].map((column) => columns[column]),
  };
}

/**
 * What smoothed targets ask for. A row that equals its target has the likelihood loss `nll`, and against the target the
 * loss `loss`, its entropy: no model can have less of the second, but it can of the first, by being too sure.
 */
export function aimOf(epsilon, {tokenizer: {target_size: size}}) {
  const [other, sure] = [epsilon / size, 1 - epsilon + epsilon / size];
  return {sure, nll: -Math.log(sure), loss: -sure * Math.log(sure) - (size - 1) * other * Math.log(other || 1)};
}

/** The same as texts name it, or null where targets are not smoothed. */
export function aimFor(epsilon, model) {
  if (!epsilon) return null;
  const {sure, nll, loss} = aimOf(epsilon, model);
  return {epsilon, sure: short(sure, 2), nll: short(nll, 3), loss: short(loss, 3)};
}

/** The probabilities of the pieces on top that are not right but were just fed in, as in a model that echoes. */
const echoOf = ({target_ids: ids}, {top_ids: top, top_log_probabilities: logs}) =>
  top.flatMap(([best], row) => (row && best === ids[row - 1] && best !== ids[row] ? [Math.exp(logs[row][0])] : []));

function Rows({trace, model, state, training, pair, probe, step}) {
  const smoothing = state["targets.rows"] === "one_hot" ? 0 : (training.label_smoothing ?? 0);
  const all = useMemo(() => rowsOf(pair, probe, model, smoothing), [pair, probe, smoothing]);
  const drawn = useMemo(() => drawnOf(all, new Set(probe.target_ids).size), [all]);
  const {width, columns} = drawn;
  const [place, room] = useWidth();
  // Both pictures stand side by side where that leaves each of them its cells; see .side-by-side > .figure.
  const own = room >= 800 ? (room - 40) / 2 : room;
  const cell = Math.max(Math.min((own - 210) / width, 26), 11);
  const rows = pair.target_pieces.map(pieceLabel);
  const loss = probe.target_log_probability.map((value) => -value);
  const average = mean(loss);
  const aim = aimFor(training.label_smoothing, model);
  // A guess at random is the whole bar, unless a loss is larger still.
  const full = Math.max(Math.log(model.tokenizer.target_size), ...loss);
  const right = probe.target_ids.filter((id, row) => probe.top_ids[row][0] === id).length;
  const echo = echoOf(pair, probe);
  const counts = {shown: width - 1, tabled: all.width - 1, all: model.tokenizer.target_size, rest: t("targets.rest")};
  const pictures = [
    ["target-rows", t("targets.target"), "target", t("targets.target_says", counts)],
    [
      "output-rows",
      t("targets.output"),
      "output",
      [
        t("targets.output_says", {step, right, all: rows.length}),
        echo.length && t("targets.echo", {n: echo.length, all: rows.length, most: percent(Math.max(...echo))}),
      ]
        .filter(Boolean)
        .join(" "),
    ],
  ];
  const table = (values) => () => ({
    columns: [t("targets.position"), ...all.columns],
    rows: rows.map((piece, row) => [piece, ...values.subarray(row * all.width, (row + 1) * all.width)]),
  });
  return html`
    <div class="side-by-side" ref=${place}>
      ${pictures.map(
        ([name, title, side, says]) => html`
          <${Figure}
            key=${name} name=${name} title=${title} says=${says} provenance=${trace.provenance}
            table=${table(all[side])}
          >
            <${Matrix}
              values=${drawn[side]} shape=${[rows.length, width]} rows=${rows} columns=${columns}
              scale=${{kind: "sequential", most: 1}} cell=${[cell, 20]} name=${title}
              describe=${(row, column) =>
                t("targets.cell", {
                  row: rows[row],
                  column: columns[column],
                  value: percent(drawn[side][row * width + column]),
                })}
            />
          <//>
        `,
      )}
    </div>
    <${Figure}
      name="target-loss" title=${t("targets.loss")}
      says=${t("targets.loss_says", {mean: short(average), perplexity: short(Math.exp(average), 3)})}
      caption=${[t("targets.scale", {full: short(full, 3)}), aim && t("targets.aim", aim), t("targets.why")]
        .filter(Boolean)
        .join(" ")}
      provenance=${trace.provenance}
      table=${() => ({
        columns: [t("targets.position"), t("word.probability"), t("targets.loss")],
        rows: rows.map((piece, i) => [piece, Math.exp(-loss[i]), loss[i]]),
      })}
      recompute=${() => ({
        lines: loss.map((value, i) => ({text: `−ln ${short(Math.exp(-value))}  (${rows[i]})`, value})),
        computed: average,
        shown: Math.fround(average),
      })}
    >
      <${Bars}
        rows=${rows.map((label, i) => ({
          key: i,
          label,
          share: loss[i] / full,
          text: short(loss[i], 3),
        }))}
      />
    <//>
  `;
}
