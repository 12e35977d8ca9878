// How much room a picture has: the width of the element that holds it, followed as the window changes.
import {useLayoutEffect, useRef, useState} from "pellucid/ui";

/** [ref, width]: put the ref on an element; the width is its own in CSS pixels, `first` until it is known. */
export function useWidth(first = 640) {
  const ref = useRef(null);
  const [width, setWidth] = useState(first);
  useLayoutEffect(() => {
    const measure = () => ref.current && setWidth(Math.floor(ref.current.clientWidth));
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  return [ref, width];
}
