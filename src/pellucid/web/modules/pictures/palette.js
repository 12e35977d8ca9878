// Colours with a meaning: a scale from nothing to all, a scale around zero, and one colour a head.
// Nothing (0) is the colour of the page, in the light and in the dark. Read matrix.js next.

/** [red, green, blue] of a colour such as "#0072b2". */
export const rgbOf = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

// Control points, evenly spaced, chosen so that lightness falls (or in the dark rises) all the way.
const SEQUENTIAL = {
  light: ["#fbfaf7", "#cde3d3", "#7ebeb4", "#2d8997", "#225680", "#242354"].map(rgbOf),
  dark: ["#15181c", "#1f384f", "#216476", "#38968a", "#8cc68b", "#f6eeaa"].map(rgbOf),
};
const NEGATIVE = {
  light: ["#fbfaf7", "#b7d1e9", "#609ad0", "#245aa0", "#112a62"].map(rgbOf),
  dark: ["#15181c", "#1b3961", "#3068a8", "#6ca2dc", "#c4defa"].map(rgbOf),
};
const POSITIVE = {
  light: ["#fbfaf7", "#f5ceaa", "#e78e4f", "#b8521b", "#682608"].map(rgbOf),
  dark: ["#15181c", "#563018", "#a3541f", "#e28f53", "#fddcbb"].map(rgbOf),
};
// Okabe and Ito 2008, told apart with every kind of colour vision; a number and a dash pattern go with each.
const HEADS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#b8a500", "#7a7a7a"];
const DASHES = ["none", "6 3", "2 2", "8 3 2 3", "12 4", "4 2 1 2", "1 3", "10 2 2 2"];

export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function mix(points, share) {
  const place = Math.min(Math.max(share, 0), 1) * (points.length - 1);
  const low = Math.min(Math.floor(place), points.length - 2);
  return points[low].map((from, i) => Math.round(from + (points[low + 1][i] - from) * (place - low)));
}

/** [red, green, blue] of a value from 0 to 1. */
export const sequential = (value, dark = isDark()) => mix(SEQUENTIAL[dark ? "dark" : "light"], value);

/** [red, green, blue] of a value from -1 to 1: blue below zero, orange above. */
export function diverging(value, dark = isDark()) {
  return mix((value < 0 ? NEGATIVE : POSITIVE)[dark ? "dark" : "light"], Math.abs(value));
}

/** The colour of a value on a scale {kind: "sequential" | "diverging", most}. */
export function colourOf(value, scale, dark = isDark()) {
  const share = scale.most > 0 ? value / scale.most : 0;
  return scale.kind === "diverging" ? diverging(share, dark) : sequential(share, dark);
}

export const css = ([red, green, blue]) => `rgb(${red}, ${green}, ${blue})`;

export const headColour = (head) => HEADS[head % HEADS.length];
export const headDash = (head) => DASHES[head % DASHES.length];

/** The light of one part of a colour, 0 to 1. */
const light = (part) => (part <= 10 ? part / 3294 : ((part / 255 + 0.055) / 1.055) ** 2.4);

/** Black or white, whichever stands out more: on every colour one of them has a contrast of 4.58 or more (WCAG 2). */
export const inkOn = ([red, green, blue]) =>
  light(red) * 0.2126 + light(green) * 0.7152 + light(blue) * 0.0722 > 0.179 ? "#000000" : "#ffffff";
