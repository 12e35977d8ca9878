// Documents: dropped on the page or chosen, translated by the server, and saved, with a report of what could not be
// kept. Read uploading.js next.
import {html, useEffect, useRef, useState} from "pellucid/ui";
import {flagsOf} from "pellucid/sentence";
import {t} from "pellucid/texts";
import {translatedFile} from "pellucid/translator/uploading";

let numbers = 0;

export function Files({facts, pair, terms}) {
  const [jobs, setJobs] = useState([]);
  const [isOver, setOver] = useState(false);
  const input = useRef(null);
  const section = useRef(null);
  const change = (id, patch) => setJobs((all) => all.map((job) => (job.id === id ? {...job, ...patch} : job)));
  const begin = (files) => {
    const added = [...files].map((file) => ({id: (numbers += 1), file, pair, terms, aborting: new AbortController()}));
    setJobs((all) => [...added, ...all]);
    added.forEach((job) => run(job, (patch) => change(job.id, patch)));
    if (added.length) requestAnimationFrame(() => section.current?.scrollIntoView({block: "nearest"}));
  };
  const take = useRef(begin);
  take.current = begin;
  useEffect(() => {
    const isFile = (event) => [...event.dataTransfer.types].includes("Files");
    const over = (event) => {
      if (!isFile(event)) return;
      event.preventDefault();
      setOver(true);
    };
    const leave = (event) => event.relatedTarget === null && setOver(false);
    const drop = (event) => {
      if (!isFile(event)) return;
      event.preventDefault();
      setOver(false);
      take.current(event.dataTransfer.files);
    };
    const listeners = {dragover: over, dragleave: leave, drop};
    for (const [name, listener] of Object.entries(listeners)) addEventListener(name, listener);
    return () => Object.entries(listeners).forEach(([name, listener]) => removeEventListener(name, listener));
  }, []);
  const remove = ({id, aborting, address}) => {
    aborting.abort();
    if (address) URL.revokeObjectURL(address);
    setJobs((all) => all.filter((job) => job.id !== id));
  };
  return html`<section
    class=${isOver ? "box files over" : "box files"} ref=${section} aria-label=${t("translator.files")}
  >
    <h2>${t("translator.files")}</h2>
    <p class="row">
      <button onClick=${() => input.current.click()}>${t("translator.choose")}</button>
      <span class="hint">${t("translator.drop", {pair: pair.label})}</span>
    </p>
    <input
      ref=${input} type="file" multiple hidden accept=${facts.formats.join(",")} aria-label=${t("translator.choose")}
      onChange=${({currentTarget}) => (begin(currentTarget.files), (currentTarget.value = ""))}
    />
    <details class="formats"><summary>${t("translator.formats")}</summary><p>${facts.formats.join(" ")}</p></details>
    <ul class="jobs">${jobs.map((job) => html`<${Job} key=${job.id} ...${{job, remove}} />`)}</ul>
  </section>`;
}

/** Translate one document; where the server is full, again when it says so. */
async function run({file, pair, terms, aborting}, change) {
  const {signal} = aborting;
  for (;;) {
    change({state: "sending", share: 0, problem: null});
    try {
      const onSent = (share) => change(share < 1 ? {share} : {state: "working", since: Date.now()});
      const {blob, report} = await translatedFile({pair, terms}, file, signal, onSent);
      return change({state: "done", report, address: URL.createObjectURL(blob)});
    } catch (error) {
      if (signal.aborted) return;
      if (typeof error.seconds !== "number") return change({state: "failed", problem: error.message});
      change({state: "waiting", problem: error.message, until: Date.now() + 1000 * error.seconds});
      await new Promise((end) => setTimeout(end, 1000 * Math.max(error.seconds, 1)));
      if (signal.aborted) return;
    }
  }
}

/** The name of the translated file: the language stands before the ending. */
const nameOf = ({file, pair}) => file.name.replace(/(\.[^.]*)?$/, (ending) => `.${pair.target}${ending}`);

function Job({job, remove}) {
  const {state, share, file, report, address, problem} = job;
  const isBusy = ["sending", "working", "waiting"].includes(state);
  return html`<li class="job">
    <p class="row">
      <b dir="auto">${file.name}</b> <span class="hint">${job.pair.label}</span>
      ${isBusy && html`<progress aria-label=${file.name} value=${state === "sending" ? share : undefined} max="1" />`}
      <span role="status">${state === "failed" ? "" : t(`translator.file.${state}`)}</span>
      ${
        address &&
        html`<a class="button" href=${address} download=${nameOf(job)}>${t("translator.save", {name: nameOf(job)})}</a>`
      }
      <button onClick=${() => remove(job)}>${t(isBusy ? "translator.cancel" : "translator.remove")}</button>
    </p>
    ${problem && html`<p class="problem" role="alert">${problem}</p>`}
    ${report && html`<${Report} report=${report} />`}
  </li>`;
}

/** What became of the segments of a document, and what could not be kept. */
function Report({report}) {
  const {segments, codes, not_translated: failed, ways, flags, problems} = report;
  const lines = [
    ...Object.entries(ways).map(([way, n]) => t("translator.file.way", {way: wayText(way), n})),
    ...flagsOf({flags: Object.keys(flags)}).map(({name, text}) => t("translator.file.flag", {text, n: flags[name]})),
  ];
  return html`<div class="report">
    <p class=${failed ? "problem" : ""}>${t("translator.file.report", {segments, codes, failed})}</p>
    ${problems.length > 0 && html`<ul>${problems.map((one) => html`<li key=${one} class="problem">${one}</li>`)}</ul>`}
    ${
      lines.length > 0 &&
      html`<details>
        <summary>${t("translator.file.more")}</summary>
        <ul>${lines.map((line) => html`<li key=${line}>${line}</li>`)}</ul>
      </details>`
    }
  </div>`;
}

const wayText = (way) => t(`translator.way.${way.replace(/\W+/g, "_")}`);
