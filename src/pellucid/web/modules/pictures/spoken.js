// What is said of the thing under the pointer: under its picture or, while that place is out of sight, at the foot of
// the window. A picture may be taller than the window, and its reader looks at the pointer.
import {html, useLayoutEffect, useRef, useState} from "pellucid/ui";

const LINE = 34; // pixels

/** children: the words, or a hint; isSaid: whether they are of something that is pointed at */
export function Spoken({isSaid, children}) {
  const place = useRef(null);
  const [isAfloat, float] = useState(false);
  useLayoutEffect(() => {
    // Once for each thing that is pointed at, and by the top alone: the place is lower while its words are elsewhere.
    const {top} = place.current.getBoundingClientRect();
    float(Boolean(isSaid) && (top < 0 || top + LINE > innerHeight));
  }, [isSaid]);
  return html`<div class="matrix-says" ref=${place}>
    <output class=${isAfloat ? "afloat" : ""} aria-live="polite">${children}</output>
  </div>`;
}
