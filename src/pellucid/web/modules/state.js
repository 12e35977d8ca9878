// The one shared selection: which view, model, sentence, layer, heads and cell are looked at.
// It lives in the address after "#", so that a link opens the same picture. Read data.js next.
import {useEffect, useState} from "pellucid/ui";

// What an address may leave out. Views may keep further keys of their own here; they are plain strings.
const DEFAULTS = {
  view: "translate",
  model: "",
  source: "",
  target: "",
  ids: "",
  edits: "",
  kind: "encoder",
  layer: null,
  heads: [],
  query: null,
  key: null,
  step: null,
  merge: false,
  lang: "",
};
const NUMBERS = new Set(["layer", "query", "key", "step"]);

/** Read a state out of an address fragment; what is malformed counts as left out. */
export function parseState(fragment) {
  const state = {...DEFAULTS};
  for (const [name, text] of new URLSearchParams(fragment.replace(/^#/, ""))) {
    if (name === "heads") {
      state.heads = text
        .split(",")
        .map(Number)
        .filter((head) => Number.isInteger(head) && head >= 0);
    } else if (NUMBERS.has(name)) {
      const number = Number(text);
      if (text !== "" && Number.isInteger(number) && number >= 0) state[name] = number;
    } else if (name === "merge") {
      state.merge = text === "1";
    } else {
      state[name] = text;
    }
  }
  return state;
}

/** Write a state as an address fragment, without what equals the defaults. */
export function formatState(state) {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) {
    const text = name === "heads" ? value.join(",") : name === "merge" ? (value ? "1" : "") : String(value ?? "");
    const usual = name === "heads" || name === "merge" ? "" : String(DEFAULTS[name] ?? "");
    if (text !== usual) parts.set(name, text);
  }
  return "#" + parts.toString();
}

const started = document.documentElement.dataset.start ?? "";
let current = parseState(location.hash.length > 1 ? location.hash : started);
let ownHash = location.hash;
const listeners = new Set();

export const getState = () => current;

/** Change some of the state. A change of view is a step that "back" undoes; other changes replace the address. */
export function setState(patch) {
  const next = {...current, ...patch};
  const fragment = formatState(next);
  const isStep = ["view", "source", "model", "edits"].some((name) => next[name] !== current[name]);
  current = next;
  if (fragment !== ownHash) {
    ownHash = fragment;
    try {
      history[isStep ? "pushState" : "replaceState"](null, "", fragment);
    } catch {
      // A page inside a sandboxed frame has no history of its own; the state then lives in memory alone.
    }
  }
  for (const listener of [...listeners]) listener();
}

function followAddress() {
  if (location.hash === ownHash) return;
  ownHash = location.hash;
  current = parseState(location.hash);
  for (const listener of [...listeners]) listener();
}

addEventListener("popstate", followAddress);
addEventListener("hashchange", followAddress);

/** The index that the address keeps under a name of a view's own, at most `length` - 1; `usual` where it has none. */
export const indexOf = (state, name, length, usual = 0) => Math.min(Number(state[name] || usual) || 0, length - 1);

/** What `read` returns, and a new drawing whenever one of the listeners in `set` is called. */
export function useListened(set, read) {
  const [value, setValue] = useState(read);
  useEffect(() => {
    const listener = () => setValue(read());
    listener(); // what changed between the first drawing and now
    set.add(listener);
    return () => set.delete(listener);
  }, []);
  return value;
}

/** The shared state, and a new drawing whenever it changes. */
export const useAppState = () => useListened(listeners, () => current);

// What the pointer is over, in any picture: {side: "source" | "target", position}, or null. Not in the address.
let hovered = null;
const hoverListeners = new Set();

export function setHover(next) {
  if (next?.side === hovered?.side && next?.position === hovered?.position) return;
  hovered = next;
  for (const listener of [...hoverListeners]) listener();
}

export const useHover = () => useListened(hoverListeners, () => hovered);

/** Whether the pointer is over a position, in whichever picture. */
export const isOver = (hover, side, position) => hover?.side === side && hover.position === position;
