// The black box: a sentence in, a sentence out, and what can be seen from outside.
import {html} from "pellucid/ui";
import {Figure} from "pellucid/pictures/figure";
import {percent, short, total} from "pellucid/numbers";
import {setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {Chips} from "pellucid/tokens";

export function TranslateView({trace, model}) {
  const {tokens, predictions} = trace;
  const probabilities = predictions.target_log_probability.map(Math.exp);
  const table = () => ({
    columns: [t("word.position"), t("word.piece"), t("word.id"), t("word.probability")],
    rows: tokens.predicted_pieces.map((piece, i) => [i, piece, tokens.predicted_ids[i], probabilities[i]]),
  });
  return html`
    <${Figure}
      name="black-box" title=${t("translate.figure")} provenance=${trace.provenance} table=${table}
      says=${t("translate.says", {
        sources: tokens.source_pieces.length,
        targets: tokens.predicted_pieces.length,
        score: short(total(predictions.target_log_probability)),
      })}
    >
      <div class="black-box">
        <${Chips}
          pieces=${tokens.source_pieces} words=${tokens.source_words} side="source" name=${t("sentence.source")}
        />
        <div class="box">
          <span>${model.name}</span>
          <small>
            ${t("translate.layers", {
              encoder: model.config.num_encoder_layers,
              decoder: model.config.num_decoder_layers,
            })}
          </small>
        </div>
        <${Chips}
          pieces=${tokens.predicted_pieces} words=${tokens.target_words} side="target" name=${t("sentence.translation")}
          notes=${probabilities.map((p) => percent(p))} onSelect=${(step) => setState({view: "decoder", step})}
        />
      </div>
    <//>
    <p class="examples">
      <span>${t("translate.examples")}</span> ${model.examples.map(
        (text) => html`
          <button key=${text} onClick=${() => setState({source: text, target: "", query: null, key: null, step: 0})}>
            <bdi dir="auto">${text}</bdi>
          </button>
        `,
      )}
    </p>
  `;
}
