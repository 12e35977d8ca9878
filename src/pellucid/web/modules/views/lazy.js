// A view whose code comes when it is first opened, so that a first visit moves little.
import {html} from "pellucid/ui";
import {code, useData} from "pellucid/data";
import {Waiting} from "pellucid/pictures/figure";

/** name: of the view; load: () => import(...) of its module; exported: the name of its Component there */
export function lazy(name, load, exported) {
  let View = null; // once it has come, it is drawn at once
  const fetchView = async () => {
    View = (await code(load))[exported];
    return true;
  };
  return function Lazy(props) {
    const data = useData(View ? null : `code ${name}`, fetchView);
    return View ? html`<${View} ...${props} />` : html`<${Waiting} data=${data}>${() => null}<//>`;
  };
}
