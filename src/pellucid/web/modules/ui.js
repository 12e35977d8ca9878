// The view library under one name: Preact's components and hooks, and htm's templates where others write JSX.
import htm from "htm";
import {useEffect, useLayoutEffect, useMemo, useRef, useState} from "hooks";
import {Component, h, render} from "preact";

/** Tagged template: html`<p class=${name}>${text}</p>`. Text is always text, never markup. */
export const html = htm.bind(h);

export {Component, render, useEffect, useLayoutEffect, useMemo, useRef, useState};

/** What makes a drawn element a button, for the pointer and for the keyboard: `<g ...${pressable(open)}>`. */
export const pressable = (onPress) => ({
  role: "button",
  tabindex: "0",
  onClick: onPress,
  onKeyDown: (event) => (event.key === "Enter" || event.key === " ") && (event.preventDefault(), onPress()),
});
