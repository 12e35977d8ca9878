// The picture at work: it holds what is shown and from where, and paints a frame only when something has changed.
// It knows no Preact; whole.js puts it on the page. Read layout.js for the places, paint.js for the painting.
import {site} from "pellucid/data";
import {ranking} from "pellucid/numbers";
import {place} from "pellucid/sites";
import {around, between, viewNamed, viewText, wholeView, zoomOf, zoomed, DEEPEST} from "pellucid/whole/camera";
import {changeColour, colours} from "pellucid/whole/colours";
import {focusLinks, paintFocus} from "pellucid/whole/focus";
import {listen} from "pellucid/whole/gestures";
import {SPREAD, gesturesOf} from "pellucid/whole/hands";
import {layoutOf} from "pellucid/whole/layout";
import {curveOf, textureOf, weightsOf} from "pellucid/whole/links";
import {chapterOf, isSame, markAt, middleOf, pinNamed, pinText} from "pellucid/whole/marks";
import {isLarge, paintBase, paintGround, paintLines, vectorPicture} from "pellucid/whole/paint";
import {dimensionAt} from "pellucid/whole/vectors";

const MILLISECONDS = {encoder: 560, decoder: 900, journey: 420};
const DIMMED = 0.34; // of the faint lines, while something stands out
const isStill = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** The layers of the picture from the back to the front, a canvas each: what changes alone is painted alone. */
const PAINTERS = {ground: paintGround, lines: paintLines, base: paintBase, over: paintFocus};

export class Scene {
  /** on: {mark(mark), view(text), moment(moment, isPlaying), pin(text), open(state)}, called when these change. */
  constructor(stage, on) {
    const canvases = [...stage.querySelectorAll("canvas")];
    this.layers = Object.fromEntries(Object.keys(PAINTERS).map((name, i) => [name, canvases[i]]));
    Object.assign(this, {stage, on, hover: null, pin: null, camera: null, moment: 0, speed: 1});
    Object.assign(this, {vectors: new Map(), heads: new Map(), spread: SPREAD.usual, pulled: null, paints: 0});
    Object.assign(this, {isPlaying: false, fraction: 0, partial: null, journey: null, frame: null, insisted: 0});
    this.stale = new Set();
    this.end = listen(stage, gesturesOf(this));
  }

  close() {
    this.end();
    cancelAnimationFrame(this.frame);
    clearTimeout(this.timer);
  }

  /** Show a trace in a window of this size; what depends on neither stays. */
  show({trace, config, flow, head, changes, size, view, moment, pin}) {
    if (this.trace?.id !== trace.id) {
      this.vectors.clear();
      this.heads.clear();
      this.hover = null;
      this.pause();
    }
    Object.assign(this, {trace, config, head, changes, size, dpr: devicePixelRatio || 1, tint: colours()});
    this.most = Math.max(
      ...Object.values(changes ?? {})
        .flat()
        .filter(Number.isFinite),
      1e-9,
    );
    this.layout = layoutOf({tokens: trace.tokens, config, room: size.width, tall: size.height});
    this.weights = weightsOf(flow, trace.tokens, config);
    this.texture = textureOf(this.weights, this.layout);
    for (const canvas of Object.values(this.layers)) {
      [canvas.width, canvas.height] = [size.width, size.height].map((side) => Math.round(side * this.dpr));
      Object.assign(canvas.style, {width: `${size.width}px`, height: `${size.height}px`});
    }
    this.look(viewNamed(view, this.layout, size));
    this.moment = Math.min(moment ?? this.last, this.last);
    this.pin = pinNamed(pin, this.weights, this.layout);
    this.refresh();
  }

  /** The number of the last moment: each encoder layer is one, then each step of the decoder. */
  get last() {
    return this.config.num_encoder_layers + this.trace.tokens.fed_pieces.length;
  }

  reach(moment = this.moment) {
    const layers = Math.min(moment, this.config.num_encoder_layers);
    return {layers, steps: moment - layers};
  }

  /** Whether the model has come to a mark. */
  isReached({stack, row}) {
    return stack === "encoder" || row < this.reach().steps;
  }

  get zoom() {
    return zoomOf(this.camera, this.layout, this.size);
  }

  setView(text) {
    this.look(viewNamed(text, this.layout, this.size));
  }

  setPin(text) {
    this.pin = pinNamed(text, this.weights, this.layout);
    this.refresh();
  }

  /** The pixel of the middle of a mark. */
  screenOf(mark) {
    const {x, y, k} = this.camera;
    const [mx, my] = middleOf(this.layout, mark);
    return [(mx - x) * k, (my - y) * k];
  }

  /** The pixels between which a link goes from left to right. */
  endsOf(link) {
    const curve = curveOf(this.layout, link);
    return [curve[0], curve[6]].map((at) => (at - this.camera.x) * this.camera.k);
  }

  recolour() {
    this.tint = colours();
    this.vectors.clear();
    this.refresh();
  }

  /** Paint these layers again in the next frame. */
  spoil(...names) {
    for (const name of names) this.stale.add(name);
    this.frame ??= requestAnimationFrame((now) => this.tick(now));
  }

  /** Find out what stands out, and paint what depends on it: all of it, or with `pointing` only what stands out. */
  refresh({isPointing = false} = {}) {
    const {steps} = this.reach();
    const ofStep = steps > 0 && this.moment < this.last ? {type: "piece", stack: "decoder", row: steps - 1} : null;
    const isWorking = this.isPlaying || this.moment < this.last;
    const focus = this.hover?.type === "link" ? null : this.hover;
    this.focus = focus ?? (isWorking ? ofStep : null) ?? (isWorking ? null : this.pin);
    this.layers.lines.style.opacity = (this.focus ?? this.pin) ? DIMMED : 1;
    this.strong = this.focus && this.focus.type !== "link" ? focusLinks(this, this.focus, this.reach()) : [];
    this.lit = {};
    for (const {kind, column, weight} of this.strong)
      if (kind !== "decoder") this.lit[column] = Math.max(this.lit[column] ?? 0, weight);
    if (this.pin?.type === "link") this.headsOf(this.pin.link);
    this.spoil("over", ...(isPointing ? [] : ["lines", "base"]));
  }

  look(camera) {
    this.camera = camera;
    this.stage.style.touchAction = this.zoom > 1.01 ? "none" : "pan-y";
    this.spoil(...Object.keys(PAINTERS));
  }

  /** Go to a view; at once where motion is not wanted. */
  travel(to, done = this.tellView) {
    if (isStill()) {
      this.look(to);
      return done();
    }
    this.journey = {from: this.camera, to, began: null, done};
    return this.spoil();
  }

  tellView = () => this.on.view(viewText(this.camera, this.layout, this.size));

  tick(now) {
    this.frame = null;
    if (this.journey) this.travelOn(now);
    if (this.isPlaying && !isStill()) this.playOn(now);
    this.draw();
    if (this.journey || (this.isPlaying && !isStill())) this.spoil();
  }

  draw() {
    if (!this.stale.size) return;
    for (const name of this.stale) {
      const context = this.layers[name].getContext("2d");
      context.setTransform(this.dpr, 0, 0, this.dpr, 0, 0);
      context.clearRect(0, 0, this.size.width, this.size.height);
      PAINTERS[name](context, this, this.reach());
    }
    this.stale.clear();
    this.paints += 1;
  }

  travelOn(now) {
    const {from, to, done} = this.journey;
    this.journey.began ??= now;
    const share = Math.min((now - this.journey.began) / MILLISECONDS.journey, 1);
    this.look(between(from, to, share * share * (3 - 2 * share)));
    if (share < 1) return;
    this.journey = null;
    this.look(to);
    done();
  }

  // ---- playing -----------------------------------------------------------------------------------------------------

  play() {
    if (this.moment >= this.last) this.moment = 0;
    this.isPlaying = true;
    [this.fraction, this.clock] = [0, null];
    this.tellMoment();
    if (isStill()) this.tickSlowly();
    else this.spoil();
  }

  pause() {
    if (!this.isPlaying) return;
    if (this.partial && this.fraction > 0.5) this.moment += 1; // what was nearly computed is shown whole
    [this.isPlaying, this.partial] = [false, null];
    clearTimeout(this.timer);
    this.tellMoment();
  }

  goTo(moment) {
    if (this.isPlaying) this.pause();
    this.moment = Math.min(Math.max(moment, 0), this.last);
    this.tellMoment();
  }

  tellMoment() {
    this.refresh();
    this.on.moment(this.moment, this.isPlaying);
  }

  get duration() {
    return MILLISECONDS[this.moment < this.config.num_encoder_layers ? "encoder" : "decoder"] / this.speed;
  }

  /** Without motion a moment follows the other, each drawn once. */
  tickSlowly() {
    this.timer = setTimeout(() => {
      if (!this.isPlaying) return;
      this.advance();
      if (this.isPlaying) this.tickSlowly();
    }, this.duration);
  }

  advance() {
    [this.moment, this.fraction, this.partial] = [this.moment + 1, 0, null];
    if (this.moment >= this.last) this.isPlaying = false;
    this.tellMoment();
  }

  playOn(now) {
    this.fraction += (now - (this.clock ?? now)) / this.duration;
    this.clock = now;
    if (this.fraction >= 1) this.advance();
    if (!this.isPlaying) return;
    const {layers, steps} = this.reach();
    const isReading = layers < this.config.num_encoder_layers;
    if (this.partial?.moment !== this.moment) {
      const all = isReading
        ? this.texture.links.filter(({kind, layer}) => kind === "encoder" && layer === layers)
        : focusLinks(this, {stack: "decoder", row: steps}, {layers});
      this.partial = {
        moment: this.moment,
        stack: isReading ? "encoder" : "decoder",
        layer: layers,
        row: steps,
        links: all,
      };
    }
    this.partial.share = this.fraction;
    this.stale.add("over");
  }

  // ---- pointing ----------------------------------------------------------------------------------------------------

  /** The links that can be seen now. */
  get drawn() {
    const {layers, steps} = this.reach();
    const isThere = ({kind, layer, row}) => (kind === "encoder" ? layer < layers : row < steps);
    return [...this.texture.links.filter(isThere), ...this.strong];
  }

  under([px, py]) {
    const {x, y, k} = this.camera;
    const point = [x + px / k, y + py / k];
    const mark = markAt(this.layout, point, this.drawn, k);
    if (mark && mark.type !== "link" && mark.stack === "decoder" && mark.row > this.reach().steps) return null;
    return mark && dimensionAt(mark, point, this);
  }

  /** Point at a mark, or at none. */
  point(mark) {
    if (isSame(mark, this.hover) && mark?.dimension === this.hover?.dimension) return;
    this.hover = mark;
    if (mark?.type === "link") this.headsOf(mark.link);
    this.stage.style.cursor = mark ? "pointer" : this.zoom > 1.01 ? "grab" : "default";
    this.refresh({isPointing: true});
    this.on.mark(mark);
  }

  /** Keep a row or a link; the same again lets it go. */
  choose(mark) {
    const isOff = !mark || (this.pin && pinText(mark) === pinText(this.pin));
    this.pin = isOff ? null : mark;
    this.refresh();
    this.on.pin(this.pin ? pinText(this.pin) : "none");
  }

  /** Zoom into a mark: first nearer, then into its chapter. */
  enter(mark, at = null) {
    const middle = mark ? middleOf(this.layout, mark) : at;
    if (this.zoom < DEEPEST * 0.35)
      return this.travel(around(middle, Math.min(this.zoom * 4, DEEPEST * 0.4), this.layout, this.size));
    return mark && this.open(mark);
  }

  /** Open the chapter of a mark; the address keeps the view from here. */
  async open(mark) {
    this.tellView();
    // The head that is drawn; of a line that is the mean of all heads, the head that gives it the most.
    const all = this.head === null && mark.type === "link" ? await this.loadHeads(mark.link) : null;
    const state = chapterOf(mark, this.head ?? (all && ranking(all)[0]));
    const near = around(middleOf(this.layout, mark), Math.min(this.zoom * 2.5, DEEPEST), this.layout, this.size);
    this.travel(near, () => this.on.open(state)); // the address keeps where the reader was, not the way in
  }

  /** The weight of a link in each head, once it has come; null before. */
  headsOf(link) {
    const key = pinText({type: "link", link});
    if (!this.heads.has(key)) this.loadHeads(link).then(() => this.spoil("over"));
    return this.heads.get(key) ?? null;
  }

  /** A promise of the same; of null where the weights cannot be had, and the card says why. */
  async loadHeads(link) {
    const key = pinText({type: "link", link});
    const {trace} = this;
    if (this.heads.get(key)) return this.heads.get(key);
    this.heads.set(key, null);
    try {
      const rows = await site(trace, `${place(link.kind, link.layer)}.weights`, {row: link.row});
      const found = Array.from({length: rows.shape[0]}, (_, head) => rows.at(head, link.column));
      if (trace === this.trace) this.heads.set(key, found);
      return found;
    } catch {
      return null;
    }
  }

  /** The vectors of a column as a picture; null until they have come, or where there are none. */
  vectorsOf(cell) {
    if (!this.vectors.has(cell.site)) {
      this.vectors.set(cell.site, null);
      const {trace, vectors, layout} = this;
      site(trace, cell.site).then(
        (tensor) => {
          if (trace !== this.trace) return;
          vectors.set(cell.site, vectorPicture(tensor, cell.width / layout.row));
          this.spoil("base");
        },
        () => {},
      );
    }
    return this.vectors.get(cell.site);
  }

  /** The same, where a cell is large enough for its vector to be drawn. */
  shownVectors(cell) {
    return isLarge(cell, this) ? this.vectors.get(cell.site) : null;
  }

  zoomBy(factor, at = [this.size.width / 2, this.size.height / 2]) {
    this.look(zoomed(this.camera, factor, at, this.layout, this.size));
    this.tellView();
  }

  whole() {
    this.travel(wholeView(this.layout, this.size));
  }

  /** The colour of a change, for the legend. */
  swatch = (share) => changeColour(share * this.most, this.most);
}
