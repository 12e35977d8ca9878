// The edit list of the address: its parts, its changes, and each edit in words. Read bar.js next.
import {getState, setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {pieceLabel} from "pellucid/tokens";

/** The edits of a text: parts between semicolons, except those inside of quotes. */
export const editsIn = (text) =>
  (text.match(/(?:"(?:[^"\\]|\\.)*"|[^";])+/g) ?? []).map((part) => part.trim()).filter(Boolean);

/**
 * The trace with the edits of a text. Edits that the server refuses are left out, and `refused` has their reasons, so
 * that an address with a wrong edit still shows the model.
 */
export async function withEdits(before, text, request) {
  const refused = {};
  let left = [...new Set(editsIn(text))];
  while (left.length) {
    try {
      return {...(await request(left)), refused};
    } catch (error) {
      if (error.status !== 400) throw error;
      const named = (error.edits ?? []).filter(([edit]) => left.includes(edit));
      // A refusal that names no edit is one of the whole list.
      for (const [edit, reason] of named.length ? named : left.map((one) => [one, error.message]))
        refused[edit] = reason;
      left = left.filter((edit) => !(edit in refused));
    }
  }
  return {...before, refused};
}

const wordsIn = (edits) => edits.filter((edit) => edit.startsWith("word.")).join(";");

/** Change the list. What is pinned stays, unless the words of the sentence are others now. */
const change = (make) => {
  const {edits: text = "", step} = getState();
  const edits = editsIn(text);
  const next = make(edits);
  const isSame = wordsIn(next) === wordsIn(edits);
  setState({edits: next.join(";"), step, ...(isSame ? {} : {query: null, key: null})});
};

export const addEdit = (edit) => change((edits) => [...edits.filter((one) => placeOf(one) !== placeOf(edit)), edit]);
export const dropEdit = (edit) => change((edits) => edits.filter((one) => one !== edit));
export const dropAll = () => setState({edits: ""});

/** What an edit changes: two edits of one place exclude each other, bans of two pieces do not. */
const placeOf = (edit) => (edit.startsWith("ban=") ? edit : edit.slice(0, edit.indexOf("=")));

/** Whether edits change only what is written or read, and no number of the model. */
export const areOfText = (edits) => edits.every((edit) => /^(step\.|ban=|word\.)/.test(edit));

/** The edit of the list that a head, a sub-layer or another place has, or undefined. */
export const editAt = (edits, place) => edits.find((edit) => edit.startsWith(`${place}=`));

const value = (text) => (text.startsWith('"') ? JSON.parse(text) : text);

/** An edit in words; one that has none is shown as it is written. */
export function inWords(edit) {
  try {
    return edit.includes("=") ? wordsOf(edit) : edit;
  } catch {
    return edit; // its text in quotes cannot be read
  }
}

function wordsOf(edit) {
  const at = edit.indexOf("=");
  const [place, rest] = [edit.slice(0, at), edit.slice(at + 1)];
  if (place === "ban") return t("editing.ban", {piece: pieceLabel(value(rest))});
  if (place === "positions")
    return rest === "zero" ? t("editing.no_positions") : t("editing.positions", {layout: rest});
  const [kind, number] = place.split(".");
  if (kind === "step") return t("editing.step", {step: number, piece: pieceLabel(value(rest))});
  if (kind === "word" && rest === "drop") return t("editing.drop", {word: number});
  if (kind === "word") return t("editing.word", {word: number, text: value(rest)});
  const how = howText(rest);
  const silent = /^decoder\.cross_attention\.value\.(\d+)$/.exec(place);
  if (silent) return t("editing.silent", {n: silent[1]});
  const [, stack, layer, name, more = ""] = /^(encoder|decoder)\.(\d+)\.([a-z_]+)(\..*)?$/.exec(place) ?? [];
  const head = /^\.head\.(\d+)(?:\.row\.(\d+))?$/.exec(more);
  if (head) {
    const values = {
      head: head[1],
      row: head[2],
      layer,
      how,
      kind: t(`kind.${name === "cross_attention" ? "cross" : stack}`),
    };
    return head[2] === undefined ? t("editing.head", values) : t("editing.head_row", values);
  }
  if (!stack) return t("editing.place", {place, how});
  if (more.startsWith(".unit.")) return t(`editing.units.${stack}`, {layer, how, units: more.slice(6)});
  return t(`editing.sublayer.${stack}`, {layer, how, name: t(`stack.${name}`)});
}

/** What replaces a value. */
function howText(rest) {
  if (rest.startsWith("from:")) return t("editing.from", {text: value(rest.slice(5))});
  if (/^[-+.\de]+(,[-+.\de]+)*$/.test(rest)) return t("editing.weights");
  const name = rest.startsWith("mean:") ? "sample" : rest;
  return ["zero", "mean", "sample"].includes(name) ? t(`editing.${name}`) : rest;
}
