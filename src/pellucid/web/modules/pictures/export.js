// Export a picture: as SVG (canvases as images, text as text), as PNG, or its numbers as CSV.
import {full} from "pellucid/numbers";

const NS = "http://www.w3.org/2000/svg";
const SIDES = ["Top", "Right", "Bottom", "Left"];
const PAINT = [
  "fill",
  "stroke",
  "stroke-width",
  "stroke-dasharray",
  "stroke-linecap",
  "opacity",
  "font-family",
  "font-size",
  "font-weight",
  "font-style",
  "text-anchor",
  "visibility",
];

/** Hand bytes or text to the reader as a file. */
export function download(name, type, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], {type}));
  link.download = `pellucid-${name}`;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/**
 * Comma-separated values as RFC 4180 has them, numbers with all their digits.
 *
 * A spreadsheet computes a text that begins like a formula, and pieces and names may be a stranger's: such a text gets
 * an apostrophe before it, which spreadsheets read as "this is text". The full-width marks count in some of them, too.
 */
export function csvOf({columns, rows}) {
  const cell = (value) => {
    if (typeof value === "number") return full(value);
    const plain = String(value ?? "");
    const text = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/.test(plain) ? `'${plain}` : plain;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

/** The picture inside `element` as the text of an SVG file. */
export function svgOf(element, {title, provenance}) {
  const box = element.getBoundingClientRect();
  const [width, height] = [
    Math.ceil(Math.max(box.width, element.scrollWidth)),
    Math.ceil(Math.max(box.height, element.scrollHeight)),
  ];
  const root = make("svg", {xmlns: NS, width, height, viewBox: `0 0 ${width} ${height}`});
  root.append(make("title", {}, title), make("metadata", {}, JSON.stringify(provenance ?? {})));
  root.append(make("rect", {width, height, fill: backgroundOf(element)}));
  copy(element, root, {left: box.left - element.scrollLeft, top: box.top - element.scrollTop});
  return writable(new XMLSerializer().serializeToString(root));
}

/** A text without what no XML file may hold: control characters and halves of characters. */
const writable = (text) =>
  // oxlint-disable-next-line no-control-regex -- removing them is the purpose
  text.toWellFormed().replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd");

/** The colour that an element stands on. */
function backgroundOf(element) {
  const colour = getComputedStyle(element).backgroundColor;
  return colour === "rgba(0, 0, 0, 0)" && element.parentElement ? backgroundOf(element.parentElement) : colour;
}

/** The picture inside `element` as a PNG of twice its size. */
export async function pngOf(element, about) {
  const image = new Image();
  image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(svgOf(element, about));
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width * 2, image.height * 2];
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

function make(name, attributes, text) {
  const element = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function copy(element, into, origin) {
  for (const child of element.childNodes) {
    if (child.nodeType === Node.TEXT_NODE) copyText(child, into, origin);
    if (child.nodeType !== Node.ELEMENT_NODE || child.classList.contains("unseen")) continue;
    const style = getComputedStyle(child);
    if (style.display === "none" || style.visibility === "hidden") continue;
    if (child instanceof SVGSVGElement) copySvg(child, into, origin);
    else if (child instanceof HTMLCanvasElement) copyCanvas(child, into, origin);
    else {
      copyBox(child, style, into, origin);
      copy(child, into, origin);
    }
  }
}

const at = (box, origin) => ({
  x: box.left - origin.left,
  y: box.top - origin.top,
  width: box.width,
  height: box.height,
});

function copyBox(element, style, into, origin) {
  const hasFill = style.backgroundColor !== "rgba(0, 0, 0, 0)";
  const box = at(element.getBoundingClientRect(), origin);
  const borders = SIDES.map((side) => ({
    side,
    width: parseFloat(style[`border${side}Width`]),
    colour: style[`border${side}Color`],
    isDrawn: style[`border${side}Style`] !== "none",
  })).filter(({width, isDrawn}) => isDrawn && width > 0);
  const isFrame = borders.length === SIDES.length;
  if (hasFill || isFrame) {
    into.append(
      make("rect", {
        ...box,
        rx: parseFloat(style.borderTopLeftRadius) || 0,
        fill: hasFill ? style.backgroundColor : "none",
        stroke: isFrame ? borders[0].colour : "none",
        "stroke-width": isFrame ? borders[0].width : 0,
      }),
    );
  }
  if (!isFrame) for (const border of borders) into.append(edge(box, border));
}

/** A border of one side only, as the lines of a table have it. */
function edge({x, y, width, height}, border) {
  const [right, bottom] = [x + width, y + height];
  const [x1, y1, x2, y2] = {
    Top: [x, y, right, y],
    Right: [right, y, right, bottom],
    Bottom: [x, bottom, right, bottom],
    Left: [x, y, x, bottom],
  }[border.side];
  return make("line", {x1, y1, x2, y2, stroke: border.colour, "stroke-width": border.width});
}

function copyText(node, into, origin) {
  if (!node.textContent.trim()) return;
  const style = getComputedStyle(node.parentElement);
  const range = document.createRange();
  for (const [start, end, box] of lines(node, range)) {
    const text = make(
      "text",
      {
        x: box.left - origin.left,
        y: box.top - origin.top + box.height * 0.78,
        fill: style.color,
        "font-family": style.fontFamily,
        "font-size": style.fontSize,
        "font-weight": style.fontWeight,
      },
      node.textContent.slice(start, end).trim(),
    );
    into.append(text);
  }
}

/** The stretches of a text node that stand on one line each: [start, end, box]. */
function* lines(node, range) {
  let start = 0;
  let box = null;
  const length = node.textContent.length;
  for (let i = 0; i < length; i += 1) {
    range.setStart(node, i);
    range.setEnd(node, i + 1);
    const one = range.getBoundingClientRect();
    if (!one.width) continue;
    if (box && one.top > box.top + box.height / 2) {
      yield [start, i, box];
      [start, box] = [i, null];
    }
    box ??= {left: one.left, top: one.top, height: one.height};
    box.left = Math.min(box.left, one.left);
  }
  if (box) yield [start, length, box];
}

function copyCanvas(canvas, into, origin) {
  into.append(
    make("image", {
      ...at(canvas.getBoundingClientRect(), origin),
      href: canvas.toDataURL("image/png"),
      preserveAspectRatio: "none",
      "image-rendering": "pixelated",
    }),
  );
}

function copySvg(svg, into, origin) {
  const twin = svg.cloneNode(true);
  const originals = [svg, ...svg.querySelectorAll("*")];
  [twin, ...twin.querySelectorAll("*")].forEach((element, i) => {
    const style = getComputedStyle(originals[i]);
    for (const name of PAINT) element.setAttribute(name, style.getPropertyValue(name));
    element.removeAttribute("class");
  });
  for (const [name, value] of Object.entries(at(svg.getBoundingClientRect(), origin))) twin.setAttribute(name, value);
  into.append(twin);
}
