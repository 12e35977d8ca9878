// Send a document to the server and receive its translation. Read files.js next.
import {t} from "pellucid/texts";
import {ServiceError, keyHeaders} from "pellucid/translator/service";

/** Translate a document with terms: {blob, report}; `onSent` gets the share that has arrived at the server. */
export async function translatedFile({pair, terms}, file, signal, onSent) {
  const form = new FormData();
  form.append("file", file, file.name);
  form.append("source", pair.source);
  form.append("target", pair.target);
  if (terms.length) form.append("glossary", JSON.stringify(terms));
  const request = new XMLHttpRequest(); // fetch does not say how much of a file is sent
  request.open("POST", "v1/document");
  for (const [name, value] of Object.entries(keyHeaders())) request.setRequestHeader(name, value);
  request.responseType = "blob";
  request.upload.addEventListener("progress", ({loaded, total}) => onSent(total ? loaded / total : 1));
  signal.addEventListener("abort", () => request.abort());
  const ended = new Promise((resolve) => request.addEventListener("loadend", resolve));
  request.send(form);
  await ended;
  signal.throwIfAborted();
  if (request.status === 0) throw new ServiceError(0, t("error.silent"));
  if (request.status === 200) {
    return {blob: request.response, report: JSON.parse(request.getResponseHeader("X-Document-Report"))};
  }
  throw new ServiceError(request.status, await sentenceIn(request.response), request.getResponseHeader("Retry-After"));
}

/** The sentence of an error; undefined where it is not from this server, and its status says what there is to say. */
async function sentenceIn(blob) {
  try {
    return JSON.parse(await blob.text()).error;
  } catch {
    return undefined;
  }
}
