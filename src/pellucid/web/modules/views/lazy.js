// A view whose code comes when it is first opened, so that a first visit moves little.
import {html} from "pellucid/ui";
import {code, useData} from "pellucid/data";
import {Waiting} from "pellucid/pictures/figure";

/** name: of the view; load: () => import(...) of its module; exported: the name of its Component there */
export const lazy = (name, load, exported) =>
  function Lazy(props) {
    const data = useData(`code ${name}`, () => code(load));
    return html`<${Waiting} data=${data}>${(module) => html`<${module[exported]} ...${props} />`}<//>`;
  };
