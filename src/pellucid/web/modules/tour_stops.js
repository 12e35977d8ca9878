// Where the tour stops: each stop has a name (its texts are tour.<name>.title and .text) and the state it opens.

/** The first position of a piece in a list, such as "▁it"; 0 where there is none. */
const find = (pieces, piece) => Math.max(pieces?.indexOf(piece) ?? 0, 0);

export const STOPS = [
  {name: "translate", state: () => ({view: "translate"})},
  {name: "it", state: (trace) => ({view: "links", kind: "encoder", query: find(trace?.tokens.source_pieces, "▁it")})},
];
