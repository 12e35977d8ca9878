// The edit list of the address: its parts, its changes, and each edit in words. Read bar.js next.
import {getState, setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {pieceLabel} from "pellucid/tokens";

/** The edits of a text: parts between semicolons, except those inside of quotes. */
export const editsIn = (text) =>
  (text.match(/(?:"(?:[^"\\]|\\.)*"|[^";])+/g) ?? []).map((part) => part.trim()).filter(Boolean);

const change = (make) => {
  const next = make(editsIn(getState().edits ?? "")).join(";");
  setState({edits: next, query: null, key: null, step: getState().step});
};

export const addEdit = (edit) => change((edits) => [...edits.filter((one) => placeOf(one) !== placeOf(edit)), edit]);
export const dropEdit = (edit) => change((edits) => edits.filter((one) => one !== edit));
export const dropAll = () => setState({edits: ""});

/** What an edit changes: two edits of one place exclude each other, bans of two pieces do not. */
const placeOf = (edit) => (edit.startsWith("ban=") ? edit : edit.slice(0, edit.indexOf("=")));

/** The edit of the list that a head, a sub-layer or another place has, or undefined. */
export const editAt = (edits, place) => edits.find((edit) => edit.startsWith(`${place}=`));

const value = (text) => (text.startsWith('"') ? JSON.parse(text) : text);

/** An edit in words; a place that has none is shown as it is written. */
export function inWords(edit) {
  const at = edit.indexOf("=");
  const [place, rest] = [edit.slice(0, at), edit.slice(at + 1)];
  if (place === "ban") return t("editing.ban", {piece: pieceLabel(value(rest))});
  const [kind, number] = place.split(".");
  if (kind === "step") return t("editing.step", {step: number, piece: pieceLabel(value(rest))});
  if (kind === "word" && rest === "drop") return t("editing.drop", {word: number});
  if (kind === "word") return t("editing.word", {word: number, text: value(rest)});
  const how = rest.startsWith("mean:") ? "sample" : rest;
  const known = ["zero", "mean", "sample"].includes(how) ? t(`editing.${how}`) : rest;
  const head = /^(\w+)\.(\d+)\.(\w+)\.head\.(\d+)$/.exec(place);
  if (!head) return t("editing.place", {place, how: known});
  const short = head[3] === "cross_attention" ? "cross" : head[1];
  return t("editing.head", {head: head[4], kind: t(`kind.${short}`), layer: head[2], how: known});
}
