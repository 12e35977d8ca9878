// The feed-forward network of a layer: one word's vector goes alone through it. After residual and norm, since it is
// what comes between two of them. Read unit.js next, then words.js.
import {html, useMemo, useState} from "pellucid/ui";
import {useData} from "pellucid/data";
import {Figure, Waiting} from "pellucid/pictures/figure";
import {Matrix} from "pellucid/pictures/matrix";
import {largest, percent, ranking, short} from "pellucid/numbers";
import {LayerPicker, Setting, StackPicker, settingOf} from "pellucid/pickers";
import {stackOf} from "pellucid/sites";
import {setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {Formula, NamedStrip, Symbol, WordPicker, numbers, rowName} from "pellucid/views/attention/parts";
import {rowOf} from "pellucid/views/beginning";
import {Curve} from "pellucid/views/feed_forward/curve";
import {bracketed, chooseUnit, countAwake, loadWord} from "pellucid/views/feed_forward/parts";
import {Sum, Unit} from "pellucid/views/feed_forward/unit";
import {AllWords, UnitEverywhere} from "pellucid/views/feed_forward/words";
import {useWidth} from "pellucid/pictures/width";

const ORDERS = ["place", "strength"];

export function FeedForwardView({trace, model, state}) {
  const {kind, layer} = state;
  const query = rowOf(state, trace);
  const stack = stackOf(kind);
  const data = useData(`${trace.id} ${stack} ${layer} ${query} feed_forward`, () =>
    loadWord({trace, model, kind, layer, query}),
  );
  return html`<div>
    <div class="controls">
      <${StackPicker}
        stack=${stack} onChange=${(own) => own !== stack && setState({kind: own, query: null, key: null})}
      />
      <${LayerPicker} state=${state} config=${model.config} />
    </div>
    <${WordPicker}
      ...${{trace, state, query}}
      label=${t(stack === "encoder" ? "feed_forward.which_word" : "feed_forward.which_step")}
    />
    <${Waiting} data=${data}>${(one) => html`<${Parts} ...${{one, model, state}} />`}<//>
  </div>`;
}

function Parts({one, model, state}) {
  const ranked = useMemo(() => ranking(one.p), [one]);
  const order = useMemo(
    () => (settingOf(state, "feed_forward.order", ORDERS) === "strength" ? ranked : ranked.map((_, unit) => unit)),
    [ranked, state["feed_forward.order"]],
  );
  const asked = /^\d+$/.test(state["feed_forward.unit"] ?? "") ? Number(state["feed_forward.unit"]) : null;
  const unit = asked !== null && asked < ranked.length ? asked : ranked[0];
  const shared = {one, model, state, ranked, order, unit};
  return html`<div>
    <${Through} ...${shared} /><${Unit} ...${shared} /><${Sum} ...${shared} /><${UnitEverywhere} ...${shared} />
    <${AllWords} ...${shared} />
    <p class="hint">
      ${t("feed_forward.on")} <button
        type="button"
        onClick=${() => setState({view: "residual", "residual.block": one.at, "residual.position": String(one.query)})}
      >
        ${t("residual.name")}
      </button>
    </p>
  </div>`;
}

/** The whole way of one word: x, the pre-activations, the activations, the output. */
function Through({one, model, state, order, unit}) {
  const {x, p, h, output, trace, activation} = one;
  const [frame, room] = useWidth(640);
  const [pointed, point] = useState(null);
  const awake = countAwake(p);
  const most = Math.max(largest(p), 1e-12);
  const shown = pointed ?? unit;
  const vector = (name, formula, values) =>
    html`<${NamedStrip}
    title=${html`<${Symbol} letter=${name} />${formula}`} note=${numbers(values.length)} values=${values} room=${room}
    height=${20} name=${name}
  />`;
  const table = () => ({
    columns: [t("feed_forward.index"), "x", "p", "h", "FFN(x)"],
    rows: Array.from({length: Math.max(p.length, x.length)}, (_, i) => [
      i,
      x[i] ?? "",
      p[i] ?? "",
      h[i] ?? "",
      output[i] ?? "",
    ]),
  });
  const recompute = () => ({
    lines: [
      {text: `p[${unit}]`, value: p[unit]},
      {text: `h[${unit}] = ${activation.formula(bracketed(p[unit]))}`, value: activation.of(p[unit])},
    ],
    computed: activation.of(p[unit]),
    shown: h[unit],
  });
  const block = {order, unit, room, most, point};
  return html`
    <${Figure}
      frame=${frame} name="feed-forward" title=${t("feed_forward.one", {name: rowName(one, one.query)})}
      provenance=${trace.provenance} table=${table} recompute=${recompute}
      subject=${`${trace.id} ${one.at} ${one.query} ${unit}`}
      says=${t(activation.isCut ? "feed_forward.one_says_cut" : "feed_forward.one_says_smooth", {
        width: x.length,
        units: p.length,
        awake,
        share: percent(awake / p.length),
        asleep: p.length - awake,
        formula: activation.formula("p"),
      })}
      caption=${
        t("feed_forward.one_caption", {entry: one.entry, parameters: one.parameters}) +
        (model.config.activation === "gelu" ? ` ${t("feed_forward.phi")}` : "")
      }
    >
      <div class="controls">
        <${Setting}
          state=${state} name="feed_forward.order" label=${t("feed_forward.order")} also=${{"feed_forward.from": ""}}
          options=${ORDERS.map((own) => [own, t(`feed_forward.order_${own}`)])}
        />
      </div>
      <div class="vectors through">
        ${vector("x", null, x)}
        <div class="side-by-side">
          <div class="vectors">
            <${Units}
              ...${{...block, values: p}} name=${t("feed_forward.pre_activations")}
              letter=${html`
                <${Symbol} letter="p" />
                <span class="formula">= x <${Formula} text="W_1" /> + <${Formula} text="b_1" /></span>
              `}
              letterOf="p"
            />
            <${Units}
              ...${{...block, values: h}} name=${t("feed_forward.activations")}
              letter=${html`
                <${Symbol} letter="h" /><span class="formula">= ${activation.formula("p")}</span>
              `}
              letterOf="h"
            />
            <p class="block-says">
              <output>${t("feed_forward.cell", {unit: shown, p: short(p[shown]), h: short(h[shown])})}</output>
            </p>
          </div>
          <${Curve}
            ...${{p, h, activation, awake, room}} at=${shown} label=${t("feed_forward.unit_is", {unit: shown})}
            says=${t("feed_forward.curve_says", {
              formula: activation.formula("p"),
              awake,
              units: p.length,
              unit: shown,
              p: short(p[shown]),
              h: short(h[shown]),
            })}
          />
        </div>
        ${vector(
          "FFN(x)",
          html`<span class="formula">= h <${Formula} text="W_2" /> + <${Formula} text="b_2" /></span>`,
          output,
        )}
      </div>
    <//>
  `;
}

/** How units are laid out: so many columns that a cell can be pointed at. */
function gridOf(units, room) {
  const cell = units > 2048 ? 6 : units > 1024 || room < 400 ? 8 : 10;
  const widest = Math.max(Math.floor((room - 4) / cell), 8);
  const columns = Math.min(widest >= 16 ? widest - (widest % 16) : widest, units);
  return {cell, columns, rows: Math.ceil(units / columns)};
}

/** All units as cells, in the order asked for; cells after the last one do not exist. */
function Units({values, order, unit, room, most, point, name, letter, letterOf}) {
  const {cell, columns, rows} = gridOf(order.length, room);
  const arranged = useMemo(
    () => Float32Array.from({length: rows * columns}, (_, place) => (place < order.length ? values[order[place]] : 0)),
    [values, order, columns],
  );
  const hidden = useMemo(
    () =>
      rows * columns > order.length ? Uint8Array.from(arranged, (_, place) => (place < order.length ? 0 : 1)) : null,
    [arranged],
  );
  const unitAt = (row, column) => order[row * columns + column];
  const at = order.indexOf(unit);
  return html`<div class="vector block">
    <p class="vector-name">${letter} <small>${numbers(order.length)}</small></p>
    <${Matrix}
      values=${arranged} shape=${[rows, columns]} rows=${null} columns=${null} scale=${{kind: "diverging", most}}
      hidden=${hidden} cell=${cell} name=${name} isQuiet selected=${[Math.floor(at / columns), at % columns]}
      describe=${(row, column) =>
        unitAt(row, column) === undefined
          ? ""
          : t("feed_forward.unit_cell", {
              unit: unitAt(row, column),
              letter: letterOf,
              value: short(values[unitAt(row, column)]),
            })}
      onHover=${(row, column) => point(row === null ? null : (unitAt(row, column) ?? null))}
      onSelect=${(row, column) => unitAt(row, column) !== undefined && chooseUnit(unitAt(row, column))}
    />
  </div>`;
}
