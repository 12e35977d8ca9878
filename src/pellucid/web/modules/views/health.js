// View 21, health: signs that something went wrong in this translation, each with its number and its threshold.
import {html} from "pellucid/ui";
import {Figure} from "pellucid/figure";
import {short} from "pellucid/numbers";
import {setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {Chips} from "pellucid/tokens";

export function HealthView({trace}) {
  const signs = trace.health;
  const raised = signs.filter((sign) => sign.is_raised);
  const marks = (side, length) => {
    const places = new Set(raised.flatMap((sign) => sign[side]));
    return Array.from({length}, (_, i) => (places.has(i) ? "doubtful" : ""));
  };
  const {tokens, check} = trace;
  return html`
    <${Figure} name="health" title=${t("health.figure")} provenance=${trace.provenance} says=${t(raised.length ? "health.some" : "health.none", {n: raised.length, all: signs.length})}
      caption=${t("health.caption")}
      table=${() => ({columns: [t("health.sign"), t("health.raised"), t("health.value"), t("health.threshold"), t("health.means")], rows: signs.map((sign) => [t(`health.${sign.name}`), sign.is_raised ? t("health.yes") : "", sign.value, sign.threshold, sign.text])})}>
      <ul class="signs">${signs.map((sign) => html`
        <li key=${sign.name} class=${sign.is_raised ? "raised" : ""}>
          <b>${sign.is_raised ? "▲" : "✓"} ${t(`health.${sign.name}`)}</b>
          <span>${sign.text}</span>
          <span class="number">${short(sign.value)} <small>${t("health.limit", {value: short(sign.threshold)})}</small></span>
          ${sign.target?.length > 0 && html`<button onClick=${() => setState({view: "decoder", step: sign.target[0]})}>${t("health.look")}</button>`}
        </li>`)}</ul>
      <p class="choice-label">${t("sentence.source")}</p>
      <${Chips} pieces=${tokens.source_pieces} words=${tokens.source_words} side="source" name=${t("sentence.source")} marks=${marks("source", tokens.source_pieces.length)} />
      <p class="choice-label">${t("sentence.translation")}</p>
      <${Chips} pieces=${tokens.predicted_pieces} words=${tokens.target_words} side="target" name=${t("sentence.translation")} marks=${marks("target", tokens.predicted_pieces.length)}
        onSelect=${(step) => setState({view: "decoder", step})} />
    <//>
    <${Figure} name="check" title=${t("health.check")} provenance=${trace.provenance}
      says=${t(check.passed ? "health.check_passed" : "health.check_failed", {n: check.tested, skipped: check.skipped, failed: check.failures.length})} caption=${t("health.check_caption")} />`;
}
