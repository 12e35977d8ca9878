// What this browser keeps until its tab is closed: the text, the terms and the key. Nothing of it is in an address.

/** What is kept under a name, or "". */
export function kept(name) {
  try {
    return sessionStorage.getItem(`pellucid-${name}`) ?? "";
  } catch {
    return ""; // this browser keeps nothing for pages, and the page works without
  }
}

/** Keep a text under a name; an empty one is removed. */
export function keep(name, text) {
  try {
    if (text) sessionStorage.setItem(`pellucid-${name}`, text);
    else sessionStorage.removeItem(`pellucid-${name}`);
  } catch {
    // see kept
  }
}
