// Terms that a translation must use: lines "source = target", kept in this tab alone. Read target.js next.
import {html, useState} from "pellucid/ui";
import {t} from "pellucid/texts";

/**
 * Read lines: "source = target | another form"; a line without "=" is kept as it is. Lines that begin with "#" are
 * remarks. Returns {terms: [{source, target}], problems: [texts]}.
 */
export function termsIn(text) {
  const problems = [];
  const terms = text.split("\n").flatMap((line, i) => {
    if (!line.trim() || line.trim().startsWith("#")) return [];
    const [source, ...rest] = line.split("=").map((part) => part.trim());
    const target = rest.length ? rest.join("=").split("|") : [source];
    const forms = target.map((form) => form.trim()).filter(Boolean);
    if (source && forms.length) return [{source, target: forms}];
    problems.push(t(source ? "translator.terms.no_target" : "translator.terms.no_source", {n: i + 1}));
    return [];
  });
  return {terms, problems};
}

/** Where terms are typed; onChange gets the text when it is used. */
export function Terms({text, onChange}) {
  const [typed, type] = useState(text);
  const {terms, problems} = termsIn(typed);
  const isNew = typed !== text;
  return html`<details class="box">
    <summary>
      ${t("translator.terms.title")} ${terms.length > 0 && html`<span class="count">${terms.length}</span>`}
    </summary>
    <p class="hint" id="terms-hint">${t("translator.terms.hint")}</p>
    <textarea
      class="terms" rows="5" spellcheck=${false} aria-label=${t("translator.terms.title")}
      aria-describedby="terms-hint" placeholder=${t("translator.terms.example")} value=${typed}
      onInput=${(event) => type(event.currentTarget.value)}
    ></textarea>
    ${problems.map((problem) => html`<p class="problem" role="alert" key=${problem}>${problem}</p>`)}
    <p class="row">
      <button disabled=${!isNew || problems.length > 0} onClick=${() => onChange(typed)}>
        ${t("translator.terms.use")}
      </button>
      <span role="status" class="hint">
        ${isNew ? t("translator.terms.unused") : terms.length > 0 ? t("translator.terms.used", {n: terms.length}) : ""}
      </span>
    </p>
  </details>`;
}
