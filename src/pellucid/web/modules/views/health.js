// Health: signs that something went wrong in this translation, each with its number, its limit and what it was worth
// when it was measured on translations with references.
import {html} from "pellucid/ui";
import {Figure} from "pellucid/pictures/figure";
import {percent, short} from "pellucid/numbers";
import {flagsOf, rounded} from "pellucid/sentence";
import {setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {Chips} from "pellucid/tokens";

// Flags that a sign already shows, with its number.
const SHOWN_AS_SIGNS = new Set(["unknown", "unknown_output", "max_length", "dead_end"]);

const COLUMNS = ["sign", "raised", "value", "threshold", "means", "worth_of", "auroc"];

// The signs whose number should not be small; of the others it should not be large.
const LEAST = new Set(["source_share", "score"]);

/** How often a sign was right, in words. */
function worthText({worth}) {
  if (!worth) return t("health.unmeasured");
  const kind = t(`health.kind.${worth.kind}`);
  if (worth.precision === null) return t("health.never_raised");
  if (worth.precision === 0) return t("health.worthless", {kind});
  const figures = Object.fromEntries(
    ["precision", "recall", "false_alarms"].map((name) => [name, worth[name] === null ? "–" : rounded(worth[name])]),
  );
  return t("health.worth", {kind, ...figures});
}

/** On what the limits and their worth were measured. */
const measuredText = ({measured}) =>
  t(measured.is_own ? "health.measured_own" : "health.measured_other", {
    n: measured.translations,
    ...measured,
  });

/** What a sign says of this translation, in the language of the page; the sign's `text` is for other readers. */
function says(sign, {tokens}) {
  const {name, value, threshold, source, target, is_raised: isRaised} = sign;
  const all = tokens.predicted_pieces.length;
  const late = target.includes(all - 1);
  const pieces = {source: source.length, target: target.length};
  const words = tokens.source_words.filter(({start}) => source.includes(start)).map(({text}) => `“${text}”`);
  const sentences = {
    repetition: () => t(value > 1 ? "health.says.repeated" : "health.says.not_repeated", {n: value, limit: threshold}),
    source_share: () => t("health.says.source_share", {value: rounded(value)}),
    to_uniform: () => t("health.says.to_uniform", {value: rounded(value)}),
    to_data: () => t("health.says.to_data", {value: percent(value)}),
    entropy: () =>
      t("health.says.doubt", {n: target.length, all, value: short(value, 3), even: short(Math.exp(value), 2)}),
    new_words: () => t(isRaised ? "health.says.new_words" : "health.says.no_new_words", {words: words.join(" ")}),
    unknown: () => t(isRaised ? "health.says.unknown" : "health.says.no_unknown", pieces),
    bytes: () => t("health.says.bytes", pieces),
    truncation: () => t(isRaised ? "health.says.cut" : "health.says.not_cut"),
    end: () =>
      [
        target.length > Number(late) && t("health.says.early", {n: target.length - Number(late)}),
        late && t("health.says.late", {value: short(sign.last, 3)}),
        !isRaised && t("health.says.in_time"),
      ]
        .filter(Boolean)
        .join(" "),
    score: () =>
      t("health.says.score", {
        value: short(value),
        mean: percent(Math.exp(value)),
        source: tokens.source_pieces.length,
        target: all,
      }),
  };
  return sentences[name]?.() ?? sign.text;
}

export function HealthView({trace}) {
  // Flags of the translation are signs without a number; those that are not raised are in docs/reference/flags.md.
  const flags = flagsOf(trace).filter(({name}) => !SHOWN_AS_SIGNS.has(name));
  const signs = trace.health;
  const raised = signs.filter((sign) => sign.is_raised);
  const marks = (side, length) => {
    const places = new Set(raised.flatMap((sign) => sign[side]));
    return Array.from({length}, (_, i) => (places.has(i) ? "doubtful" : ""));
  };
  const {tokens, check} = trace;
  return html`
    <${Figure}
      name="health" title=${t("health.figure")} provenance=${trace.provenance}
      says=${[
        t(raised.length ? "health.some" : "health.none", {n: raised.length, all: signs.length}),
        t(flags.length ? "health.some_flags" : "health.no_flags", {n: flags.length}),
        t("health.limits"),
      ].join(" ")}
      caption=${`${measuredText(trace)} ${t("health.caption")}`}
      table=${() => ({
        columns: COLUMNS.map((name) => t(`health.${name}`)),
        rows: [
          ...signs.map((sign) => [
            t(`health.${sign.name}`),
            sign.is_raised ? t("health.yes") : "",
            sign.value,
            sign.threshold,
            says(sign, trace),
            worthText(sign),
            sign.worth?.auroc ?? "",
          ]),
          ...flags.map(({name, text}) => [name, t("health.yes"), "", "", text, "", ""]),
        ],
      })}
    >
      <ul class="signs">
        ${signs.map(
          (sign) => html`
            <li key=${sign.name} class=${sign.is_raised ? "raised" : ""}>
              <b>${sign.is_raised ? "▲" : "–"} ${t(`health.${sign.name}`)}</b>
              <span class="sign-says">${says(sign, trace)} <small class="worth">${worthText(sign)}</small></span>
              <span class="number">
                ${short(sign.value)} <small>
                  ${t(LEAST.has(sign.name) ? "health.at_least" : "health.limit", {value: short(sign.threshold)})}
                </small>
              </span>
              ${
                sign.target?.length > 0 &&
                html`<button onClick=${() => setState({view: "decoder", step: sign.target[0]})}>
                  ${t("health.look")}
                </button>`
              }
            </li>
          `,
        )}
        ${flags.map(
          ({name, text}) => html`
            <li key=${name} class="raised"><b>▲ <code>${name}</code></b><span class="sign-says">${text}</span></li>
          `,
        )}
      </ul>
      <p class="choice-label">${t("sentence.source")}</p>
      <${Chips}
        pieces=${tokens.source_pieces} words=${tokens.source_words} side="source" name=${t("sentence.source")}
        marks=${marks("source", tokens.source_pieces.length)}
      />
      <p class="choice-label">${t("sentence.translation")}</p>
      <${Chips}
        pieces=${tokens.predicted_pieces} words=${tokens.target_words} side="target" name=${t("sentence.translation")}
        marks=${marks("target", tokens.predicted_pieces.length)} onSelect=${(step) => setState({view: "decoder", step})}
      />
    <//>
    <${Figure}
      name="check" title=${t("health.check")} provenance=${trace.provenance}
      says=${t(check.passed ? "health.check_passed" : "health.check_failed", {
        n: check.tested,
        skipped: check.skipped,
        failed: check.failures.length,
      })}
      caption=${t("health.check_caption")}
    />
  `;
}
