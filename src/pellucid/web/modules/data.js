// All data of the page has a path. On a server, the path is fetched; in a single file, it is looked up in the data
// blocks of the file, and a missing path is an error that says that the numbers require the server. Read sites.js next.
import {useEffect, useRef, useState} from "pellucid/ui";
import {refusalText} from "pellucid/said";
import {t} from "pellucid/texts";

export const isFile = document.documentElement.dataset.mode === "file";

const LARGEST_CACHE_BYTES = 64 << 20;
const answers = new Map(); // path -> {promise, bytes}, the least recently used first
const ARRAYS = {f32: Float32Array, u8: Uint8Array};

/** An array with its shape; `row(i)` and `at(...)` read it without copying. */
export class Tensor {
  constructor(data, shape) {
    this.data = data;
    this.shape = shape;
  }
  /** The part at an index of the first axis, sharing memory. */
  part(index) {
    const size = this.data.length / this.shape[0];
    return new Tensor(this.data.subarray(index * size, (index + 1) * size), this.shape.slice(1));
  }
  at(...index) {
    return this.data[index.reduce((sum, value, axis) => sum * this.shape[axis] + value, 0)];
  }
}

function embedded(path) {
  const block = document.querySelector(`script[data-path="${CSS.escape(path)}"]`);
  if (!block) throw new Error(t("file.needs_server"));
  if (block.type === "application/json") return JSON.parse(block.textContent);
  const bytes = Uint8Array.from(atob(block.textContent.trim()), (character) => character.charCodeAt(0));
  return tensorOf(bytes.buffer, block.dataset.shape, block.dataset.dtype);
}

function tensorOf(buffer, shape, dtype) {
  const axes = shape === "" ? [] : shape.split(",").map(Number);
  return new Tensor(new ARRAYS[dtype](buffer), axes);
}

let whenLost = () => {};

/** Call the listener with what the server has lost: {trace: id}, or {} if the server does not answer at all. */
export const onLost = (listener) => {
  whenLost = listener;
};

/** Like fetch, but with a sentence as the error when the server does not answer. */
async function ask(path, options) {
  try {
    return await fetch(path, options);
  } catch (error) {
    if (options.signal?.aborted) throw error; // by this page, for a newer request
    whenLost({});
    throw new Error(t("error.silent"), {cause: error});
  }
}

let hasFailed = false; // a browser remembers a module that could not be fetched, until the page is loaded anew

/** A part of the page's code that comes when it is first used: load is () => import(...). */
export async function code(load) {
  if (hasFailed) {
    await ask("api/models", {}); // an error while the server does not answer
    location.reload(); // the address keeps what was chosen
    return new Promise(() => {});
  }
  try {
    return await load();
  } catch (error) {
    hasFailed = true;
    whenLost({});
    throw new Error(t("error.silent"), {cause: error});
  }
}

async function fetched(path) {
  const response = await ask(path, {headers: {Accept: "application/json, application/octet-stream"}});
  if (response.status === 410) {
    // The server was restarted, or had no room for the trace. The page makes the trace again under a new id, and
    // nothing waits for numbers of the old one, so this promise never resolves.
    answers.delete(path);
    whenLost({trace: path.split("/")[2]});
    return new Promise(() => {});
  }
  if (!response.ok) throw await complaint(response);
  if (response.headers.get("X-Shape") === null) return response.json();
  return tensorOf(await response.arrayBuffer(), response.headers.get("X-Shape"), response.headers.get("X-Dtype"));
}

/** The error in the response of the server; `isRefusal` if the same request would fail again. */
async function complaint(response) {
  const body = await response.json().catch(() => ({}));
  const isRefusal = response.status >= 400 && response.status < 500;
  const message = body?.error ? refusalText(body.error) : t("error.server", {status: response.status});
  const edits = body?.edits?.map(([edit, reason]) => [edit, refusalText(reason)]); // that cannot be applied
  return Object.assign(new Error(message), {isRefusal, status: response.status, edits, written: body?.error});
}

/** The answer of a path: parsed JSON, or a Tensor. Kept, up to 64 MB, since answers do not change. */
export function get(path) {
  const known = answers.get(path);
  if (known) {
    answers.delete(path);
    answers.set(path, known);
    return known.promise;
  }
  const entry = {promise: null, bytes: 0};
  entry.promise = (async () => (isFile ? embedded(path) : fetched(path)))();
  answers.set(path, entry);
  entry.promise.then(
    (value) => {
      entry.bytes = value instanceof Tensor ? value.data.byteLength : 2048;
      let total = [...answers.values()].reduce((sum, one) => sum + one.bytes, 0);
      for (const [old, {bytes}] of answers) {
        if (total <= LARGEST_CACHE_BYTES || old === path) break;
        answers.delete(old);
        total -= bytes;
      }
    },
    () => answers.delete(path), // a failed path is requested again next time
  );
  return entry.promise;
}

/** Forget every answer, because the server may have been restarted. */
export function forget() {
  answers.clear();
  traces.clear();
}

const MOST_TRACES = 20; // the server keeps them too; one that it no longer has is made again
const traces = new Map(); // what was asked -> the trace
let asked = null;

async function requested(body, signal) {
  if (traces.has(body)) return traces.get(body);
  const response = await ask("api/traces", {
    method: "POST",
    headers: {"Content-Type": "application/json"},
    body,
    signal,
  });
  if (!response.ok) throw await complaint(response);
  const trace = await response.json();
  traces.set(body, trace);
  if (traces.size > MOST_TRACES) traces.delete(traces.keys().next().value);
  return trace;
}

/** ids: a hypothesis as its ids, separated by commas, where no target is given. */
const bodyOf = ({model, source, target, ids, ...more}) => {
  const given = target ? {target} : ids ? {target_ids: ids.split(",").map(Number)} : {};
  return JSON.stringify({model, source, ...given, ...more});
};

/** Request a trace from the server; a file contains one. A new request cancels the one before. */
export async function makeTrace(wanted) {
  if (isFile) return get(document.documentElement.dataset.trace);
  asked?.abort();
  asked = new AbortController();
  const {signal} = asked;
  const {edits, ...unedited} = wanted;
  const before = await requested(bodyOf(unedited), signal);
  if (!edits) return before;
  const {withEdits} = await code(() => import("pellucid/editing/list"));
  return withEdits(before, edits, async (list) => {
    try {
      return await requested(bodyOf({...unedited, edits: list, before: before.id}), signal);
    } catch (error) {
      if (error.status !== 410) throw error; // the server no longer has the trace before the edits, and makes it again
      return requested(bodyOf({...unedited, edits: list}), signal);
    }
  });
}

/** The trace of another sentence than the one that the page is about; it cancels nothing. */
export const otherTrace = (wanted) => requested(bodyOf(wanted));

const query = (parts) => {
  const given = Object.entries(parts).filter(([, value]) => value !== undefined && value !== null);
  return given.length ? "?" + given.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&") : "";
};

/**
 * A site of a trace, such as "encoder.0.self_attention.weights": a Tensor [heads, rows, columns] or [rows, width].
 * With `head`, that head alone; with `row`, that row alone: [heads, columns] where all heads are asked for.
 */
export async function site(trace, name, {head, row} = {}) {
  const whole = `api/traces/${trace.id}/sites/${name}`;
  if (isFile || answers.has(whole)) {
    let found = await get(whole);
    if (head !== undefined) found = found.part(head);
    return row === undefined ? found : found.shape.length === 3 ? rowOfAll(found, row) : found.part(row);
  }
  return get(whole + query({head, row}));
}

function rowOfAll(tensor, row) {
  const [heads, , columns] = tensor.shape;
  const gathered = new Tensor(new tensor.data.constructor(heads * columns), [heads, columns]);
  for (let head = 0; head < heads; head += 1) gathered.data.set(tensor.part(head).part(row).data, head * columns);
  return gathered;
}

/** A weight of the model by its name in the state dictionary; `head` takes the rows or columns of one head. */
export async function weights(model, name, {head} = {}) {
  const path = `api/models/${model.id}/weights/${name}`;
  return get(path + query({head}));
}

/** Other answers, by the rest of their path. */
export const ofTrace = (trace, rest, parts = {}) => get(`api/traces/${trace.id}/${rest}${query(parts)}`);
export const ofModel = (model, rest, parts = {}) => get(`api/models/${model.id}/${rest}${query(parts)}`);

/**
 * Load something for a drawing: {value, error, isLoading}. When `key` changes, load again. The last value stays
 * until the new one arrives, so that a picture does not flicker, but only if the first word of the key, its trace or
 * model, is the same: numbers of one sentence never appear under the labels of another. Only the newest answer counts.
 */
export function useData(key, load) {
  const [state, setState] = useState({value: undefined, error: null, key: null});
  const newest = useRef(null);
  useEffect(() => {
    newest.current = key;
    if (key === null) return;
    load().then(
      (value) => newest.current === key && setState({value, error: null, key}),
      (error) => newest.current === key && setState({value: undefined, error, key}),
    );
  }, [key]);
  const isOwn = state.key === key;
  const isKept = key !== null && ownerOf(state.key) === ownerOf(key);
  return {
    value: isKept ? state.value : undefined,
    error: isOwn ? state.error : null,
    isLoading: !isOwn,
    isStale: !isOwn,
  };
}

const ownerOf = (key) => key?.split(" ", 1)[0];
