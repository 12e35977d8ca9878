// The choices that views share: the kind of attention, the layer, the heads, a step, pieces or words.
import {html} from "pellucid/ui";
import {setState} from "pellucid/state";
import {KINDS, STACKS, depthOf} from "pellucid/sites";
import {headColour, inkOn, rgbOf} from "pellucid/pictures/palette";
import {t} from "pellucid/texts";

/** A row of buttons of which one is pressed: options [[value, label]]. */
export function Choice({label, options, value, onChange}) {
  return html`<div class="choice" role="group" aria-label=${label}>
    <span class="choice-label">${label}</span>
    ${options.map(
      ([own, text]) => html`
        <button key=${own} type="button" aria-pressed=${own === value} onClick=${() => onChange(own)}>${text}</button>
      `,
    )}
  </div>`;
}

/** What the address keeps under a name, if it is one of these values; else the usual one, which addresses leave out. */
export const settingOf = (state, name, values, usual = values[0]) =>
  values.includes(state[name]) ? state[name] : usual;

/** A choice that the address keeps under a name; `also` is what else it changes. */
export const Setting = ({state, name, label, options, usual = options[0]?.[0], also = {}}) =>
  html`<${Choice}
  label=${label} options=${options}
  value=${settingOf(
    state,
    name,
    options.map(([own]) => own),
    usual,
  )}
  onChange=${(value) => setState({[name]: value === usual ? "" : value, ...also})}
/>`;

export const StackPicker = ({stack, onChange}) =>
  html`<${Choice}
  label=${t("residual.stack")} value=${stack} options=${STACKS.map((own) => [own, t(`stack.${own}s`)])}
  onChange=${onChange}
/>`;

export const KindPicker = ({state}) => html`
  <${Choice}
    label=${t("pick.kind")} value=${state.kind} options=${KINDS.map((kind) => [kind, t(`kind.${kind}`)])}
    onChange=${(kind) => setState({kind, query: null, key: null})}
  />
`;

/** What a reader of this kind of attention has to know: where it looks, or why it does not look everywhere. */
export const kindHint = (kind, config) =>
  ({
    cross: t("pick.cross_hint", {layer: config.num_encoder_layers - 1}),
    decoder: t("pick.mask_hint"),
  })[kind] ?? "";

export const KindHint = ({state, config}) =>
  state.kind === "encoder" ? null : html`<p class="hint kind-hint">${kindHint(state.kind, config)}</p>`;

export function LayerPicker({state, config}) {
  const depth = depthOf(state.kind, config);
  return html`<${Choice}
    label=${t("pick.layer")} value=${Math.min(state.layer, depth - 1)}
    options=${Array.from({length: depth}, (_, layer) => [layer, String(layer)])}
    onChange=${(layer) => setState({layer})}
  />`;
}

/** The heads: any number of them, none meaning all; a second click on a lone head brings all back. */
export function HeadPicker({state, config, single = false}) {
  const chosen = state.heads.filter((head) => head < config.num_heads);
  const toggle = (head) => {
    if (single) return setState({heads: [head]});
    const next = chosen.includes(head) ? chosen.filter((one) => one !== head) : [...chosen, head].sort((a, b) => a - b);
    setState({heads: next});
  };
  const label = t(single ? "pick.head" : "pick.heads");
  return html`<div class="choice heads" role="group" aria-label=${label}>
    <span class="choice-label">${label}</span>
    ${Array.from({length: config.num_heads}, (_, head) => {
      const isOn = single ? (chosen[0] ?? 0) === head : chosen.includes(head);
      const colour = headColour(head);
      return html`<button
        key=${head} type="button" aria-pressed=${isOn} onClick=${() => toggle(head)}
        onDblClick=${() => setState({heads: [head]})}
        style=${isOn ? {background: colour, borderColor: colour, color: inkOn(rgbOf(colour))} : {borderColor: colour}}
      >
        ${head}
      </button>`;
    })}
    ${
      !single &&
      html`<button type="button" aria-pressed=${chosen.length === 0} onClick=${() => setState({heads: []})}>
        ${t("pick.all")}
      </button>`
    }
  </div>`;
}

/** What a head does, as the server labels it ("previous token"), in the language of the page. */
export const labelText = (label) => t(`heads.label.${label.replaceAll(" ", "_")}`);

export const MergePicker = ({state}) => html`
  <label class="switch">
    <input
      type="checkbox" checked=${state.merge} onChange=${(event) => setState({merge: event.currentTarget.checked})}
    /> ${t("pick.merge")}
  </label>
`;

/** A step of the decoder, 0 to steps - 1. */
export const StepSlider = ({state, steps, label}) => html`
  <label class="slider">
    ${label ?? t("pick.step")}
    <input
      type="range" min="0" max=${steps - 1} value=${Math.min(state.step, steps - 1)}
      onInput=${(event) => setState({step: Number(event.currentTarget.value)})}
    />
    <output>${Math.min(state.step, steps - 1)}</output>
  </label>
`;

/** The way through a long list, `size` of `all` at a time; `says` puts into words which of them are shown. */
export const Paging = ({first, size, all, says, go}) =>
  html`<p class="paging">
  <button type="button" disabled=${first === 0} onClick=${() => go(first - size)}>${t("table.back")}</button>
  ${says({first: first + 1, last: Math.min(first + size, all), all})}
  <button type="button" disabled=${first + size >= all} onClick=${() => go(first + size)}>${t("table.forth")}</button>
</p>`;
