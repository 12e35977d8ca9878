// The views, in the order of the walkthrough: a new one is a new file in views/ and a new line here.
import {TranslateView} from "pellucid/views/translate";

/** Each: name (in the address), Component ({trace, model, state}), and the chapter it stands in. */
export const VIEWS = [
  {name: "translate", chapter: "walk", Component: TranslateView},
];

export const viewNamed = (name) => VIEWS.find((view) => view.name === name) ?? VIEWS[0];
