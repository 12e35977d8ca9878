// Where the page begins. Read app.js next, then views.js for the list of what can be looked at.
import {html, render} from "pellucid/ui";
import {App} from "pellucid/app";
import {get, site} from "pellucid/data";
import {colourOf, sequential, diverging} from "pellucid/pictures/palette";
import {getState} from "pellucid/state";
import {loadTexts, t} from "pellucid/texts";
import {startTheme} from "pellucid/theme";

// What a test, or a curious reader in the console, can ask: the numbers and colours that the pictures are made of.
window.__inspect = {
  state: getState,
  trace: null,
  value: async (name, index) => (await site(window.__inspect.trace, name)).at(...index),
  get,
  palette: {sequential, diverging, colourOf},
};

const root = document.getElementById("app");
startTheme();
try {
  await loadTexts();
  document.title = t("page.title");
  render(html`<${App} />`, root);
} catch (error) {
  root.textContent = error.message;
  throw error;
}
