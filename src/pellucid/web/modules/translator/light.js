// A sentence and its partner in the other pane light up together. This changes the elements themselves: drawing the
// page anew for every movement of the pointer would be slow with long texts.

let lit = null;

/** Light up the sentence of a number in both panes; null: none. */
export function light(number) {
  if (number === lit) return;
  lit = number;
  relight();
}

/** The same after the panes were drawn anew. */
export function relight() {
  for (const one of document.querySelectorAll("[data-lit]")) delete one.dataset.lit;
  if (lit === null) return;
  for (const one of document.querySelectorAll(`[data-sentence="${lit}"]`)) one.dataset.lit = "yes";
}
