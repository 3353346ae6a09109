/** Concentration: pairs of a word and a circle go by; in one of them the word names the circle's colour. */

import { eachFrame, h, say } from "../dom.js";
import { disc } from "./colours.js";

export const title = "Concentration";
export const task = "In one of ten pairs the word names the circle's colour. Which one?";

export function mount(element, puzzle, submit, serverNow) {
  const { pairs, pair_ms: pairMs } = puzzle.view;
  const stage = h("div", { class: "pair", "aria-live": "off" });
  const match = h("button", { type: "button", class: "primary wide", on: { click: () => submit({ index: shown }) } });
  const numbers = pairs.map((_, index) =>
    h("button", { type: "button", class: "small", on: { click: () => submit({ index }) } }, String(index + 1)),
  );
  const places = h(
    "div",
    { class: "places", role: "group", "aria-label": "Answer with the number of a pair" },
    ...numbers,
  );
  element.replaceChildren(stage, match, places);

  let shown = -1;
  const show = (index) => {
    shown = index;
    const over = index >= pairs.length;
    numbers.forEach((button, number) => {
      button.disabled = number > index;
      button.toggleAttribute("data-current", number === index);
    });
    match.hidden = over;
    if (over) {
      stage.replaceChildren(h("p", { class: "question" }, "That was the last one. Which pair matched?"));
      if (document.activeElement === document.body) numbers[0].focus({ preventScroll: true });
      return;
    }
    const { word, circle } = pairs[index];
    stage.replaceChildren(
      h("span", { class: "number" }, String(index + 1)),
      h("span", { class: "word" }, word),
      h("span", { class: "circle" }, disc(circle, "big"), h("span", { class: "colour-name" }, circle)),
    );
    say(match, `Pair ${index + 1} matches`);
  };
  show(0);
  match.focus({ preventScroll: true });

  return eachFrame(() => {
    const index = Math.max(0, Math.min(pairs.length, Math.floor((serverNow() - puzzle.opened_at) / pairMs)));
    if (index !== shown) show(index);
  });
}

/** The solution of a closed puzzle in a sentence. */
export const reveal = ({ index }) => `Pair ${index + 1} matched.`;
