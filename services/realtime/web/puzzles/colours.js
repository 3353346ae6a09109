/** The colours that puzzles speak of, always shown together with their names. */

import { h } from "../dom.js";

const SHADES = {
  red: "#e5262f",
  blue: "#1f6feb",
  yellow: "#ffd60a",
  green: "#1e9e3e",
  purple: "#8b3fd1",
  orange: "#ff8c1a",
  black: "#0b0b0b",
  white: "#ffffff",
};

/** A disc of that colour. The name belongs beside it: a disc alone tells nothing to who cannot tell colours apart. */
export const disc = (colour, size = "") =>
  h("span", { class: `disc ${size}`, "aria-hidden": "true", style: { "--shade": SHADES[colour] ?? "#808080" } });
