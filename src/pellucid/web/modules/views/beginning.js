// Where a chapter begins until its reader chooses: at the word that the story is about, at the step that writes it, and
// at a layer that shows something. Nothing of this stands in the address; what a reader chooses does.
import {isFile, site, useData} from "pellucid/data";
import {ranking, total} from "pellucid/numbers";
import {KINDS, depthOf, place} from "pellucid/sites";
import {pronounOf, writerOf} from "pellucid/tour_stops";

/** The position of "it" in the source; -1 where the sentence has none. */
const itOf = ({tokens}) => tokens.source_words.find(({text}) => text.toLowerCase() === "it")?.start ?? -1;

/** The source piece to begin with: "it", or else the first piece of the longest word, since short ones say little. */
export function firstWord(trace) {
  const it = itOf(trace);
  if (it >= 0) return it;
  const words = trace.tokens.source_words.filter(({start}) => !trace.special.source[start]);
  return words[ranking(words.map(({text}) => text.length))[0]]?.start ?? 0;
}

/** The step to begin with: the one that writes the pronoun for "it", or else that of which the model was least sure. */
export function firstStep(trace) {
  const pronoun = itOf(trace) < 0 ? -1 : pronounOf(trace);
  return pronoun < 0 ? (ranking(trace.predictions?.target_log_probability ?? []).at(-1) ?? 0) : pronoun;
}

/** The row of an attention that is looked at: the one that was chosen, or the one to begin with. */
export function rowOf(state, trace) {
  if (state.query !== null) return state.query;
  return state.kind === "encoder" ? firstWord(trace) : state.step;
}

const SHOWS_LINES = {links: (state) => kindOf(state), decoder: () => "cross"};

const kindOf = ({kind}) => (KINDS.includes(kind) ? kind : "encoder");

/** The layer whose heads are the most certain where a chapter begins: there the lines are few and heavy. */
async function decidedLayer(trace, model, kind) {
  const row = kind === "encoder" ? firstWord(trace) : firstStep(trace);
  const layers = Array.from({length: depthOf(kind, model.config)}, (_, layer) => `${place(kind, layer)}.weights`);
  const weights = await Promise.all(layers.map((name) => site(trace, name, {row})));
  return ranking(weights.map(({data}) => total(data.map((weight) => weight * Math.log(weight || 1)))))[0];
}

/**
 * The layer of a chapter, as an answer of useData: the chosen one, or the one to begin with. Chapters that follow the
 * pass begin with layer 0. Those that show who looks at whom begin where it shows: for the story in cross-attention,
 * where the head is without which the pronoun loses most, and otherwise in the layer whose heads are the most certain.
 */
export function useLayer(state, trace, model) {
  const kind = SHOWS_LINES[state.view]?.(state);
  const isMeasured = kind === "cross" && model.story && itOf(trace) >= 0 && pronounOf(trace) >= 0;
  const known = state.layer ?? (kind === undefined || isFile ? 0 : isMeasured ? writerOf(model).layer : null);
  const decided = useData(known === null ? `${trace.id} first ${kind}` : null, () => decidedLayer(trace, model, kind));
  if (known !== null) return {value: known, error: null, isLoading: false};
  return decided;
}

/** The state, with values that this model or sentence does not have replaced by valid ones. */
export function within(state, trace, model) {
  const kind = kindOf(state);
  const {
    source_pieces: {length: sources},
    fed_pieces: {length: targets},
  } = trace.tokens;
  const inside = (index, length) => (index !== null && index < length ? index : null);
  return {
    ...state,
    kind,
    layer: Math.min(state.layer, depthOf(state.view === "decoder" ? "cross" : kind, model.config) - 1),
    heads: state.heads.filter((head) => head < model.config.num_heads),
    query: inside(state.query, kind === "encoder" ? sources : targets),
    key: inside(state.key, kind === "decoder" ? targets : sources),
    step: Math.min(state.step ?? firstStep(trace), targets - 1),
    isFirstStep: state.step === null, // nobody has chosen one
  };
}
