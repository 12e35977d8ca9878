// How much room a picture has: the width of the element that holds it, followed as it changes.
import {useLayoutEffect, useRef, useState} from "pellucid/ui";

const FIRST = 640; // until it is known

/**
 * [ref, width]: put the ref on an element, or give it to a Figure as its `frame`; the width is that of the element in
 * CSS pixels, `most` at most. The element must take its width from what surrounds it, never from what it holds.
 */
export function useWidth(most = Infinity) {
  const ref = useRef(null);
  const [width, setWidth] = useState(FIRST);
  useLayoutEffect(() => {
    const measure = () => {
      const found = Math.floor(ref.current?.clientWidth ?? 0);
      if (found > 0) setWidth(found); // 0 before the window is laid out: a picture has no such width
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  return [ref, Math.min(width, most)];
}
