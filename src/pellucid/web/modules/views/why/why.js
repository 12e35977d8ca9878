// Why this word: what one step of the translation comes from, what each layer would say, which heads matter for it, and
// which words belong together. Read parts.js next, then lens.js, heads.js, links.js and methods.js.
import {html} from "pellucid/ui";
import {Setting, settingOf} from "pellucid/pickers";
import {setState} from "pellucid/state";
import {t} from "pellucid/texts";
import {Chips} from "pellucid/tokens";
import {HeadsOfStep} from "pellucid/views/why/heads";
import {Lens} from "pellucid/views/why/lens";
import {WordLinks} from "pellucid/views/why/links";
import {Methods} from "pellucid/views/why/methods";
import {PartsOfStep} from "pellucid/views/why/parts";

const SECTIONS = {parts: PartsOfStep, lens: Lens, heads: HeadsOfStep, links: WordLinks, methods: Methods};
const OF_A_STEP = ["parts", "lens", "heads"];

export function WhyView(own) {
  const {trace, state} = own;
  const names = Object.keys(SECTIONS);
  const show = settingOf(state, "why.show", names);
  const {tokens} = trace;
  return html`
    <div class="controls">
      <${Setting}
        state=${state} name="why.show" label=${t("why.show")}
        options=${names.map((name) => [name, t(`why.show.${name}`)])}
      />
    </div>
    ${
      OF_A_STEP.includes(show) &&
      html`<p class="choice-label">${t("why.choose")}</p>
        <${Chips}
          pieces=${tokens.predicted_pieces} words=${tokens.target_words} side="target" name=${t("why.choose")}
          selected=${state.step} onSelect=${(step) => setState({step, "why.id": "", "why.against": ""})}
        />`
    }
    <${SECTIONS[show]} ...${own} />
  `;
}
