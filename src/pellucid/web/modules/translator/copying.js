// Copy a text, also where the browser keeps its clipboard from pages without https.

export async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = Object.assign(document.createElement("textarea"), {value: text, className: "unseen"});
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}
