// The whole model in one picture, with the sentence going through it: the picture's place on the page, its controls,
// its words. Read scene.js next, which draws it.
import {html, useEffect, useLayoutEffect, useRef, useState} from "pellucid/ui";
import {ofTrace, site, useData} from "pellucid/data";
import {percent, ranking} from "pellucid/numbers";
import {Figure, Waiting} from "pellucid/pictures/figure";
import {headColour} from "pellucid/pictures/palette";
import {useWidth} from "pellucid/pictures/width";
import {KINDS, depthOf, labelsOf, place} from "pellucid/sites";
import {setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {useTheme} from "pellucid/theme";
import {pieceLabel, pieceName} from "pellucid/tokens";
import {pronounOf, writerOf} from "pellucid/tour_stops";
import {colours} from "pellucid/whole/colours";
import {detailOf, exactText, spoken} from "pellucid/whole/details";
import {pressKey} from "pellucid/whole/hands";
import {tallOf} from "pellucid/whole/layout";
import {rowMarks, nameOf, isSame} from "pellucid/whole/marks";
import {Scene} from "pellucid/whole/scene";

const SPEEDS = ["0.5", "1", "2", "4"];
const MEAN = "mean";
const ADDRESS_AFTER = 250; // milliseconds without a change

export function Whole({trace, model, state}) {
  const head = headOf(state, trace, model);
  const data = useData(`${trace.id} whole ${head}`, async () => {
    const [flow, changes] = await Promise.all([
      ofTrace(trace, "flow", {head}),
      ofTrace(trace, "changes").catch(() => null),
    ]);
    return {flow, changes, head};
  });
  const [kept, setPlay] = useState(null);
  const play = kept?.id === trace.id ? kept : {moment: null, isPlaying: false}; // of this sentence
  return html`
    <${Figure}
      name="whole" title=${t("whole.figure")} provenance=${trace.provenance} table=${() => tableOf(trace, model.config)}
      says=${saysOf({trace, model, state, head, moment: play.moment})} subject=${trace.id}
      caption=${html`<${Legend} ...${{config: model.config, head}} />`}
    >
      <${Waiting} data=${data}>
        ${(numbers) => html`<${Stage} ...${{trace, model, state, play, setPlay, ...numbers}} />`}
      <//>
    <//>
  `;
}

/** What the address keeps, or what the story begins with: the step that writes the pronoun. */
const pinOf = (state, trace, model) => {
  if (state["whole.pin"]) return state["whole.pin"];
  const step = model.is_walkthrough ? pronounOf(trace) : -1;
  return step < 0 ? "" : `decoder.${step}`;
};

/** The one head whose weights are drawn, or null for the mean of all; the story has the head that tells it. */
function headOf(state, trace, model) {
  const chosen = state["whole.head"] || (model.story && pronounOf(trace) >= 0 ? writerOf(model).head : MEAN);
  const head = Number(chosen === MEAN ? NaN : chosen);
  return Number.isInteger(head) && head >= 0 && head < model.config.num_heads ? head : null;
}

const momentOf = (state) => {
  const moment = Number(state["whole.moment"] || NaN);
  return Number.isInteger(moment) && moment >= 0 ? moment : null;
};

function Stage({trace, model, state, play, setPlay, flow, changes, head}) {
  const [frame, room] = useWidth();
  const parts = {stage: useRef(null), scene: useRef(null)};
  const pointed = useRef(new Set()).current; // what is drawn again when the pointer moves; the rest is not
  const theme = useTheme();
  const {config} = model;
  const size = {width: room, height: Math.round(tallOf({tokens: trace.tokens, room, window: innerHeight}))};
  const [view, moment, pin] = [state["whole.view"] ?? "", momentOf(state), pinOf(state, trace, model)];
  const keep = useKept();
  useLayoutEffect(() => {
    const scene = new Scene(parts.stage.current, {
      mark: (mark) => pointed.forEach((set) => set(mark)),
      view: (text) => keep({"whole.view": text}),
      moment: (now, isPlaying) => {
        setPlay({id: scene.trace.id, moment: now, isPlaying});
        if (!isPlaying) keep({"whole.moment": now >= scene.last ? "" : String(now)});
      },
      pin: (text) => keep({"whole.pin": text}),
      open: (patch) => {
        keep.flush();
        setState({...patch, "whole.from": "1"});
        scrollTo({top: 0});
      },
    });
    parts.scene.current = scene;
    window.__inspect.whole = scene;
    return () => {
      keep.flush();
      scene.close();
    };
  }, []);
  useLayoutEffect(() => {
    parts.scene.current.show({trace, config, flow, head, changes, size, view, moment, pin});
    setPlay({id: trace.id, moment: parts.scene.current.moment, isPlaying: false});
  }, [trace, flow, head, changes, size.width, size.height]);
  useLayoutEffect(() => keep.isOwn({"whole.view": view}) || parts.scene.current.setView(view), [view]);
  useLayoutEffect(() => keep.isOwn({"whole.pin": state["whole.pin"]}) || parts.scene.current.setPin(pin), [pin]);
  useEffect(() => parts.scene.current.recolour(), [theme]);
  useEffect(() => {
    parts.scene.current.speed = Number(state["whole.speed"] || 1);
  }, [state["whole.speed"]]);
  const scene = parts.scene.current;
  const rows = trace.tokens.source_pieces.length + trace.tokens.fed_pieces.length;
  const now = play.moment ?? depthOf("encoder", config) + trace.tokens.fed_pieces.length;
  return html`
    <div class="whole" ref=${frame}>
      <${Controls} ...${{scene, trace, config, state, head, moment: now, isPlaying: play.isPlaying}} />
      <div class="whole-frame" data-export style=${{height: `${size.height}px`}}>
        <div
          class="whole-stage" role="grid" tabindex="0" ref=${parts.stage} aria-label=${t("whole.figure")}
          aria-describedby="whole-keys" aria-rowcount=${rows}
          aria-colcount=${2 + 3 * depthOf("decoder", config)}
          onKeyDown=${(event) => {
            if (event.ctrlKey || event.metaKey || event.altKey) return;
            if (pressKey(parts.scene.current, event)) event.preventDefault();
          }}
          onBlur=${() => parts.scene.current?.point(null)}
        >
          ${[0, 1, 2, 3].map((layer) => html`<canvas key=${layer} aria-hidden="true"></canvas>`)}
          <${Row} ...${{scene, pointed, trace}} />
        </div>
        <${Card} ...${{scene, pointed, trace, size}} />
      </div>
      <details class="whole-help hint">
        <summary>${t("whole.hands")}</summary>
        <p id="whole-keys">${t("whole.keys")}</p>
      </details>
    </div>
  `;
}

/** The mark that is pointed at, or null. */
function useMark(pointed) {
  const [mark, set] = useState(null);
  useLayoutEffect(() => {
    pointed.add(set);
    return () => pointed.delete(set);
  }, []);
  return mark;
}

const chosenLink = (scene) => (scene?.pin?.type === "link" ? scene.pin : null);

/** Keeps parts of the address, not more often than browsers allow; `flush` at once. */
function useKept() {
  const kept = useRef(null);
  if (!kept.current) {
    let waiting = {};
    const written = {};
    let timer = null;
    const flush = () => {
      clearTimeout(timer);
      const patch = waiting;
      waiting = {};
      if (Object.keys(patch).length) setState(patch);
    };
    kept.current = Object.assign(
      (patch) => {
        Object.assign(waiting, patch);
        Object.assign(written, patch);
        clearTimeout(timer);
        timer = setTimeout(flush, ADDRESS_AFTER);
      },
      {flush, isOwn: (patch) => Object.entries(patch).every(([name, value]) => written[name] === value)},
    );
  }
  return kept.current;
}

/** The row of the mark that is pointed at, in words: the grid that a screen reader reads in step with the picture. */
function Row({scene, pointed, trace}) {
  const mark = useMark(pointed);
  if (!scene?.layout) return html`<div role="row" class="unseen"><span role="gridcell">${t("whole.keys")}</span></div>`;
  const own = mark ?? {type: "piece", stack: "encoder", row: 0};
  const before = own.stack === "encoder" ? 0 : trace.tokens.source_pieces.length;
  const cells = rowMarks(scene.layout, own.stack, own.row);
  return html`<div role="row" class="unseen" aria-rowindex=${before + own.row + 1}>
    ${cells.map(
      (one, i) =>
        html`<span
        key=${i} role="gridcell" aria-colindex=${i + 1} aria-selected=${isSame(one, own)}
      >
        ${nameOf(one, trace)}
      </span>`,
    )}
  </div>`;
}

/** The transport: play, back, on, where the model is, how fast. */
function Controls({scene, trace, config, state, head, moment, isPlaying}) {
  const layers = depthOf("encoder", config);
  const last = layers + trace.tokens.fed_pieces.length;
  const says = () => {
    if (moment === 0) return t("whole.at_words");
    if (moment <= layers) return t("whole.at_layer", {layer: moment - 1});
    const [step, of] = [moment - layers, trace.tokens.fed_pieces.length];
    const piece = pieceName(trace.tokens.predicted_pieces[step - 1]);
    return moment === last ? t("whole.at_end", {of}) : t("whole.at_step", {step, of, piece});
  };
  return html`<div class="controls whole-controls">
    <span class="choice">
      <button class="play" aria-pressed=${isPlaying} onClick=${() => (isPlaying ? scene.pause() : scene.play())}>
        ${isPlaying ? `❚❚ ${t("decoder.pause")}` : `▶ ${t("decoder.play")}`}
      </button>
      <button disabled=${moment === 0} aria-label=${t("decoder.back")} onClick=${() => scene.goTo(moment - 1)}>
        ←
      </button>
      <button disabled=${moment >= last} aria-label=${t("decoder.forth")} onClick=${() => scene.goTo(moment + 1)}>
        →
      </button>
    </span>
    <label class="slider whole-slider">
      <span class="unseen">${t("whole.moment")}</span>
      <input
        type="range" min="0" max=${last} value=${moment} aria-valuetext=${says()}
        onInput=${(event) => scene.goTo(Number(event.currentTarget.value))}
      />
    </label>
    <output class="whole-moment">${says()}</output>
    <label class="whole-pick">
      ${t("pick.head")} <select
        value=${head ?? MEAN} onChange=${(event) => setState({"whole.head": event.currentTarget.value})}
      >
        <option value=${MEAN}>${t("whole.mean")}</option>
        ${Array.from({length: config.num_heads}, (_, one) => html`<option key=${one} value=${one}>${one}</option>`)}
      </select>
    </label>
    <select
      class="whole-pick" aria-label=${t("whole.speed")} title=${t("whole.speed")} value=${state["whole.speed"] || "1"}
      onChange=${(event) => setState({"whole.speed": event.currentTarget.value})}
    >
      ${SPEEDS.map((speed) => html`<option key=${speed} value=${speed}>${speed}×</option>`)}
    </select>
    <span class="choice" role="group" aria-label=${t("whole.zoom")}>
      <button aria-label=${t("whole.farther")} title=${t("whole.farther")} onClick=${() => scene.zoomBy(1 / 1.6)}>
        −
      </button>
      <button aria-label=${t("whole.nearer")} title=${t("whole.nearer")} onClick=${() => scene.zoomBy(1.6)}>+</button>
      <button aria-label=${t("whole.fit")} title=${t("whole.fit")} onClick=${() => scene.whole()}>⤢</button>
    </span>
  </div>`;
}

/** What the mark is and its numbers, beside it. */
function Card({scene, pointed, trace, size}) {
  const mark = useMark(pointed) ?? chosenLink(scene);
  const detail = useDetail(trace, mark, scene?.head ?? null);
  if (!mark || !detail || !scene?.layout) return html`<output class="unseen" aria-live="polite"></output>`;
  return html`<${Shown} ...${{scene, mark, detail, size}} />`;
}

function Shown({scene, mark, detail, size}) {
  const own = useRef(null);
  useLayoutEffect(() => {
    Object.assign(own.current.style, placeOf(scene, mark, size, own.current));
  });
  const most = Math.max(...detail.bars.map(({share}) => share), 1e-9);
  return html`<output ref=${own} class="whole-card" aria-live="polite">
    <b>${detail.name}</b>
    <span class="whole-says">${detail.says}</span>
    ${detail.value !== null && html`<span class="exact">${exactText(detail)}</span>`}
    <span class="unseen">${spoken(detail)}</span>
    ${
      detail.bars.length > 0 &&
      html`<span class="whole-bars" aria-hidden="true">
        ${detail.bars.map(
          ({label, share, text, head}, i) => html`
            <bdi key=${`l${i}`}>${label}</bdi>
            <i style=${{
              width: `${(share / Math.max(most, head === undefined ? 1 : most)) * 100}%`,
              background: head === undefined ? null : headColour(head),
            }}></i>
            <span class="number">${text}</span>
          `,
        )}
      </span>`
    }
    <small>${t(mark.type === "link" ? "whole.hint_link" : "whole.hint")}</small>
  </output>`;
}

/**
 * Beside the mark, on the side with more room, and beside all of a link; under it or over it on a telephone. All of the
 * card is within the picture, and within the part of it that the window shows.
 */
function placeOf(scene, mark, size, card) {
  const [wide, tall] = [card.offsetWidth + 4, card.offsetHeight + 4];
  const frame = card.parentElement.getBoundingClientRect();
  const [x, y] = scene.screenOf(mark);
  const within = (at, least, most) => `${Math.max(Math.min(at, most), least)}px`;
  const highest = Math.max(4, 4 - frame.top);
  const lowest = Math.min(size.height, innerHeight - frame.top) - tall;
  if (size.width < 560) {
    const under = y + 24 > lowest ? y - 20 - tall : y + 24;
    return {left: within(8, 4, size.width - wide), top: within(under, highest, lowest)};
  }
  const [from, to] = mark.type === "link" ? scene.endsOf(mark.link) : [x - 4, x + 4];
  const left = to + 16 + wide < size.width || from < wide + 16 ? to + 16 : from - 16 - wide;
  return {left: within(left, 4, size.width - wide), top: within(y - 40, highest, lowest)};
}

function useDetail(trace, mark, head) {
  const [found, set] = useState(null);
  useEffect(() => {
    let isWanted = true;
    if (mark)
      detailOf(trace, mark, head).then(
        (detail) => isWanted && set({mark, trace, detail}),
        (error) => isWanted && set({mark, trace, detail: {name: "", value: null, says: error.message, bars: []}}),
      );
    return () => {
      isWanted = false;
    };
  }, [trace, mark, head]);
  return found?.mark === mark && found?.trace === trace ? found.detail : null;
}

/** What the colours and lines mean. */
function Legend({config, head}) {
  useTheme();
  const tint = colours();
  return html`<span class="whole-legend">
    ${KINDS.map(
      (kind) =>
        html`<span key=${kind}>
        <i class="line" style=${{background: tint[kind]}}></i> ${t(`kind.${kind}`)}
      </span>`,
    )}
    <span>${t(head === null ? "whole.legend" : "whole.legend_of_head", {n: config.num_heads, head})}</span>
  </span>`;
}

/** The picture in one sentence: how sure the model is at the step that stands out, and where that step looks. */
function saysOf({trace, model, state, head, moment}) {
  const {tokens, predictions} = trace;
  const layers = depthOf("encoder", model.config);
  const of = {sources: tokens.source_pieces.length, targets: tokens.predicted_pieces.length};
  const now = moment ?? momentOf(state) ?? Infinity;
  if (now <= layers) return t("whole.says_reading", of);
  const isWorking = now < layers + of.targets;
  const pinned = /^decoder\.(\d+)$/.exec(pinOf(state, trace, model))?.[1] ?? NaN;
  const own = isWorking ? now - layers - 1 : Number(pinned);
  const step = own < of.targets ? own : ranking(predictions.target_log_probability).at(-1);
  return t(step !== own ? "whole.says_least" : head === null ? "whole.says_mean" : "whole.says", {
    ...of,
    piece: pieceName(tokens.predicted_pieces[step]),
    p: percent(Math.exp(predictions.target_log_probability[step])),
    head,
  });
}

/** Every weight of every layer, the mean over the heads. */
async function tableOf(trace, config) {
  const places = KINDS.flatMap((kind) => Array.from({length: depthOf(kind, config)}, (_, layer) => ({kind, layer})));
  const tensors = await Promise.all(places.map(({kind, layer}) => site(trace, `${place(kind, layer)}.weights`)));
  const rows = places.flatMap(({kind, layer}, i) => {
    const labels = labelsOf(kind, trace.tokens);
    const {data, shape} = tensors[i];
    const [heads, from, to] = shape;
    return Array.from({length: from * to}, (_, at) => {
      let sum = 0;
      for (let head = 0; head < heads; head += 1) sum += data[head * from * to + at];
      return [
        t(`kind.${kind}`),
        layer,
        pieceLabel(labels.rows[Math.floor(at / to)]),
        pieceLabel(labels.columns[at % to]),
        sum / heads,
      ];
    });
  });
  return {columns: [t("pick.kind"), t("pick.layer"), t("links.from"), t("links.to"), t("links.weight")], rows};
}
