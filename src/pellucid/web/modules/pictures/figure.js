// The frame of every picture: its title, the picture, a summary in one sentence, and its tools:
// show it as a table, recompute a number by hand, save it as SVG, PNG or CSV. Read export.js next.
import {html, useEffect, useLayoutEffect, useRef, useState} from "pellucid/ui";
import {code, isFile} from "pellucid/data";
import {exact, plain, short} from "pellucid/numbers";
import {Paging} from "pellucid/pickers";
import {t} from "pellucid/texts";
import {byteIn} from "pellucid/tokens";

const ROWS_AT_ONCE = 50;

/**
 * name: of files and for tests; title, says: a heading and one sentence that sums the picture up
 * table: () => {columns: [..], rows: [[..]]}, or a promise of it: all the numbers of the picture
 * recompute: () => {lines: [{text, value}], computed, shown}, or a promise of it; null where nothing is computed
 * provenance: what goes into exported files
 * frame: a ref that is put on the picture, for useWidth
 * subject: what the numbers are of, as a string; when it changes, an open table or computation is made anew
 */
export function Figure({name, title, says, caption, table, recompute, provenance, subject, frame, children}) {
  const own = useRef(null);
  const body = frame ?? own;
  const [open, setOpen] = useState(null);
  const [given, setGiven] = useState(null);
  const [problem, setProblem] = useState(null);
  const [byte, setByte] = useState(undefined); // one that the picture shows as a piece
  useLayoutEffect(() => setByte(byteIn(body.current.textContent)));
  const guard = (work) => async () => {
    setProblem(null);
    try {
      await work();
    } catch (error) {
      setProblem(error.message);
    }
  };
  const toggle = (kind, load) =>
    guard(async () => {
      if (open === kind) return setOpen(null);
      setGiven(await load());
      setOpen(kind);
    });
  useEffect(() => {
    const load = {table, recompute}[open];
    if (load) guard(async () => setGiven(await load()))();
  }, [subject]);
  // What a button opens stands below the picture, which may be as tall as the screen.
  useEffect(() => {
    if (open) body.current.closest("section").lastElementChild.scrollIntoView({block: "nearest"});
  }, [open]);
  // The code of the exports comes when it is first used.
  const save = (kind) => async () => {
    const {csvOf, download, pngOf, svgOf} = await code(() => import("pellucid/pictures/export"));
    const about = {title, provenance};
    // Of a picture with controls of its own, the part without them.
    const drawn = body.current.querySelector("[data-export]") ?? body.current;
    if (kind === "svg") download(`${name}.svg`, "image/svg+xml", svgOf(drawn, about));
    if (kind === "png") download(`${name}.png`, "image/png", await pngOf(drawn, about));
    if (kind === "csv") download(`${name}.csv`, "text/csv", csvOf(await table()));
  };
  const kinds = ["svg", "png", ...(table ? ["csv"] : [])];
  const items = kinds.map((kind) => [kind.toUpperCase(), guard(save(kind))]);
  // The server makes the whole page with its numbers into one file; a file has all of that already.
  const id = window.__inspect.trace?.id;
  const savePage = () => Object.assign(document.createElement("a"), {href: `export/${id}.html`, download: ""}).click();
  if (id && !isFile) items.push([t("figure.save_page"), savePage]);
  return html`
    <section class="figure" data-figure=${name} aria-label=${title} onCopy=${copyPlain}>
      <header>
        <h3>${title}</h3>
        <div class="tools" role="toolbar" aria-label=${t("figure.tools")}>
          ${
            table &&
            html`<button aria-pressed=${open === "table"} onClick=${toggle("table", table)}>
              ${t("figure.table")}
            </button>`
          }
          ${
            recompute &&
            html`<button aria-pressed=${open === "recompute"} onClick=${toggle("recompute", recompute)}>
              ${t("figure.recompute")}
            </button>`
          }
          <${Menu} label=${t("figure.save")} items=${items} />
        </div>
      </header>
      <div class="picture" ref=${body}>${children}</div>
      ${says && html`<p class="says">${says}</p>`}
      ${caption && html`<p class="caption">${caption}</p>`}
      ${byte && html`<p class="caption">${t("word.byte_piece", {piece: byte})}</p>`}
      ${problem && html`<p class="problem" role="alert">${problem}</p>`}
      ${open === "table" && given && html`<${Table} ...${given} />`}
      ${open === "recompute" && given && html`<${Recomputed} ...${given} hasEdits=${provenance?.edits?.length > 0} />`}
    </section>
  `;
}

/** A button that opens a few more: items [[text, action]]. A choice, Escape and a click elsewhere close it. */
function Menu({label, items}) {
  const [isOpen, setOpen] = useState(false);
  const menu = useRef(null);
  useEffect(() => {
    if (!isOpen) return undefined;
    const outside = (event) => menu.current.contains(event.target) || setOpen(false);
    addEventListener("pointerdown", outside);
    return () => removeEventListener("pointerdown", outside);
  }, [isOpen]);
  const close = () => {
    setOpen(false);
    menu.current.querySelector("button").focus();
  };
  return html`<span class="menu" ref=${menu} onKeyDown=${(event) => event.key === "Escape" && isOpen && close()}>
    <button aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}>${label} ▾</button>
    ${
      isOpen &&
      html`<span class="menu-items" role="group" aria-label=${label}>
        ${items.map(
          ([text, action]) => html`
            <button
              key=${text}
              onClick=${() => {
                close();
                action();
              }}
            >
              ${text}
            </button>
          `,
        )}
      </span>`
    }
  </span>`;
}

/** Copied text has numbers in the form that programs read. */
function copyPlain(event) {
  const text = String(getSelection());
  if (plain(text) === text) return;
  event.clipboardData.setData("text/plain", plain(text));
  event.preventDefault();
}

const cellText = (value) => (typeof value === "number" ? short(value) : String(value ?? ""));

/** A window of the table; the whole of it is in the CSV. */
export function Table({columns, rows}) {
  const [first, setFirst] = useState(0);
  const shown = rows.slice(first, first + ROWS_AT_ONCE);
  return html`
    <div class="table-window" tabindex="0" role="region" aria-label=${t("figure.table")}>
      <table>
        <thead><tr>${columns.map((column, i) => html`<th key=${i} scope="col"><bdi>${column}</bdi></th>`)}</tr></thead>
        <tbody>
          ${shown.map(
            (row, i) => html`
              <tr key=${first + i}>
                ${row.map(
                  (value, j) => html`
                    <td
                      key=${j} class=${typeof value === "number" ? "number" : ""}
                      title=${typeof value === "number" ? exact(value) : undefined}
                    >
                      <bdi>${cellText(value)}</bdi>
                    </td>
                  `,
                )}
              </tr>
            `,
          )}
        </tbody>
      </table>
    </div>
    ${
      rows.length > ROWS_AT_ONCE &&
      html`<${Paging}
        ...${{first, size: ROWS_AT_ONCE, all: rows.length, go: setFirst}} says=${(part) => t("table.window", part)}
      />`
    }
  `;
}

/** The steps of a computation by this page itself, in double precision, and how far it is from the model's number. */
function Recomputed({lines, computed, shown, hasEdits}) {
  const agrees = Math.abs(computed - shown) <= 1e-4 * Math.max(1, Math.abs(shown));
  return html`
    <div class="recomputed">
      <ol>
        ${lines.map(
          ({text, value}, i) => html`
            <li key=${i}><span>${text}</span> <b class="number">${value === undefined ? "" : short(value, 6)}</b></li>
          `,
        )}
      </ol>
      <p class=${agrees ? "agrees" : "differs"}>
        ${t("recompute.verdict", {
          computed: short(computed, 8),
          shown: exact(shown),
          difference: short(Math.abs(computed - shown), 2),
        })}
      </p>
      ${!agrees && hasEdits && html`<p>${t("recompute.edited")}</p>`}
    </div>
  `;
}

/** A picture of data, or a note while the data is loading or if it failed to load. */
export function Waiting({data, children}) {
  const message = data.value === undefined && html`<p class="waiting" role="status">${t("figure.waiting")}</p>`;
  return html`<div aria-busy=${data.isLoading ? "true" : "false"}>
    ${data.error ? html`<p class="problem" role="alert">${data.error.message}</p>` : message || children(data.value)}
  </div>`;
}
