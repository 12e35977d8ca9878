// Light or dark: the system's choice, or the reader's own, kept in this browser. Pictures are painted anew.
import {isDark} from "pellucid/pictures/palette";
import {useListened} from "pellucid/state";

const KEY = "pellucid-theme";
const listeners = new Set();

const tell = () => [...listeners].forEach((listener) => listener());

/** Apply the stored choice, if this page may store anything. */
export function startTheme() {
  try {
    const kept = localStorage.getItem(KEY);
    if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
  } catch {
    // A sandboxed frame has no storage; the system's choice holds.
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tell);
}

export function toggleTheme() {
  const next = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // see startTheme
  }
  tell();
}

/** "light" or "dark", and a new drawing when it changes. */
export const useTheme = () => useListened(listeners, () => (isDark() ? "dark" : "light"));
