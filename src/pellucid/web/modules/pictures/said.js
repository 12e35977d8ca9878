// A sentence about a picture, in which pieces are linked to it: the pointer on one shows where it stands.
import {html} from "pellucid/ui";
import {setHover} from "pellucid/state";

const [MARK, BETWEEN] = ["\u0001", "\u0002"]; // no text has them

/** A piece for a text, linked to its place: `t(key, {piece: linked("·it", "source", 3)})`, drawn by `Said`. */
export const linked = (text, side, position) => MARK + [side, position, text].join(BETWEEN) + MARK;

/** text: a sentence with linked pieces */
export const Said = ({text}) =>
  text.split(MARK).map((part, i) => {
    if (i % 2 === 0) return part;
    const [side, position, words] = part.split(BETWEEN);
    const over = () => setHover({side, position: Number(position)});
    return html`<span key=${i} class="said-piece" onPointerEnter=${over} onPointerLeave=${() => setHover(null)}>
      ${words}
    </span>`;
  });
