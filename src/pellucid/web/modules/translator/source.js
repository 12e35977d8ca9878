// The left pane: the text as it is typed. A copy of it lies behind the field, letter over letter, and carries the marks
// of its sentences; a field of a browser cannot have marks of its own. Read target.js next.
import {html, useRef} from "pellucid/ui";
import {t} from "pellucid/texts";
import {light} from "pellucid/translator/light";

/** The number of the sentence at a place of the text, or null. */
const sentenceAt = (lines, place) =>
  lines.flatMap(({sentences}) => sentences).find(({start, end}) => start <= place && place <= end)?.number ?? null;

export function Source({text, lines, language, name, onType}) {
  const field = useRef(null);
  const follow = () => light(sentenceAt(lines, field.current.selectionStart));
  const point = ({clientX, clientY}) => {
    const under = document.elementsFromPoint(clientX, clientY).find((one) => one.dataset.sentence);
    light(under ? Number(under.dataset.sentence) : null);
  };
  return html`<div class="source">
    <div class="mirror" aria-hidden="true" dir="auto" lang=${language}>${lines.map(marked)}</div>
    <textarea
      ref=${field} dir="auto" lang=${language} aria-label=${name} placeholder=${t("translator.type")} value=${text}
      spellcheck=${true} autofocus
      onInput=${(event) => onType(event.currentTarget.value)} onPointerMove=${point} onPointerLeave=${() => light(null)}
      onKeyUp=${follow} onClick=${follow} onBlur=${() => light(null)}
    ></textarea>
  </div>`;
}

function marked({start, line, sentences}) {
  let done = 0;
  const parts = sentences.flatMap(({number, start: from, end: to, ...one}) => {
    const before = line.slice(done, from - start);
    done = to - start;
    const words = line.slice(from - start, to - start);
    const kind = one.flags.length || one.error ? "flagged" : "";
    return [before, html`<span key=${number} data-sentence=${number} class=${kind}>${words}</span>`];
  });
  return html`<span key=${start}>${parts}${line.slice(done)}${"\n"}</span>`;
}
