// The pointer, the wheel and two fingers on an element, as calls of a few handlers. Read scene.js next.

const CLICK = 5; // pixels that a pointer may move in a click
const WHEEL = 0.0022; // of the logarithm of the scale for each pixel of the wheel
const LINE = 16; // pixels of a line of the wheel

/**
 * handlers: move([x, y]), leave(), press([x, y]) -> "pan" or anything else that is dragged, drag([dx, dy], [x, y]),
 * release(isClick, [x, y]), double([x, y]), zoom(factor, [x, y]), mayZoom(event)
 */
export function listen(element, handlers) {
  const pointers = new Map();
  let start = null; // of the first pointer
  let spread = null; // between two
  const at = (event) => {
    const box = element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const middle = () => {
    const [[ax, ay], [bx, by]] = [...pointers.values()];
    return {distance: Math.hypot(ax - bx, ay - by), at: [(ax + bx) / 2, (ay + by) / 2]};
  };
  const on = {
    pointerdown(event) {
      if (event.button) return;
      pointers.set(event.pointerId, at(event));
      element.setPointerCapture(event.pointerId);
      if (pointers.size === 2) spread = middle();
      else if (pointers.size === 1) {
        start = at(event);
        handlers.press(start);
      }
    },
    pointermove(event) {
      const [before, now] = [pointers.get(event.pointerId), at(event)];
      if (!before) return handlers.move(now);
      pointers.set(event.pointerId, now);
      if (pointers.size === 2) {
        const next = middle();
        handlers.drag([next.at[0] - spread.at[0], next.at[1] - spread.at[1]], next.at, "pan");
        handlers.zoom(next.distance / spread.distance, next.at);
        spread = next;
        start = null;
        return undefined;
      }
      return handlers.drag([now[0] - before[0], now[1] - before[1]], now);
    },
    pointerup(event) {
      if (!pointers.delete(event.pointerId)) return;
      const now = at(event);
      const isClick = start !== null && Math.hypot(now[0] - start[0], now[1] - start[1]) < CLICK;
      if (pointers.size === 0) handlers.release(isClick && event.type === "pointerup", now);
    },
    pointerleave() {
      if (!pointers.size) handlers.leave();
    },
    dblclick: (event) => handlers.double(at(event)),
    wheel(event) {
      if (!handlers.mayZoom(event)) return;
      event.preventDefault();
      // Two fingers on a touchpad arrive as a wheel with Ctrl and small steps.
      const isPinch = event.ctrlKey && Math.abs(event.deltaY) < 30;
      const pixels = event.deltaY * (event.deltaMode === 1 ? LINE : 1) * (isPinch ? 4 : 1);
      handlers.zoom(Math.exp(-pixels * WHEEL), at(event), true);
    },
  };
  on.pointercancel = on.pointerup;
  for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener, {passive: false});
  return () => {
    for (const [name, listener] of Object.entries(on)) element.removeEventListener(name, listener);
  };
}
