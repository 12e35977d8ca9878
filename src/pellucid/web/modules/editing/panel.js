// Where a reader changes something: heads and sub-layers in the chapters of attention, pieces and words in the others.
// Read heads.js next.
import {html, useState} from "pellucid/ui";
import {isFile, ofModel, useData} from "pellucid/data";
import {addEdit, editsIn} from "pellucid/editing/list";
import {HeadsPanel} from "pellucid/editing/heads";
import {percent} from "pellucid/numbers";
import {setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {Chips, pieceLabel} from "pellucid/tokens";

const OF_ATTENTION = ["attention", "matrices", "heads", "links", "atlas"];

export function EditPanel({trace, model, state}) {
  const edits = isFile ? trace.provenance.edits : editsIn(state.edits ?? "");
  return html`<div class="edit-panel">
    ${isFile && html`<p class="hint">${t("editing.needs_model")}</p>`}
    ${
      OF_ATTENTION.includes(state.view)
        ? html`<${HeadsPanel} ...${{trace, model, state, edits}} />`
        : html`<${PiecesPanel} ...${{trace, model, state, edits}} />`
    }
  </div>`;
}

/** A chosen piece of the translation with its candidates, and the words of the source. */
function PiecesPanel({trace, state, model, edits}) {
  const {tokens, predictions} = trace;
  const {step} = state;
  const layers = model.config.num_decoder_layers;
  const [typed, type] = useState("");
  const vocabulary = useData(`${model.id} vocabulary`, () => ofModel(model, "vocabulary/target"));
  const piece = tokens.predicted_pieces[step];
  const force = (text) => addEdit(`step.${step}=${JSON.stringify(text)}`);
  const isEnd = step === tokens.predicted_pieces.length - 1;
  const candidates = predictions.top_ids[step].map((id, i) => ({
    id,
    piece: vocabulary.value?.[id] ?? predictions.top_pieces[step][i],
    probability: Math.exp(predictions.top_log_probabilities[step][i]),
  }));
  const submit = (event) => {
    event.preventDefault();
    const text = typed.trim();
    if (!text) return;
    type("");
    force(pieceOf(text, piece, vocabulary.value));
  };
  return html`
    <p>${t("editing.choose")}</p>
    <${Chips}
      pieces=${tokens.predicted_pieces} words=${tokens.target_words} side="target" name=${t("editing.pieces")}
      selected=${step} onSelect=${(position) => setState({step: position})}
    />
    <div class="edit-choices" role="group" aria-label=${t("editing.instead", {piece: pieceLabel(piece), step})}>
      <span class="choice-label">${t("editing.instead", {piece: pieceLabel(piece), step})}</span>
      ${candidates.map(
        (one) =>
          html`<button
          key=${one.id} type="button" disabled=${isFile || one.piece === piece} onClick=${() => force(one.piece)}
        >
          <bdi>${pieceLabel(one.piece)}</bdi> <small>${percent(one.probability)}</small>
        </button>`,
      )}
    </div>
    <form class="edit-typed" onSubmit=${submit}>
      <label>
        ${t("editing.type")} <input
          value=${typed} disabled=${isFile} autocomplete="off" spellcheck=${false}
          onInput=${(event) => type(event.currentTarget.value)}
        />
      </label>
      <button disabled=${isFile}>${t("editing.force")}</button>
      <button
        type="button" disabled=${isFile || isEnd} onClick=${() => addEdit(`ban=${JSON.stringify(piece)}`)}
      >
        ${t("editing.ban_this", {piece: pieceLabel(piece)})}
      </button>
    </form>
    <${Words} trace=${trace} edits=${edits} />
    <p>
      <button type="button" onClick=${() => setState({view: "heads", kind: "cross", layer: layers - 1, editing: "1"})}>
        ${t("editing.to_heads")}
      </button>
    </p>
  `;
}

/** The words of the source as they are before edits: a click drops one, and a second click brings it back. */
function Words({trace, edits}) {
  const [chosen, choose] = useState(null);
  const [typed, type] = useState("");
  // While words are edited, the words of the trace are others; the edits name those of the sentence before.
  const isEdited = edits.some((edit) => edit.startsWith("word."));
  const words = trace.tokens.source_words.filter(({start}) => !trace.special.source[start]);
  if (isEdited) return html`<p class="hint">${t("editing.word_undo")}</p>`;
  const word = chosen === null ? null : words[chosen];
  return html`
    <div class="edit-choices" role="group" aria-label=${t("editing.words")}>
      <span class="choice-label">${t("editing.words")}</span>
      ${words.map(
        ({text, start}, i) =>
          html`<button
          key=${start} type="button" disabled=${isFile} aria-pressed=${chosen === i} onClick=${() => choose(i)}
        >
          <bdi dir="auto">${text}</bdi>
        </button>`,
      )}
    </div>
    ${
      word &&
      html`<form
        class="edit-typed"
        onSubmit=${(event) => {
          event.preventDefault();
          if (typed.trim()) addEdit(`word.${chosen}=${JSON.stringify(typed.trim())}`);
        }}
      >
        <label>
          ${t("editing.word_instead", {word: word.text})} <input
            value=${typed} autocomplete="off" spellcheck=${false} onInput=${(event) => type(event.currentTarget.value)}
          />
        </label>
        <button>${t("editing.replace")}</button>
        <button type="button" onClick=${() => addEdit(`word.${chosen}=drop`)}>
          ${t("editing.drop_this", {word: word.text})}
        </button>
      </form>`
    }
  `;
}

const STARTS_TEXT = /^[\p{L}\p{N}]/u;

/** The piece for a typed word: after the space that the piece in its place has, or else as the vocabulary has it. */
function pieceOf(text, replaced, vocabulary) {
  if (!STARTS_TEXT.test(text)) return text;
  const forms = STARTS_TEXT.test(replaced) ? [text, `▁${text}`] : [`▁${text}`, text];
  return forms.find((form) => vocabulary?.includes(form)) ?? forms[0];
}
