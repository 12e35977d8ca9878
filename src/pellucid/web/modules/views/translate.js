// The black box: a sentence in, a sentence out, and what can be seen from outside. The walkthrough begins with its
// story: two sentences that differ in one word, and a pronoun that flips.
import {html} from "pellucid/ui";
import {isFile, otherTrace, useData} from "pellucid/data";
import {Figure} from "pellucid/pictures/figure";
import {Said, linked} from "pellucid/pictures/said";
import {percent, ranking} from "pellucid/numbers";
import {about} from "pellucid/sentence";
import {setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {Chips, pieceName} from "pellucid/tokens";
import {TourButton} from "pellucid/tour";
import {lazy} from "pellucid/views/lazy";

const Whole = lazy("whole", () => import("pellucid/whole/whole"), "Whole");

const UNSURE = 0.5; // below it, a piece is marked and its probability stands under it

export function TranslateView({trace, model, state, editing}) {
  const {tokens, predictions} = trace;
  const probabilities = predictions.target_log_probability.map(Math.exp);
  const least = ranking(probabilities).at(-1);
  const isShown = (p) => state["translate.all"] === "1" || p < UNSURE;
  const table = () => ({
    columns: [t("word.position"), t("word.piece"), t("word.id"), t("word.probability")],
    rows: tokens.predicted_pieces.map((piece, i) => [i, piece, tokens.predicted_ids[i], probabilities[i]]),
  });
  const isStory = model.is_walkthrough && !isFile && !state.target && model.examples.slice(0, 2).includes(trace.source);
  return html`
    ${isStory && html`<${Pair} ...${{trace, model}} />`} ${editing}
    <${Whole} ...${{trace, model, state}} />
    <${Figure}
      name="black-box" title=${t("translate.figure")} provenance=${trace.provenance} table=${table}
      says=${html`<${Said} text=${t("translate.says", {
        sources: tokens.source_pieces.length,
        targets: tokens.predicted_pieces.length,
        piece: linked(pieceName(tokens.predicted_pieces[least]), "target", least),
        least: percent(probabilities[least]),
      })} />`}
    >
      <div class="black-box">
        <${Chips}
          pieces=${tokens.source_pieces} words=${tokens.source_words} side="source" name=${t("sentence.source")}
          onSelect=${(position) =>
            setState({view: "embeddings", "embeddings.side": "", "embeddings.position": String(position)})}
        />
        <button class="box" type="button" onClick=${() => setState({view: "stack"})}>
          <span>${model.name}</span>
          <small>
            ${t("translate.layers", {
              encoder: model.config.num_encoder_layers,
              decoder: model.config.num_decoder_layers,
            })}
          </small>
          <small>${t("translate.open")} →</small>
        </button>
        <${Chips}
          pieces=${tokens.predicted_pieces} words=${tokens.target_words} side="target" name=${t("sentence.translation")}
          notes=${probabilities.some(isShown) ? probabilities.map((p) => (isShown(p) ? percent(p) : "")) : null}
          marks=${probabilities.map((p) => (p < UNSURE ? "doubtful" : ""))}
          onSelect=${(step) => setState({view: "decoder", step})}
        />
      </div>
      <label class="switch">
        <input
          type="checkbox" checked=${state["translate.all"] === "1"}
          onChange=${(event) => setState({"translate.all": event.currentTarget.checked ? "1" : ""})}
        /> ${t("translate.all")}
      </label>
    <//>
    <p class="examples">
      <span>${t("translate.examples")}</span> ${model.examples.map(
        (text) => html`
          <button key=${text} onClick=${() => setState(about(text))}>
            <bdi dir="auto">${text}</bdi>
          </button>
        `,
      )}
    </p>
  `;
}

/** The parts of a text that can differ: words, elided words such as "qu'" apart, and what stands between them. */
const partsOf = (text) => text.match(/[\p{L}\p{N}]+['’]?|[^\p{L}\p{N}]/gu) ?? [];

/** A text in which the words that another text has otherwise are marked; none where the texts differ in length. */
export function Marked({text, beside}) {
  const [own, other] = [partsOf(text), partsOf(beside)];
  if (own.length !== other.length) return text;
  return own.map((part, i) => (part === other[i] ? part : html`<mark key=${i}>${part}</mark>`));
}

/** Both sentences of the story with their translations; a click brings the page to one of them. */
function Pair({trace, model}) {
  const sources = model.examples.slice(0, 2);
  const other = sources.find((source) => source !== trace.source);
  // The story is about the model itself: what the reader's edits make of the sentence stands above it.
  const isEdited = trace.provenance.edits.length > 0;
  const wanted = isEdited ? sources : [other];
  const {value, error, isLoading} = useData(`${model.id} beside ${wanted.join("\n")}`, () =>
    Promise.all(wanted.map((source) => otherTrace({model: model.id, source}))),
  );
  const texts = sources.map((source) =>
    wanted.includes(source) ? value?.find((one) => one.source === source)?.text : trace.text,
  );
  if (error) return null; // the sentence of the page stands without the other one
  return html`<section class="pair" aria-label=${t("pair.title")} aria-busy=${isLoading}>
    <p class="pair-title">${t("pair.title")}</p>
    ${sources.map(
      (source, i) => html`
        <button
          key=${source} type="button" aria-pressed=${!isEdited && source === trace.source}
          onClick=${() => setState(about(source))}
        >
          <span lang="en"><${Marked} text=${source} beside=${sources[1 - i]} /></span>
          <span class="pair-text" lang="fr">
            ${texts[i] === undefined ? "…" : html`<${Marked} text=${texts[i]} beside=${texts[1 - i] ?? ""} />`}
          </span>
        </button>
      `,
    )}
    <p class="pair-more">
      ${t("pair.text")} ${isEdited && `${t("pair.unedited")} `}<${TourButton} label=${t("pair.tour")} /> <button
        type="button" onClick=${() => setState({view: "compare", "compare.source": other, "compare.model": ""})}
      >
        ${t("pair.compare")}
      </button>
    </p>
  </section>`;
}
