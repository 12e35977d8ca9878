// The search as a tree: every candidate of every step, and the settings that decide what becomes of it.
// Read tree.js next, then details.js.
import {html, useEffect, useRef, useState} from "pellucid/ui";
import {isFile, ofTrace, useData} from "pellucid/data";
import {Figure, Waiting} from "pellucid/pictures/figure";
import {short} from "pellucid/numbers";
import {Choice} from "pellucid/pickers";
import {setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {pieceLabel} from "pellucid/tokens";
import {Details} from "pellucid/views/search/details";
import {outcomeText, treeOf} from "pellucid/views/search/nodes";
import {MOST_STEPS, Tree} from "pellucid/views/search/tree";

const PENALTIES = ["none", "average", "gnmt"];

// The sliders: [setting, least, most, step], by method.
const SLIDERS = {
  beam: [
    ["beam_size", 1, 12, 1],
    ["alpha", 0, 2, 0.1],
  ],
  sampling: [
    ["temperature", 0.1, 3, 0.1],
    ["top_k", 0, 50, 1],
    ["top_p", 0.05, 1, 0.05],
    ["seed", 1, 99, 1],
  ],
};
const namesOf = (method) => SLIDERS[method].map(([name]) => name);
const WAIT = 120; // milliseconds without a movement of the slider before the server searches

/** What the address has of the settings: "beam_size=3 alpha=1"; nothing for the search of the translation itself. */
const settingsOf = (state) => Object.fromEntries(new URLSearchParams(state["search.set"] ?? ""));

export function SearchView({trace, state}) {
  const chosen = state["search.set"] ?? "";
  const reference = state["search.reference"] ?? "";
  const own = settingsOf(state);
  const key = `${trace.id} search ${chosen} ${own.sampling === "true" ? "" : reference}`;
  const data = useData(key, () =>
    ofTrace(trace, "search", {
      ...own,
      reference: own.sampling !== "true" && reference ? reference : undefined,
    }),
  );
  // After a search that the server refuses, the settings stay, so that the reader can take them back.
  const last = useRef({});
  if (data.value) last.current = {answer: data.value, of: trace.id};
  const answer = last.current.of === trace.id ? last.current.answer : undefined;
  return html`
    ${answer && html`<${Controls} ...${{answer, own, reference, edits: trace.provenance.edits}} />`}
    ${!trace.is_searched && html`<p class="hint">${t("search.given")}</p>`}
    ${isFile && html`<p class="hint">${t("search.file")}</p>`}
    ${
      chosen &&
      html`<p class="hint">
        ${t("search.other")} <button onClick=${() => setState({"search.set": "", "search.reference": ""})}>
          ${t("search.restore")}
        </button>
      </p>`
    }
    <${Waiting} data=${data}>${(found) => html`<${Found} ...${{trace, state, found}} />`}<//>
  `;
}

function Controls({answer, own, reference, edits}) {
  const {settings, method} = answer;
  const [moved, move] = useState({}); // settings of sliders that the server has not answered yet
  // What the server has answered is no longer on its way; what was moved meanwhile still is.
  const isAnswered = ([name, moving]) => Number(settings[name]) === Number(moving);
  useEffect(() => move((now) => Object.fromEntries(Object.entries(now).filter((one) => !isAnswered(one)))), [answer]);
  const value = (name) => moved[name] ?? own[name] ?? settings[name];
  const isSampling = String(value("sampling")) === "true";
  const change = (patch) => {
    const names = isSampling ? namesOf("sampling") : ["length_penalty", ...namesOf("beam")];
    const next = {...Object.fromEntries(["sampling", ...names].map((name) => [name, value(name)])), ...patch};
    setState({"search.set": new URLSearchParams(next).toString(), "search.node": ""});
  };
  useEffect(() => {
    if (!Object.keys(moved).length) return undefined;
    const timer = setTimeout(() => change(moved), WAIT);
    return () => clearTimeout(timer);
  }, [moved]);
  const left = useRef(null); // the settings of the beam that the reader left for sampling
  const choose = (kind) => {
    if (isSampling === (kind === "sampling")) return;
    if (!isSampling) left.current = own;
    // No settings mean the search of the translation itself; where that one samples, a beam has to be asked for.
    const beam = left.current ?? (own.sampling === "true" ? {} : {sampling: "false"});
    const next = isSampling ? beam : {sampling: "true", temperature: 1, top_k: 0, top_p: 1, seed: 1};
    setState({"search.node": "", "search.set": new URLSearchParams(next).toString()});
  };
  return html`
    <fieldset class="search-controls" disabled=${isFile} aria-label=${t("search.settings")}>
      <${Choice}
        label=${t("search.method")} value=${method === "sampling" ? "sampling" : "beam"} onChange=${choose}
        options=${[
          ["beam", t(!isSampling && Number(value("beam_size")) === 1 ? "search.greedy" : "search.beam")],
          ["sampling", t("search.sampling")],
        ]}
      />
      ${
        !isSampling &&
        html`<${Choice}
          label=${t("search.length_penalty")} value=${value("length_penalty")}
          options=${PENALTIES.map((name) => [name, t(`search.penalty.${name}`)])}
          onChange=${(length_penalty) => change({length_penalty})}
        />`
      }
      ${SLIDERS[isSampling ? "sampling" : "beam"].map(
        ([name, least, most, step]) => html`
          <label class="slider" key=${name}>
            ${t(`search.${name}`)}
            <input
              type="range" min=${least} max=${most} step=${step} value=${value(name)} name=${name}
              onInput=${(event) => move({...moved, [name]: event.currentTarget.value})}
            />
            <output>${sliderText(name, value(name))}</output>
          </label>
        `,
      )}
      ${!isSampling && html`<${Reference} ...${{reference, isExcluded: edits.some((edit) => OF_PIECES.test(edit))}} />`}
    </fieldset>
  `;
}

const COLUMNS = ["number", "parent", "step", "place", "piece", "log_probability", "total", "score"];

const sliderText = (name, value) =>
  (name === "top_k" && Number(value) === 0) || (name === "top_p" && Number(value) >= 1)
    ? t("search.off")
    : short(Number(value), 3);

const OF_PIECES = /^(step\.|ban=)/; // edits that exclude translations

/** A translation to look for; Enter looks. */
const Reference = ({reference, isExcluded}) =>
  html`<form
  class="search-reference"
  onSubmit=${(event) => {
    event.preventDefault();
    setState({"search.reference": event.currentTarget.elements.reference.value.trim()});
  }}
>
  <label>
    <span class="choice-label">${t("search.reference")}</span> <input
      name="reference" key=${reference} defaultValue=${reference} dir="auto" autocomplete="off" spellcheck=${false}
      disabled=${isExcluded}
    />
  </label>
  <button disabled=${isExcluded}>${t("search.look")}</button>
  ${isExcluded && html`<span class="hint">${t("search.excluded")}</span>`}
</form>`;

function Found({trace, state, found}) {
  const tree = treeOf(found);
  const picked = Math.min(Number(state["search.node"] || -1), tree.nodes.length - 1);
  // The end of the result or, where it is longer than the tree shows at a time, the last piece of its beginning.
  const usual = found.winner[Math.min(found.winner.length, MOST_STEPS) - 1] ?? 0;
  const node = tree.nodes[picked >= 0 ? picked : usual];
  const {hypotheses} = found;
  const table = () => ({
    columns: [...COLUMNS, "outcome"].map((name) => t(`search.column.${name}`)),
    rows: tree.nodes.map((one) => [...COLUMNS.map((name) => one[name] ?? ""), outcomeText(one, tree)]),
  });
  return html`
    ${found.reference && html`<${Verdict} ...${{tree, reference: found.reference}} />`}
    <${Figure}
      name="search" title=${t("search.figure")} provenance=${trace.provenance} table=${table} subject=${found}
      says=${[
        t(`search.says.${found.method}`, {
          steps: found.steps.length,
          nodes: tree.nodes.length,
          ends: hypotheses.length,
          others: found.steps.reduce((sum, {num_others: others}) => sum + others, 0),
        }),
        endingText(found),
      ].join(" ")}
      caption=${t("search.caption")}
    >
      ${node && html`<${Tree} ...${{tree, picked: node.number, isChosen: picked >= 0}} />`}
      ${node && html`<${Details} ...${{tree, node, settings: found.settings, edits: trace.provenance.edits}} />`}
    <//>
    <ol class="search-ends" start="0" aria-label=${t("search.ends")}>
      ${hypotheses.map(
        (one) => html`
          <li key=${one.node}>
            <button
              aria-pressed=${one.node === node?.number} onClick=${() => setState({"search.node": String(one.node)})}
            >
              <bdi dir="auto">${one.text || "…"}</bdi>
            </button> <span class="number">${short(one.score)}</span> ${
              !one.is_finished && html`<small>${t("search.unfinished")}</small>`
            }
          </li>
        `,
      )}
    </ol>
  `;
}

function endingText({ending, settings}) {
  const {stop, num_finished: n, max_length: most, bound, to_beat: best} = ending;
  const text = t(`search.stop.${stop}`, {n, beam: settings.beam_size, most});
  if (typeof bound !== "number" || typeof best !== "number") return text;
  const values = {bound: short(bound), best: short(best)};
  return `${text} ${ending.may_have_missed ? t("search.may_have_missed", values) : t("search.cannot_win", values)}`;
}

/** Was it lost by the search, or does the model not want it? */
function Verdict({tree, reference}) {
  const {verdict, lost_step: step, lost_node: lost, rank} = reference;
  const piece = step === null ? "" : pieceLabel(reference.pieces[step]);
  const at = () => setState({"search.node": String(lost)});
  return html`<p class="search-verdict" role="status" data-verdict=${verdict}>
    <b>${t(`search.verdict.${verdict}`)}</b> ${t("search.scores", {
      own: short(reference.score),
      found: short(reference.found_score),
    })}
    ${step === null && rank > 0 ? ` ${t("search.has_rank", {rank})}` : ""}
    ${step !== null && ` ${t("search.lost", {step, piece})} `}
    ${
      step !== null &&
      (lost === null
        ? t("search.not_listed")
        : html`${outcomeText(tree.nodes[lost], tree)} <button onClick=${at}>${t("search.show")}</button>`)
    }
  </p>`;
}
