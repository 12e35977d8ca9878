// Where the tour stops: each stop has a name (its texts are tour.<name>.title and .text), the state that it opens, and
// its subject: a selector of all that its text is about, which the card must not hide.
// The tour is about one sentence, in which only the last word tells what "it" is.
import {percent, short} from "pellucid/numbers";

export const SENTENCE = "The animal didn't cross the street because it was too tired.";
export const OTHER = SENTENCE.replace("tired", "wide");

/** The subject of a stop that begins at the top of the page, with the sentence. */
export const TOP = "top";

const LINK = ".unit.pinned, .links line"; // the word that looks, and the lines from it

/** The first position of a piece in a list, such as "▁it"; 0 where there is none. */
const find = (pieces, piece) => Math.max(pieces?.indexOf(piece) ?? 0, 0);

/** The position of "it" in what the encoder reads. */
const it = (trace) => find(trace?.tokens.source_pieces, "▁it");

const PRONOUNS = ["il", "elle", "▁il", "▁elle"];

/** The step that writes the French pronoun; -1 where none does. */
export const pronounOf = (trace) => trace?.tokens.predicted_pieces.findIndex((piece) => PRONOUNS.includes(piece)) ?? -1;

const pronoun = (trace) => Math.max(pronounOf(trace), 0);

/** The sentence, for a model that reads English; others keep theirs. */
const about = (source, model) => (model?.languages[0] === "en" ? {source, target: ""} : {});

/**
 * The head of the decoder without which the pronoun loses most, as it was measured ({layer, head}); of a model that was
 * not measured, the first.
 */
export const writerOf = (model) => model?.story?.writer ?? {layer: 0, head: 0};

/** Where the decoder looks in the source when it writes the pronoun. */
export const atPronoun = (trace, model) => ({
  view: "links",
  kind: "cross",
  layer: writerOf(model).layer,
  heads: [writerOf(model).head],
  query: pronoun(trace),
  key: null,
  merge: false,
});

export const STOPS = [
  {name: "translate", subject: TOP, state: (trace, model) => ({view: "translate", ...about(SENTENCE, model)})},
  {
    name: "stack",
    subject: "[data-figure=stack] svg > g:first-of-type > .stack-name", // the top of the encoder, beside the decoder
    state: () => ({view: "stack"}),
  },
  {
    name: "embeddings",
    state: (trace) => ({view: "embeddings", "embeddings.side": "", "embeddings.position": String(it(trace))}),
  },
  {name: "positions", state: () => ({view: "positions", "positions.layout": ""})},
  {
    name: "attention",
    state: (trace) => ({view: "attention", kind: "encoder", layer: 0, heads: [0], query: it(trace), key: null}),
  },
  {
    name: "matrices",
    state: (trace) => ({view: "matrices", kind: "encoder", layer: 0, heads: [0], query: it(trace), key: null}),
  },
  {
    name: "heads",
    state: (trace) => ({view: "heads", kind: "encoder", layer: 0, heads: [], query: it(trace), key: null}),
  },
  {name: "it", subject: LINK, state: atPronoun},
  {name: "atlas", state: () => ({view: "atlas"})},
  {
    name: "residual",
    state: (trace) => ({
      view: "residual",
      "residual.block": "encoder.0.self_attention",
      "residual.position": String(it(trace)),
    }),
  },
  {
    name: "feed_forward",
    state: (trace) => ({
      view: "feed_forward",
      kind: "encoder",
      layer: 0,
      query: it(trace),
      key: null,
      "feed_forward.unit": "",
      "feed_forward.from": "",
    }),
  },
  {
    name: "decoder",
    subject: "[data-figure=decoder-cross] .matrix-picture",
    state: (trace, model) => ({view: "decoder", step: pronoun(trace), layer: writerOf(model).layer}),
  },
  {name: "softmax", state: (trace) => ({view: "softmax", step: pronoun(trace), "softmax.id": ""})},
  {
    name: "targets",
    subject: "[data-figure=output-rows] .matrix-picture",
    state: () => ({view: "targets", "targets.step": "0"}),
  },
  {name: "wide", subject: TOP, state: (trace, model) => ({view: "translate", ...about(OTHER, model)})},
  {name: "wide_links", subject: LINK, state: atPronoun},
  {
    name: "wide_adjective",
    subject: LINK,
    state: (trace, model) => ({
      view: "links",
      kind: "encoder",
      layer: model?.story?.adjective.layer ?? 0,
      heads: [model?.story?.adjective.head ?? 0],
      query: find(trace?.tokens.source_pieces, "▁wide"),
      key: null,
    }),
  },
  {
    name: "wide_methods",
    subject: "[data-figure=head-effects-cross] .matrix-picture",
    state: (trace, model) => ({...atPronoun(trace, model), step: pronoun(trace), editing: "1"}),
  },
  {
    name: "wide_why",
    subject: "[data-figure=why] .why-parts:first-of-type",
    state: (trace) => ({
      view: "why",
      "why.show": "",
      "why.method": "",
      "why.id": "",
      "why.against": ["elle", "▁elle"].includes(trace?.tokens.predicted_pieces[pronoun(trace)]) ? "il" : "",
      step: pronoun(trace),
    }),
  },
  {
    name: "wide_compare",
    subject: "[data-figure=compare-texts] .says",
    state: () => ({view: "compare", "compare.source": SENTENCE, "compare.model": "", "compare.same": ""}),
  },
];

/** The settings of chapters that stops change: names of the state that have a dot. */
export const SETTINGS = [...new Set(STOPS.flatMap(({state}) => Object.keys(state())))].filter((name) =>
  /\./.test(name),
);

/** What the texts of the tour tell of the measured model; null of another, which has texts without figures. */
export function figuresOf(model) {
  if (!model?.story) return null;
  const {story} = model;
  const {writer, adjective, methods} = story;
  const shares = Object.entries({
    it_choice: story.it.choice,
    overturned: story.most_overturned,
    alti_noun: methods.alti_logit.noun_over_other,
    alti_largest: methods.alti_logit.noun_largest,
    zeroing_noun: methods.value_zeroing.noun_over_other,
    zeroing_largest: methods.value_zeroing.noun_largest,
  }).map(([name, share]) => [name, percent(share, 2)]);
  return {
    sentences: story.sentences,
    switched_off: story.switched_off,
    writer_layer: writer.layer,
    writer_head: writer.head,
    writer_loss: short(writer.mean, 3),
    adjective_layer: adjective.layer,
    adjective_head: adjective.head,
    referent: short(adjective.referent, 2),
    other: short(adjective.other, 2),
    ...Object.fromEntries(shares),
    ...Object.fromEntries(
      ["tired", "wide", "brought"].flatMap((name) => [
        [`${name}_word`, story[name].word],
        [`${name}_weight`, story[name].weight],
      ]),
    ),
  };
}
