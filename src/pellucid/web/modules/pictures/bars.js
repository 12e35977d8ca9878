// A list of bars, one a row: a label, a bar from nothing to all, and the number that it stands for.
import {html} from "pellucid/ui";

/** rows: [{key, label, share (of the whole width, 0 to 1), text, kind, before}]; `before` is one more number. */
export const Bars = ({rows}) => html`
  <div class=${rows.some(({before}) => before !== undefined) ? "bars with-logits" : "bars"} role="list">
    ${rows.map(
      ({key, label, share, text, kind = "", before}) => html`
        <div key=${key} role="listitem" class=${kind}>
          <bdi>${label}</bdi>${before !== undefined && html`<span class="number">${before}</span>`}
          <span class="bar"><i style=${{width: `${share * 100}%`}}></i></span> <span class="number">${text}</span>
        </div>
      `,
    )}
  </div>
`;
