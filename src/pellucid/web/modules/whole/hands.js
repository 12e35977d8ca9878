// The hands on the picture: what the pointer, two fingers, the wheel and the keys do with it. Read scene.js next.
import {around, moved, DEEPEST} from "pellucid/whole/camera";
import {isSame, linksFrom, middleOf, step} from "pellucid/whole/marks";

export const SPREAD = {usual: 7, least: 3, most: 26}; // pixels between the heads of a link that is pulled open
const OPENS_AFTER = 1.6; // of the logarithm of the scale that the wheel asks for beyond the deepest view
const FAR = 60; // pixels that a key moves the window

/** The handlers of gestures.js. */
export function gesturesOf(scene) {
  return {
    move: (at) => scene.point(scene.under(at)),
    leave: () => scene.point(null),
    press: (at) => {
      const mark = scene.under(at);
      scene.pulled = mark?.type === "link" ? {mark, length: 0} : null;
      scene.journey = null;
    },
    drag: ([dx, dy], at, how) => {
      if (scene.pulled && how !== "pan") return pull(scene, dx, dy);
      scene.look(moved(scene.camera, [dx, dy], scene.layout, scene.size));
      return scene.tellView();
    },
    release: (isClick, at) => {
      const pulled = scene.pulled;
      scene.pulled = null;
      if (pulled && !isClick) {
        if (scene.pin?.type !== "link" || !isSame(scene.pin, pulled.mark)) scene.choose(pulled.mark);
        return undefined;
      }
      if (!isClick) return undefined;
      scene.spread = SPREAD.usual;
      return scene.choose(scene.under(at));
    },
    double: (at) => {
      const {x, y, k} = scene.camera;
      scene.enter(scene.under(at), [x + at[0] / k, y + at[1] / k]);
    },
    zoom: (factor, at, isWheel) => {
      scene.insisted = isWheel && factor > 1 && scene.zoom > DEEPEST * 0.999 ? scene.insisted + Math.log(factor) : 0;
      const mark = scene.insisted > OPENS_AFTER ? scene.under(at) : null;
      if (mark) {
        scene.insisted = 0;
        return scene.open(mark);
      }
      return scene.zoomBy(factor, at);
    },
    mayZoom: (event) =>
      event.ctrlKey || (scene.stage.contains(document.activeElement) && (event.deltaY < 0 || scene.zoom > 1.01)),
  };
}

function pull(scene, dx, dy) {
  scene.pulled.length += Math.hypot(dx, dy);
  scene.spread = Math.min(Math.max(scene.pulled.length / 6, SPREAD.least), SPREAD.most);
  scene.headsOf(scene.pulled.mark.link);
  scene.spoil("over");
}

/** Whether the key was for the picture. */
export function pressKey(scene, {key, shiftKey}) {
  const now = scene.hover ??
    (scene.pin?.type === "link" ? null : scene.pin) ?? {type: "piece", stack: "encoder", row: 0};
  const pans = {ArrowLeft: [FAR, 0], ArrowRight: [-FAR, 0], ArrowUp: [0, FAR], ArrowDown: [0, -FAR]};
  const actions = {
    "+": () => scene.zoomBy(1.5, scene.screenOf(now)),
    "=": () => scene.zoomBy(1.5, scene.screenOf(now)),
    "-": () => scene.zoomBy(1 / 1.5, scene.screenOf(now)),
    0: () => scene.whole(),
    Enter: () => scene.open(scene.hover ?? now),
    p: () => (scene.isPlaying ? scene.pause() : scene.play()),
    ",": () => scene.goTo(scene.moment - 1),
    ".": () => scene.goTo(scene.moment + 1),
    " ": () => scene.choose(scene.hover ?? now),
    Escape: () => (scene.hover ? scene.point(null) : scene.choose(null)),
    l: () => nextLink(scene, now, 1),
    L: () => nextLink(scene, now, -1),
  };
  if (shiftKey && pans[key]) {
    scene.look(moved(scene.camera, pans[key], scene.layout, scene.size));
    scene.tellView();
  } else if (actions[key]) actions[key]();
  else if (/^(Arrow|Home$|End$)/.test(key)) {
    const from = now.type === "link" ? {type: "piece", stack: now.stack, row: now.row} : now;
    scene.point(scene.hover ? step(scene.layout, from, key) : now);
    bringIntoView(scene, scene.hover);
  } else return false;
  return true;
}

/** The links of an attention, the heaviest first, one after the other. */
function nextLink(scene, mark, by) {
  const of = mark.type === "link" ? scene.listed : linksFrom(scene.weights, mark);
  if (!of?.length) return;
  scene.listed = of;
  const at = mark.type === "link" ? of.findIndex((one) => isSame(one, mark)) + by : 0;
  scene.point(of[(at + of.length) % of.length]);
  bringIntoView(scene, scene.hover);
}

function bringIntoView(scene, mark) {
  const [px, py] = scene.screenOf(mark);
  const {width, height} = scene.size;
  const margin = Math.min(60, height / 4);
  if (px > margin && px < width - margin && py > margin && py < height - margin) return;
  scene.look(around(middleOf(scene.layout, mark), scene.zoom, scene.layout, scene.size));
  scene.tellView();
}
