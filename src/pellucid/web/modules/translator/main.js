// Where the page for translators begins. Read app.js next, then work.js, which decides what is sent and when.
import {html, render} from "pellucid/ui";
import {loadTexts, t} from "pellucid/texts";
import {startTheme} from "pellucid/theme";
import {Translator} from "pellucid/translator/app";
import {factsOf} from "pellucid/translator/service";

const root = document.getElementById("app");
startTheme();
try {
  await loadTexts(undefined, "translator/");
  document.title = t("translator.document");
  render(html`<${Translator} facts=${await factsOf()} />`, root);
} catch (error) {
  root.textContent = error.message;
  throw error;
}
