// The work: what is translated, and when. Each line of the text is translated on its own and remembered, so that typing
// asks only for the lines that changed. A newer text aborts the request for the older one. Read terms.js next.
import {flagsOf} from "pellucid/sentence";
import {t} from "pellucid/texts";
import {stream} from "pellucid/translator/service";

const PAUSE_MS = 400; // after a key is pressed
const MOST_LINES = 32; // in one request
const MOST_CHARACTERS = 4000; // in one request, except for a single line
const LARGEST_MEMORY = 3000; // lines

export class Work {
  #records = new Map(); // line, pair and terms -> {text, sentences, error, isWhole}
  #changes = new Map(); // sentence, pair and terms -> what the reader chose or wrote in the place of its translation
  #timer = null;
  #aborting = null;
  #notBefore = 0;
  #before = []; // the last whole translation of each line, which stays until the new one comes

  /** charLimit: of a line; changed: called when there is something new to show */
  constructor({charLimit, changed}) {
    this.charLimit = charLimit;
    this.changed = changed;
    this.job = null;
    this.status = {kind: "idle"}; // or busy, waiting {until}, problem; the last two with a message
  }

  /** Translate a text: {pair, terms, text}. isTyped: wait until the typing pauses. */
  want(job, isTyped = false) {
    this.job = job;
    this.stop();
    if (!this.#missing().length) return this.#be({kind: "idle"});
    const pause = Math.max(isTyped ? PAUSE_MS : 0, this.#notBefore - Date.now());
    if (this.status.kind !== "waiting" || this.#notBefore <= Date.now()) this.#be({kind: "busy"});
    this.#timer = setTimeout(() => this.#run(), pause);
  }

  /** Show a text without translating it. */
  hold(job) {
    this.job = job;
    this.stop();
    this.#be({kind: "idle"});
  }

  /** Stop what is under way. */
  stop() {
    clearTimeout(this.#timer);
    this.#aborting?.abort();
    this.#aborting = null;
  }

  #be(status) {
    this.status = status;
    this.changed();
  }

  #key = (text) => JSON.stringify([this.job.pair, this.job.terms, text]);

  #missing() {
    const lines = this.job.text.split("\n").filter((line) => line.trim());
    return [...new Set(lines)].filter((line) => !this.#records.get(this.#key(line))?.isWhole);
  }

  async #run() {
    const {signal} = (this.#aborting = new AbortController());
    try {
      for (let lines = this.#next(); lines.length; lines = this.#next()) {
        const {job} = this;
        const keys = lines.map(this.#key);
        await stream(job, lines, signal, (name, event) => {
          this.#keep(keys[event.number], lines[event.number], name, event);
          this.changed();
        });
        if (keys.some((key) => !this.#records.get(key)?.isWhole)) throw new Error(t("translator.error.lost"));
      }
      this.#be({kind: "idle"});
    } catch (error) {
      if (signal.aborted) return;
      this.#failed(error);
    }
  }

  /** The lines of the next request. */
  #next() {
    const lines = this.#missing();
    const long = lines.find((line) => line.length > this.charLimit);
    if (long) throw new Error(t("translator.error.line", {n: long.length, limit: this.charLimit}));
    let size = 0;
    const end = lines.findIndex((line, i) => i === MOST_LINES || ((size += line.length) > MOST_CHARACTERS && i > 0));
    return end < 0 ? lines : lines.slice(0, end);
  }

  #failed(error) {
    const {message, seconds, isAboutKey} = error;
    if (typeof seconds !== "number") return this.#be({kind: "problem", message, isAboutKey});
    // The server says when to come back; until then nothing is sent, whatever is typed.
    this.#notBefore = Date.now() + 1000 * Math.max(seconds, 1);
    this.#be({kind: "waiting", message, until: this.#notBefore});
    this.#timer = setTimeout(() => this.want(this.job), this.#notBefore - Date.now());
  }

  #keep(key, line, name, event) {
    if (name === "text") {
      this.#records.delete(key); // the newest stands last
      this.#records.set(key, {...event, isWhole: true});
      while (this.#records.size > LARGEST_MEMORY) this.#records.delete(this.#records.keys().next().value);
      return;
    }
    const record = this.#records.get(key) ?? {text: line, sentences: [], isWhole: false};
    const sentences = [...record.sentences];
    sentences[event.sentence] = event;
    this.#records.set(key, {...record, sentences});
  }

  /** Put {text, alternatives, flags, evidence, error, by} in the place of the translation of a sentence; null: none. */
  change(source, result) {
    if (result) this.#changes.set(this.#key(source), result);
    else this.#changes.delete(this.#key(source));
    this.changed();
  }

  /**
   * What there is to show, line by line: [{start, line, sentences, parts, before}].
   * sentences: [{number, source, start, end, text, original, tokens, flags, error, by}], places in the whole text;
   *   original: what the service wrote; origin: "model" or "memory"; matches: units of the memory;
   *   by: "choice" or "hand" where the reader put something in its place
   * parts: of the translation of the line, texts and sentences; null where there is nothing yet, but `before`
   */
  lines() {
    let end = 0;
    let number = 0;
    return this.job.text.split("\n").map((line, i) => {
      const start = end;
      end += line.length + 1;
      const record = line.trim() ? this.#records.get(this.#key(line)) : {text: line, sentences: [], isWhole: true};
      if (!record) return {start, line, sentences: [], parts: null, before: this.#before[i] ?? ""};
      const sentences = Array.from(record.sentences, (one) => one && this.#shown(one, start, number++));
      const parts = partsOf(record, sentences);
      if (record.isWhole) this.#before[i] = joined(parts);
      return {start, line, sentences: sentences.filter(Boolean), parts};
    });
  }

  #shown({source, source_span: [from, to], ...one}, start, number) {
    const change = this.#changes.get(this.#key(source));
    const {text, error, alternatives, by, origin, matches = [], ...said} = {...one, ...change};
    return {
      ...{number, source, text, error, by, origin, matches},
      start: start + from,
      end: start + to,
      original: one.error ? source : one.text,
      tokens: alternatives?.[0]?.tokens ?? null,
      flags: flagsOf(said),
    };
  }
}

/** The translation of a line as texts and sentences; while it is not whole, its sentences with a space between. */
function partsOf(record, sentences) {
  if (!record.isWhole) return sentences.flatMap((one) => (one ? [one, " "] : ["… "]));
  const parts = [];
  let done = 0;
  record.sentences.forEach(({target_span: [from, to]}, i) => {
    if (from > done) parts.push(record.text.slice(done, from));
    parts.push(sentences[i]);
    done = to;
  });
  if (done < record.text.length) parts.push(record.text.slice(done));
  return parts;
}

const joined = (parts) => parts.map((part) => (typeof part === "string" ? part : shownText(part))).join("");

/** The whole translation as text. */
export const textOf = (lines) => lines.map(({parts}) => joined(parts ?? [])).join("\n");

/** The translation of a sentence; where it failed, the sentence itself, as in the answer of the server. */
export const shownText = ({error, source, text, by}) => (error && !by ? source : text);
