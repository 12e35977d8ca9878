// The names of what a trace holds, as in the Python code and docs/concepts/model.md. Read pictures/matrix.js next.

/** The three uses of attention (Vaswani et al. 2017, section 3.2.3), by their short names in the address. */
export const KINDS = ["encoder", "decoder", "cross"];

const LONG = {encoder: "encoder.self_attention", decoder: "decoder.self_attention", cross: "decoder.cross_attention"};

/** "decoder.cross_attention" for "cross". */
export const longKind = (kind) => LONG[kind];

/** The place of an attention: "decoder.3.cross_attention" for ("cross", 3). */
export function place(kind, layer) {
  const [stack, attention] = LONG[kind].split(".");
  return `${stack}.${layer}.${attention}`;
}

/** Where its parameters are: "decoder.layers.3.cross_attention". */
export const parameters = (kind, layer) => place(kind, layer).replace(/^(\w+)\./, "$1.layers.");

export const stackOf = (kind) => (kind === "encoder" ? "encoder" : "decoder");

export const depthOf = (kind, config) => (kind === "encoder" ? config.num_encoder_layers : config.num_decoder_layers);

/** The stacks, and the sub-layers of one layer of each in the order of the pass. */
export const STACKS = ["encoder", "decoder"];
export const SUBLAYERS = {
  encoder: ["self_attention", "feed_forward"],
  decoder: ["self_attention", "cross_attention", "feed_forward"],
};

/**
 * The sites of a sub-layer: what comes in, the x that its matrices are applied to, what it adds, the sum, the norm, and
 * what the norm is of; and the parameters of the norm.
 */
export function sitesOf({stack, layer, name}, {norm_order: order}) {
  const isPre = order === "pre";
  const at = `${stack}.${layer}`;
  const before = SUBLAYERS[stack][SUBLAYERS[stack].indexOf(name) - 1];
  const entry = before === undefined ? `${at}.input` : `${at}.${before}_${isPre ? "residual" : "norm"}`;
  const [sum, norm] = [`${at}.${name}_residual`, `${at}.${name}_norm`];
  return {
    entry,
    x: isPre ? norm : entry,
    output: `${at}.${name}.output`,
    sum,
    norm,
    normed: isPre ? entry : sum,
    parameters: `${stack}.layers.${layer}.${name}_norm`,
  };
}

/** The vectors that become queries, and those that become keys and values: site names. */
export function inputsOf(kind, layer, config) {
  const [stack, name] = LONG[kind].split(".");
  const {x} = sitesOf({stack, layer, name}, config);
  return {queries: x, memory: kind === "cross" ? "encoder.output" : x};
}

/** Which side of the sentence rows and columns stand for: {rows, columns}, each "source" or "target". */
export const sidesOf = (kind) => ({
  rows: kind === "encoder" ? "source" : "target",
  columns: kind === "decoder" ? "target" : "source",
});

/** Labels of the rows and columns of an attention; a decoder row was fed one piece and predicts another. */
export function labelsOf(kind, tokens) {
  const rows = kind === "encoder" ? tokens.source_pieces : tokens.fed_pieces;
  const columns = kind === "decoder" ? tokens.fed_pieces : tokens.source_pieces;
  return {rows, columns, predicts: kind === "encoder" ? null : tokens.predicted_pieces};
}

/** All layers' sub-layers in the order of the pass: [{stack, layer, name}]. */
export const sublayers = (config) =>
  STACKS.flatMap((stack) =>
    Array.from({length: depthOf(stack, config)}, (_, layer) =>
      SUBLAYERS[stack].map((name) => ({stack, layer, name})),
    ).flat(),
  );
