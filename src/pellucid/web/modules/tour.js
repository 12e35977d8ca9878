// The guided tour: a few stops along the walkthrough, each a state of the page and a text beside it.
import {html, useEffect, useRef, useState} from "pellucid/ui";
import {about} from "pellucid/sentence";
import {getState, setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {isFile} from "pellucid/data";
import {STOPS as ALL, OTHER, SENTENCE, SETTINGS, TOP, figuresOf} from "pellucid/tour_stops";

// A file holds one sentence, so the stops that change it are left out there.
const STOPS = ALL.filter(({name}) => !isFile || !name.startsWith("wide"));

const MEASURED = new Set(["it", "wide_links", "wide_adjective", "wide_methods"]); // stops whose texts have figures

const MOVES = ["wheel", "touchmove", "pointerdown"];
const NARROW = "(max-width: 900px)"; // as in page.css: here the card is a sheet at the foot of the window

let open = () => {};

export const TourButton = ({label}) =>
  html`<button type="button" onClick=${() => open(0)}>${label ?? t("tour.start")}</button>`;

const DRAWN_WITHIN = 10_000; // milliseconds after everything has come

const MARGIN = 12; // pixels between the subject of a stop and the edges of what the card leaves free

/**
 * Scrolls so that the card hides nothing of what its text is about: the picture goes to the top of the window. Where
 * its subject would then lie under the card, or outside of the window, the subject goes to the middle of what is free.
 */
function show({subject}) {
  if (subject === TOP) return scrollTo({top: 0});
  const isNarrow = matchMedia(NARROW).matches;
  const parts = subject ? [...document.querySelectorAll(subject)] : [];
  const picture = parts[0]?.closest(".figure") ?? document.querySelector(".chapter .figure");
  const start = isNarrow || parts.length ? picture : document.querySelector(".chapter .controls, .chapter .figure");
  start?.scrollIntoView();
  const tour = document.querySelector(".tour"); // none for a moment when the tour has just ended
  if (!parts.length || !tour) return undefined;
  const card = tour.getBoundingClientRect();
  const boxes = parts.map((part) => part.getBoundingClientRect());
  const [top, bottom] = [Math.min(...boxes.map((box) => box.top)), Math.max(...boxes.map((box) => box.bottom))];
  const isUnder = isNarrow || boxes.some((box) => box.right > card.left && box.left < card.right);
  const free = isUnder ? card.top : innerHeight;
  if (bottom <= free - MARGIN) return undefined;
  scrollBy({top: top - Math.max((free - (bottom - top)) / 2, MARGIN)});
  return undefined;
}

/**
 * Shows the subject of a stop: at once, and again when all of the chapter has come and nothing above the picture grows
 * any more, unless the reader has moved meanwhile. Gives what ends it.
 */
function bringIntoView(stop) {
  let busyUntil = performance.now();
  const end = () => {
    clearInterval(timer);
    MOVES.forEach((name) => removeEventListener(name, end));
  };
  let isFirst = true;
  const timer = setInterval(() => {
    const isBusy = document.querySelector("main [aria-busy=true], main[aria-busy=true]") !== null;
    if (isBusy) busyUntil = performance.now();
    if (isFirst || !isBusy) show(stop);
    isFirst = false;
    // Code that comes when it is opened draws the subject later than the chapter.
    const isThere = !stop.subject || stop.subject === TOP || document.querySelector(stop.subject) !== null;
    if ((!isBusy && isThere) || performance.now() - busyUntil > DRAWN_WITHIN) end();
  }, 80);
  MOVES.forEach((name) => addEventListener(name, end, {passive: true}));
  return end;
}

/** The text of a stop, with the figures that were measured; without them, and where it has any, its other text. */
const textOf = (name, figures) =>
  t(figures || !MEASURED.has(name) ? `tour.${name}.text` : `tour.${name}.plain`, figures ?? {});

/** A card at the foot of the page; Escape leaves it, the arrow keys go on and back while it has the focus. */
export function Tour({trace, model, isWaiting}) {
  const [stop, setStop] = useState(null);
  const card = useRef(null);
  const [isFolded, fold] = useState(false);
  const before = useRef(null); // what had the focus, and gets it back
  const early = useRef([]); // stops that were opened while their sentence was still being translated
  const mine = useRef(null); // the state of the reader, whose sentence and settings come back in the end
  const go = (next) => {
    if (stop === null) {
      before.current = document.activeElement;
      mine.current = getState();
    }
    setStop(next);
    if (next === null) {
      before.current?.focus();
      early.current = [];
      const {source} = getState();
      const isOwn = ![SENTENCE, OTHER].includes(source); // typed during the tour
      const {source: own, target, ids, edits, editing} = mine.current;
      setState({
        ...(!isOwn && source !== own ? {...about(own, target), ids, edits} : {}),
        ...Object.fromEntries(SETTINGS.map((name) => [name, mine.current[name] ?? ""])),
        editing,
      });
      return;
    }
    if (isWaiting) early.current.push(next);
    setState({editing: "", ...STOPS[next].state(trace, model)});
  };
  useEffect(() => {
    if (isWaiting || !early.current.length) return;
    // "it" stands elsewhere in the sentence that has come now; which view and sentence it is, was right at once.
    const states = early.current.splice(0).map((one) => STOPS[one].state(trace, model));
    const {view, source, target, ...words} = Object.assign({}, ...states);
    setState(words);
  }, [trace, isWaiting]);
  open = go;
  useEffect(() => {
    if (stop === null) return undefined;
    card.current?.focus({preventScroll: true});
    return bringIntoView(STOPS[stop]);
  }, [stop]);
  if (stop === null) return null;
  const onKey = (event) => {
    if (event.key === "Escape") go(null);
    if (event.key === "ArrowRight" && stop + 1 < STOPS.length) go(stop + 1);
    if (event.key === "ArrowLeft" && stop > 0) go(stop - 1);
  };
  return html`
    <aside class="tour" role="dialog" aria-label=${t("tour.name")} tabindex="-1" ref=${card} onKeyDown=${onKey}>
      <header>
        <span class="count">${t("tour.count", {n: stop + 1, all: STOPS.length})}</span>
        <h3>${t(`tour.${STOPS[stop].name}.title`)}</h3>
        <button
          class="fold" aria-expanded=${!isFolded} aria-label=${t(isFolded ? "tour.unfold" : "tour.fold")}
          onClick=${() => fold(!isFolded)}
        >
          ${isFolded ? "▴" : "▾"}
        </button>
      </header>
      ${
        !isFolded &&
        html`<div class="tour-text" tabindex="0" key=${stop}>
          <p>${textOf(STOPS[stop].name, figuresOf(model))}</p>
          ${model && !model.is_walkthrough && html`<p class="hint">${t("tour.other")}</p>`}
        </div>`
      }
      <p class="tour-buttons">
        <button disabled=${stop === 0} onClick=${() => go(stop - 1)}>${t("tour.back")}</button>
        <button disabled=${stop + 1 === STOPS.length} onClick=${() => go(stop + 1)}>${t("tour.next")}</button>
        <button onClick=${() => go(null)}>${t("tour.end")}</button>
      </p>
    </aside>
  `;
}
