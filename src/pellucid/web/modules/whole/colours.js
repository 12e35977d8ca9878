// The colours of the picture: one a kind of attention, and those of the page. Read paint.js next.
import {css, isDark, sequential} from "pellucid/pictures/palette";

const COLOURS = {
  light: {
    encoder: "#0a6c74",
    decoder: "#6a4fa3",
    cross: "#b8521b",
    ink: "#1d1f23",
    soft: "#5d6067",
    line: "#d9d6cf",
    faint: "#f4f2ec",
    paper: "#ffffff",
    band: "#efece5",
  },
  dark: {
    encoder: "#63c3c4",
    decoder: "#b9a7f0",
    cross: "#f2a05f",
    ink: "#e8e6e1",
    soft: "#a5a8ae",
    line: "#3a4049",
    faint: "#20242a",
    paper: "#1c2025",
    band: "#2a2f37",
  },
};

export const colours = () => COLOURS[isDark() ? "dark" : "light"];

/** The colour of a change of a sub-layer, as in the chapter of the stacks. */
export const changeColour = (value, most) => css(sequential(0.1 + (0.62 * value) / (most || 1)));
