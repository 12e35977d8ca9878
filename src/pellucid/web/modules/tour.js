// The guided tour: a few stops along the walkthrough, each a state of the page and a text beside it.
import {html, useEffect, useRef, useState} from "pellucid/ui";
import {setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {isFile} from "pellucid/data";
import {STOPS as ALL} from "pellucid/tour_stops";

// A file holds one sentence, so the stops that change it are left out there.
const STOPS = ALL.filter(({name}) => !isFile || !name.startsWith("wide"));

const MOVES = ["wheel", "touchmove", "pointerdown"];
const NARROW = "(max-width: 900px)"; // as in page.css: here the card is a sheet at the foot of the window

let open = () => {};

export const TourButton = () => html`<button onClick=${() => open(0)}>${t("tour.start")}</button>`;

const DRAWN_WITHIN = 10_000; // milliseconds

/**
 * The card lies over the foot of the window, so the picture goes to its top: at once, and again when all of the chapter
 * has come and nothing above the picture grows any more, unless the reader has moved meanwhile. Gives what ends it.
 */
function bringIntoView() {
  const show = () =>
    document
      .querySelector(matchMedia(NARROW).matches ? ".chapter .figure" : ".chapter .controls, .chapter .figure")
      ?.scrollIntoView();
  const began = performance.now();
  const end = () => {
    clearInterval(timer);
    MOVES.forEach((name) => removeEventListener(name, end));
  };
  let isFirst = true;
  const timer = setInterval(() => {
    const isBusy = document.querySelector("main [aria-busy=true], main[aria-busy=true]") !== null;
    if (isFirst || !isBusy) show();
    isFirst = false;
    if (!isBusy || performance.now() - began > DRAWN_WITHIN) end();
  }, 80);
  MOVES.forEach((name) => addEventListener(name, end, {passive: true}));
  return end;
}

/** A card at the foot of the page; Escape leaves it, the arrow keys go on and back while it has the focus. */
export function Tour({trace, model, isWaiting}) {
  const [stop, setStop] = useState(null);
  const card = useRef(null);
  const [isFolded, fold] = useState(false);
  const before = useRef(null); // what had the focus, and gets it back
  const early = useRef([]); // stops that were opened while their sentence was still being translated
  const go = (next) => {
    if (stop === null) before.current = document.activeElement;
    if (next === null) before.current?.focus();
    setStop(next);
    if (next === null) return;
    if (isWaiting) early.current.push(next);
    setState(STOPS[next].state(trace, model));
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
    return bringIntoView();
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
          <p>${t(`tour.${STOPS[stop].name}.text`)}</p>
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
