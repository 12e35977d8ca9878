// What part of the picture is in view: {x, y, k}, the world's point in the upper left corner and the pixels of a unit.
// All functions are pure; `size` is {width, height} of the window in pixels. Read gestures.js next.

export const DEEPEST = 22; // times as large as when all of it is in view

/** The view of everything, in the middle. */
export function wholeView(layout, size) {
  const k = Math.min(size.width / layout.width, size.height / layout.height);
  return inside({x: 0, y: 0, k}, layout, size);
}

const fitOf = (layout, size) => Math.min(size.width / layout.width, size.height / layout.height);

/** The same view within the limits: never smaller than everything, never beyond the edges. */
export function inside({x, y, k}, layout, size) {
  const fit = fitOf(layout, size);
  const scale = Math.min(Math.max(k, fit), fit * DEEPEST);
  const along = (at, world, window) => {
    const seen = window / scale;
    return seen >= world ? (world - seen) / 2 : Math.min(Math.max(at, 0), world - seen);
  };
  return {x: along(x, layout.width, size.width), y: along(y, layout.height, size.height), k: scale};
}

/** Larger by a factor, where the point under (px, py) stays where it is. */
export function zoomed(camera, factor, [px, py], layout, size) {
  const fit = fitOf(layout, size);
  const k = Math.min(Math.max(camera.k * factor, fit), fit * DEEPEST);
  const at = {x: camera.x + px / camera.k - px / k, y: camera.y + py / camera.k - py / k, k};
  return inside(at, layout, size);
}

export const moved = (camera, [dx, dy], layout, size) =>
  inside({...camera, x: camera.x - dx / camera.k, y: camera.y - dy / camera.k}, layout, size);

/** A view with a point of the world in its middle, `zoom` times as large as the whole. */
export function around([x, y], zoom, layout, size) {
  const k = fitOf(layout, size) * zoom;
  return inside({x: x - size.width / k / 2, y: y - size.height / k / 2, k}, layout, size);
}

/** How many times as large as the whole. */
export const zoomOf = (camera, layout, size) => camera.k / fitOf(layout, size);

/** For the address: the middle as shares of the world, and the zoom; nothing for the whole. */
export function viewText(camera, layout, size) {
  const zoom = zoomOf(camera, layout, size);
  if (zoom < 1.001) return "";
  const middle = [
    (camera.x + size.width / camera.k / 2) / layout.width,
    (camera.y + size.height / camera.k / 2) / layout.height,
  ];
  return [...middle.map((share) => share.toFixed(4)), zoom.toFixed(3)].join("_");
}

/** The view of an address; the whole where it names none. */
export function viewNamed(text, layout, size) {
  const [x, y, zoom] = (text ?? "").split("_").map(Number);
  if (![x, y, zoom].every(Number.isFinite) || !text) return wholeView(layout, size);
  return around([x * layout.width, y * layout.height], Math.min(Math.max(zoom, 1), DEEPEST), layout, size);
}

/** Between two views; the scale changes by equal factors. */
export function between(from, to, share) {
  const k = from.k * (to.k / from.k) ** share;
  // Where the scale changes, the middle moves so that the journey looks straight.
  const done = Math.abs(to.k - from.k) < 1e-9 ? share : (1 / k - 1 / from.k) / (1 / to.k - 1 / from.k);
  return {x: from.x + (to.x - from.x) * done, y: from.y + (to.y - from.y) * done, k};
}
