// What is said of the thing under the pointer: under its picture or, while that place is out of sight, at the foot of
// the window. A picture may be taller than the window, and its reader looks at the pointer.
import {html, useLayoutEffect, useRef, useState} from "pellucid/ui";

/** children: the words, or a hint; isSaid: whether they are of something that is pointed at */
export function Spoken({isSaid, children}) {
  const place = useRef(null);
  const [isAfloat, float] = useState(false);
  useLayoutEffect(() => {
    const {top, bottom} = place.current.getBoundingClientRect();
    float(Boolean(isSaid) && (bottom > innerHeight || top < 0));
  });
  return html`<div class="matrix-says" ref=${place}>
    <output class=${isAfloat ? "afloat" : ""} aria-live="polite">${children}</output>
  </div>`;
}
