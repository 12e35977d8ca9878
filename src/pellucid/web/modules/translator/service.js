// What the page asks the server for, in the server's own protocol (/v1), and what went wrong, in words.
// /v1/openapi.json describes every field. Read words.js next.
import {kept} from "pellucid/translator/kept";
import {t} from "pellucid/texts";

/** What the server writes, the key of the text, the names of its numbers; any other sentence stays as it is. */
const SENTENCES = [
  [/^this server requires a key/, "no_key", []],
  [/^the key is not valid/, "wrong_key", []],
  [/exceeds text limit \((\d+)\)/, "long", ["limit"]],
  [/^([\d,]+) characters are over the ([\d,]+) of a minute/, "minute", ["n", "limit"]],
  [/^the limit of this key is ([\d,]+) characters a minute/, "rate", ["limit"]],
  [/^glossary: (.*)$/, "terms", ["why"]],
  [/^the request is over ([\d,]+) bytes/, "bytes", ["limit"]],
  [/file format not supported; these are: (.*)$/, "format", ["formats"]],
  [/^the deadline has passed/, "late", []],
];
/** Where the sentence is not in the table. */
const STATUSES = {503: "full", 504: "late", 413: "too_large"};

/** An answer that is not what was asked for; `seconds`: when to try again, or null. */
export class ServiceError extends Error {
  constructor(status, sentence, retryAfter = null) {
    super(errorText(status, sentence));
    this.status = status;
    this.seconds = /^\d+$/.test(retryAfter ?? "") ? Number(retryAfter) : null;
    this.isAboutKey = /key/.test(sentence ?? "") && status === 403;
  }
}

function errorText(status, sentence = "") {
  for (const [pattern, name, values] of SENTENCES) {
    const found = pattern.exec(sentence);
    if (found)
      return t(`translator.error.${name}`, Object.fromEntries(values.map((value, i) => [value, found[i + 1]])));
  }
  const name = STATUSES[status];
  if (name) return t(`translator.error.${name}`);
  return sentence ? t("refused.other", {text: sentence}) : t("error.server", {status});
}

/** The key that was typed, as the server reads it; it stands in no address and in no text. */
export const keyHeaders = () => (kept("key") ? {Authorization: `Bearer ${kept("key")}`} : {});

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (options?.signal?.aborted) throw error; // by this page, for a newer request
    throw new ServiceError(0, t("error.silent"));
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  throw new ServiceError(response.status, body?.error, response.headers.get("Retry-After"));
}

const send = (path, body, {signal, ...headers} = {}) =>
  ask(path, {
    method: "POST",
    headers: {"Content-Type": "application/json", ...headers, ...keyHeaders()},
    body: JSON.stringify(body),
    signal,
  });

/** What the server offers: language pairs, whether it needs a key, its limits, and the models that it shows inside. */
export async function factsOf() {
  const isShown = document.documentElement.dataset.inside === "yes";
  const [pairs, settings, inside] = await Promise.all(
    ["v1/languages", "frontend/settings", isShown && "api/models"].map(
      async (path) => path && (await ask(path)).json(),
    ),
  );
  return {
    pairs,
    needsKey: settings.keyRequired,
    charLimit: settings.charLimit,
    formats: settings.supportedFilesFormat,
    takesCorrections: settings.suggestions,
    models: inside ? inside.models : [],
    isShown,
  };
}

/** The model of a pair on the page that shows the inside, or undefined. */
export const modelOf = ({models}, {source, target, model}) =>
  models.find(({name, languages}) => name === model && languages[0] === source && languages[1] === target) ??
  models.find(({languages}) => languages[0] === source && languages[1] === target);

const asked = ({source, target}, text, terms) => ({text, source, target, ...(terms.length ? {glossary: terms} : {})});

/**
 * Translate texts; calls onEvent with ["sentence", {...}] and ["text", {...}] while they come.
 * job: {pair, terms}; signal: aborts it, and then the server computes no more
 */
export async function stream({pair, terms}, texts, signal, onEvent) {
  const body = {...asked(pair, texts, terms), tokens: true, stream: true};
  const response = await send("v1/translate", body, {signal, "X-Deadline-Seconds": "60"});
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let hasEnded = false;
  for (;;) {
    const {done, value} = await reader.read();
    if (done && hasEnded) return; // an answer that is not read to its end counts as aborted
    if (done) throw new ServiceError(0, t("error.silent"));
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(event) ?? [];
      hasEnded ||= name === "end";
      if (name === "error") throw new ServiceError(0, JSON.parse(data).error);
      if (name && !hasEnded) onEvent(name, JSON.parse(data));
    }
  }
}

/** What the model, not the memory, writes for one sentence: the best first; with a prefix, what begins so. */
export async function translated({pair, terms}, text, {prefix = "", count = 1} = {}) {
  const body = {...asked(pair, text, terms), tokens: true, split_sentences: false, use_memory: false};
  const more = {...(prefix ? {prefix} : {}), ...(count > 1 ? {n_best: count} : {})};
  const {translations} = await (await send("v1/translate", {...body, ...more})).json();
  return translations[0].sentences[0];
}

/** The words that may come after the beginning of a translation: [{word, rest, probability, text}]. */
export async function nextWords({pair}, text, prefix) {
  const body = {text, source: pair.source, target: pair.target, prefix, count: 5};
  return (await (await send("v1/complete", body)).json()).words;
}

/** Send a correction for review. */
export async function correct({pair}, text, correction, translation) {
  await send("v1/corrections", {text, correction, translation, source: pair.source, target: pair.target});
}
