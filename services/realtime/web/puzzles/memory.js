/** Memory: numbers and colours are shown for a while, then one number is asked for. */

import { eachFrame, h, say } from "../dom.js";
import { secondsLeft } from "../words.js";
import { disc } from "./colours.js";

export const title = "Memory";
export const task = "Remember which colour belongs to which number.";

export function mount(element, puzzle, submit, serverNow) {
  const { mapping, reveal_ms: revealMs, question, choices } = puzzle.view;
  const hiddenAt = puzzle.opened_at + revealMs;
  const note = h("p", { class: "note" });
  const pairs = Object.entries(mapping).sort(([a], [b]) => a - b);
  const items = pairs.map(([number, colour]) =>
    h("li", {}, h("span", { class: "number" }, number), disc(colour), h("span", { class: "colour-name" }, colour)),
  );
  element.replaceChildren(h("ol", { class: "mapping", "aria-label": "Remember these" }, ...items), note);

  const choose = (colour) =>
    h(
      "button",
      { type: "button", class: "choice", on: { click: () => submit({ colour }) } },
      disc(colour),
      h("span", {}, colour),
    );

  const stop = eachFrame(() => {
    const left = hiddenAt - serverNow();
    if (left > 0) return say(note, `They disappear in ${secondsLeft(left)} s.`);
    stop();
    const buttons = choices.map(choose);
    const asked = h("p", { class: "question", id: "memory-question" }, `Which colour was number ${question}?`);
    element.replaceChildren(
      asked,
      h("div", { class: "choices", role: "group", "aria-labelledby": "memory-question" }, ...buttons),
    );
    buttons[0].focus({ preventScroll: true });
  });
  return stop;
}

/** The solution of a closed puzzle in a sentence. */
export const reveal = ({ colour }) => `It was ${colour}.`;
