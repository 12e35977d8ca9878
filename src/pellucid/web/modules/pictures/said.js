// A sentence about a picture, in which the pieces that it names are linked to it: the pointer on one shows where it
// stands. A name that stands at several places, or on both sides, is no link.
import {html, useMemo} from "pellucid/ui";
import {setHover} from "pellucid/state";
import {pieceLabel, pieceName, pieceText} from "pellucid/tokens";

/** The place of every name of a piece: "·it" -> {side, position}, or null where there are several. */
function placesOf({source_pieces: source, fed_pieces: fed}) {
  const places = new Map();
  const sides = {source, target: fed};
  for (const side of Object.keys(sides))
    sides[side].forEach((piece, position) => {
      for (const name of new Set([pieceText(piece), pieceLabel(piece), pieceName(piece)]))
        places.set(name, places.has(name) ? null : {side, position});
    });
  return places;
}

/** text: a sentence with pieces in quotation marks; tokens: those of the trace */
export function Said({text, tokens}) {
  const places = useMemo(() => placesOf(tokens), [tokens]);
  return text.split(/“([^“”]*)”/).map((part, i) => {
    const place = i % 2 ? places.get(part) : null;
    if (!place) return i % 2 ? `“${part}”` : part;
    const over = {onPointerEnter: () => setHover(place), onPointerLeave: () => setHover(null)};
    return html`“<span key=${i} class="said-piece" ...${over}>${part}</span>”`;
  });
}
