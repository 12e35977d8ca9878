// The box opened: the stacks of encoders and decoders, drawn from the model's own configuration.
import {html, pressable, useMemo, useState} from "pellucid/ui";
import {ofTrace, useData} from "pellucid/data";
import {Figure} from "pellucid/pictures/figure";
import {Spoken} from "pellucid/pictures/spoken";
import {mean, short} from "pellucid/numbers";
import {css, inkOn, sequential} from "pellucid/pictures/palette";
import {STACKS, SUBLAYERS, depthOf} from "pellucid/sites";
import {setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {useTheme} from "pellucid/theme";
import {cut} from "pellucid/tokens";
import {useWidth} from "pellucid/pictures/width";

const [BOX, PAD, GAP, STEM] = [30, 12, 16, 20];
const [ROWS_FROM, NORM, BETWEEN] = [940, 40, 6]; // a layer is a row from this width on; a norm in a row; between boxes

/** The boxes of one layer from below: [{kind, site, name}], in the order that the norm stands in. */
function boxesOf(stack, layer, config) {
  const isPre = config.norm_order === "pre";
  return SUBLAYERS[stack].flatMap((name) => {
    const inner = {kind: name, name, layer, stack, block: `${stack}.${layer}.${name}`};
    const norm = {kind: "norm", name, layer, stack, text: t(isPre ? "stack.norm_pre" : "stack.norm")};
    return isPre ? [norm, inner] : [inner, norm];
  });
}

/**
 * Where everything stands: layers from the bottom up, the two stacks side by side. Where there is room, a layer is a
 * row, so that all of a deep model fits into a window; else its boxes stand one above the other.
 */
function layoutOf(config, room) {
  const isRows = room >= ROWS_FROM;
  const between = room < 560 ? 26 : isRows ? 70 : 110;
  const wide = Math.min(Math.max((room - between - 44) / 2, 112), isRows ? 480 : 250);
  const stacks = STACKS.map((stack, side) => {
    const depth = depthOf(stack, config);
    const tall = (isRows ? BOX : boxesOf(stack, 0, config).length * (BOX + 4)) + 2 * (isRows ? 8 : PAD);
    return {stack, depth, tall, x: 20 + side * (wide + between), wide, total: depth * (tall + GAP)};
  });
  const height = Math.max(...stacks.map(({total}) => total)) + 150;
  return {stacks, height, width: 2 * wide + between + 40, bottom: height - 62, isRows};
}

/** The place of each box of a layer whose frame begins at y. */
function placesOf(boxes, {x, wide, tall}, y, isRows) {
  if (!isRows)
    return boxes.map((_, i) => ({x: x + PAD, y: y + tall - PAD - (i + 1) * (BOX + 4) + 4, width: wide - 2 * PAD}));
  const norms = boxes.filter(({kind}) => kind === "norm").length;
  const room = wide - 2 * PAD - norms * NORM - (boxes.length - 1) * BETWEEN;
  let at = x + PAD;
  return boxes.map(({kind}) => {
    const width = kind === "norm" ? NORM : room / (boxes.length - norms);
    at += width + BETWEEN;
    return {x: at - width - BETWEEN, y: y + 8, width};
  });
}

export function StackView({trace, model}) {
  const changes = useData(`${trace.id} changes`, () => ofTrace(trace, "changes"));
  const [frame, room] = useWidth();
  const layout = useMemo(() => layoutOf(model.config, room), [model, room]);
  const [said, say] = useState(null);
  const change = Object.fromEntries(
    Object.entries(changes.value ?? {}).map(([block, values]) => [block, mean(values)]),
  );
  const most = Math.max(...Object.values(change), 1e-9);
  const {num_encoder_layers: encoders, num_decoder_layers: decoders, norm_order: order} = model.config;
  const table = () => {
    const blocks = Object.entries(changes.value ?? {});
    const positions = Array.from({length: Math.max(0, ...blocks.map(([, values]) => values.length))}, (_, i) => i);
    return {
      columns: [t("stack.block"), t("stack.change"), ...positions.map((i) => t("stack.position", {i}))],
      rows: blocks.map(([block, values]) => [block, mean(values), ...positions.map((i) => values[i] ?? "")]),
    };
  };
  return html`
    <${Figure}
      name="stack" title=${t("stack.figure")} provenance=${trace.provenance} table=${table}
      caption=${
        t("stack.caption") +
        (changes.value
          ? ` ${t("stack.scale", {most: short(most, 3), least: short(Math.min(...Object.values(change)), 3)})}`
          : "")
      }
      says=${t(`stack.says_${order}`, {encoders, decoders})}
    >
      <div ref=${frame}>
        <svg
          class=${`stack ${room < 560 ? "narrow" : layout.isRows ? "rows" : ""}`}
          width=${layout.width} height=${layout.height} viewBox=${`0 0 ${layout.width} ${layout.height}`}
          role="group" aria-label=${t("stack.figure")}
        >
          <defs>
            <marker
              id="arrowhead" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"
              orient="auto-start-reverse"
            >
              <path d="M0 0 L8 4 L0 8 z" />
            </marker>
          </defs>
          ${layout.stacks.map(
            (one) => html`<${Stack} key=${one.stack} ...${{one, layout, model, change, most, say, trace}} />`,
          )}
          <${Memory} ...${{layout, config: model.config}} />
        </svg>
      </div>
      <${Spoken} isSaid=${said}>${said ?? html`<span class="hint">${t("stack.hint")}</span>`}<//>
    <//>
  `;
}

function Stack({one, layout, model, change, most, say, trace}) {
  const {stack, depth, tall, x, wide} = one;
  const {bottom, isRows} = layout;
  const top = bottom - depth * (tall + GAP);
  const middle = x + wide / 2;
  const isPre = model.config.norm_order === "pre";
  const end = top - (isPre ? BOX + 8 : 0);
  const words =
    stack === "encoder"
      ? trace.source
      : trace.tokens.fed_pieces
          .map((piece) => piece.replaceAll("▁", " "))
          .join("")
          .trim();
  const whole = {x: x + PAD, width: wide - 2 * PAD};
  const input = {kind: "input", stack, text: t(`stack.input_${stack}`), go: {view: "embeddings"}};
  return html`
    <g>
      <line class="flow" x1=${middle} x2=${middle} y1=${bottom + 8} y2=${end - STEM} marker-end="url(#arrowhead)" />
      ${Array.from({length: depth}, (_, layer) => {
        const y = bottom - (layer + 1) * (tall + GAP) + GAP;
        const boxes = boxesOf(stack, layer, model.config);
        const places = placesOf(boxes, one, y, isRows);
        return html`<g key=${layer}>
          <rect class="layer" x=${x} y=${y} width=${wide} height=${tall} rx="10" />
          <text
            class="layer-number" x=${stack === "encoder" ? x - 6 : x + wide + 6} y=${y + tall / 2} dy="0.35em"
            text-anchor=${stack === "encoder" ? "end" : "start"}
          >
            ${layer}
          </text>
          ${boxes.map((box, i) => html`<${Box} key=${i} ...${{box, ...places[i], change, most, say, isRows}} />`)}
        </g>`;
      })}
      ${
        isPre &&
        html`<${Box}
          box=${{kind: "final_norm", stack, name: "final_norm", layer: depth}} ...${whole} y=${top - BOX - 2}
          ...${{change, most, say}}
        />`
      }
      <${Box} box=${input} ...${whole} y=${bottom + 8} ...${{change, most, say}} />
      <text class="words" x=${middle} y=${bottom + 56} text-anchor="middle">${cut(words, Math.floor(wide / 7))}</text>
      ${
        stack === "decoder" &&
        html`<${Box}
          box=${{kind: "output", stack, text: t("stack.output"), go: {view: "softmax"}}} ...${whole}
          y=${end - STEM - BOX - 6} ...${{change, most, say}}
        />`
      }
      <text class="stack-name" x=${middle} y=${end - STEM - (stack === "decoder" ? BOX + 18 : 12)} text-anchor="middle">
        ${t(`stack.${stack}s`)}
      </text>
    </g>
  `;
}

function goOf({kind, stack, layer, name, go}) {
  if (go) return go;
  if (kind === "self_attention") return {view: "attention", kind: stack, layer};
  if (kind === "cross_attention") return {view: "attention", kind: "cross", layer};
  if (kind === "feed_forward") return {view: "feed_forward", kind: stack, layer};
  return {view: "residual", "residual.block": `${stack}.${layer}.${name}`};
}

function Box({box, x, y, width, change, most, say, isRows}) {
  useTheme();
  const value = change[box.block];
  const colour = value === undefined ? null : sequential(0.08 + (0.62 * value) / most);
  const label = box.text ?? t(`stack.${box.kind}`);
  const sentence = value === undefined ? label : t("stack.changed", {block: box.block, value: short(value, 3)});
  const open = () => setState({...goOf(box), query: null, key: null});
  return html`
    <g
      class=${`block ${box.kind}`} ...${pressable(open)}
      aria-label=${box.block ? `${box.block}: ${label}` : `${box.stack} ${box.layer ?? ""} ${label}`}
      onPointerEnter=${() => say(sentence)} onPointerLeave=${() => say(null)} onFocus=${() => say(sentence)}
      onBlur=${() => say(null)}
    >
      <rect x=${x} y=${y} width=${width} height=${BOX} rx="6" style=${colour ? {fill: css(colour)} : {}} />
      <text
        x=${x + width / 2} y=${y + BOX / 2} dy="0.35em" text-anchor="middle"
        style=${colour ? {fill: inkOn(colour)} : {}}
      >
        ${isRows && box.kind === "norm" ? t("stack.norm_short") : label}
      </text>
    </g>
  `;
}

/** The output of the last encoder, which the cross-attention of every decoder layer looks at. */
function Memory({layout, config}) {
  const [encoder, decoder] = layout.stacks;
  const top = layout.bottom - encoder.depth * (encoder.tall + GAP) - (config.norm_order === "pre" ? BOX + 8 : 0) - STEM;
  const between = (encoder.x + encoder.wide + decoder.x) / 2;
  const boxes = boxesOf("decoder", 0, config);
  const at = boxes.findIndex(({kind}) => kind === "cross_attention");
  const ends = Array.from({length: decoder.depth}, (_, layer) => {
    const y = layout.bottom - (layer + 1) * (decoder.tall + GAP) + GAP;
    return placesOf(boxes, decoder, y, layout.isRows)[at];
  });
  // In rows the arrow comes from below, past the frame of the layer; else from the side.
  const targets = ends.map(({y}) => (layout.isRows ? y + BOX + 14 : y + BOX / 2));
  const across = `M${encoder.x + encoder.wide / 2} ${top} H${between} `;
  const down = `M${between} ${Math.min(top, ...targets)} V${Math.max(top, ...targets)}`;
  return html`<g class="memory">
    <path d=${across + down} />
    ${targets.map(
      (y, i) => html`
        <path
          key=${y} marker-end="url(#arrowhead)"
          d=${
            layout.isRows
              ? `M${between} ${y} H${ends[i].x + ends[i].width / 2 - 12} V${ends[i].y + BOX + 1}`
              : `M${between} ${y} H${decoder.x + PAD - 2}`
          }
        />
      `,
    )}
  </g>`;
}
