/** Multitasking: find the one other digit in each of several rows. */

import { h, say } from "../dom.js";

export const title = "Multitasking";
export const task = "Find the 6 in every row, then send.";

export function mount(element, puzzle, submit) {
  const { rows } = puzzle.view;
  const chosen = rows.map(() => null);
  const left = () => chosen.filter((column) => column === null).length;
  const send = h("button", { type: "submit", class: "primary wide", disabled: true });
  const update = () => {
    send.disabled = left() > 0;
    say(send, left() > 0 ? `${left()} of ${rows.length} rows to go` : "Send");
  };

  const cell = (row, digit, column) => {
    const choose = () => {
      chosen[row] = column;
      update();
    };
    const radio = h("input", {
      type: "radio",
      name: `row-${row}`,
      "aria-label": `${digit}, place ${column + 1}`,
      on: { change: choose },
    });
    return h("label", { class: "cell" }, radio, h("span", { "aria-hidden": "true" }, digit));
  };
  const lines = rows.map((digits, row) =>
    h(
      "fieldset",
      { class: "digits" },
      h("legend", {}, `Row ${row + 1}`),
      ...[...digits].map((digit, column) => cell(row, digit, column)),
    ),
  );
  const onSubmit = (event) => {
    event.preventDefault();
    if (left() === 0) submit({ columns: chosen });
  };
  element.replaceChildren(h("form", { on: { submit: onSubmit } }, ...lines, send));
  update();
  element.querySelector("input").focus({ preventScroll: true });
  return () => {};
}

/** The solution of a closed puzzle in a sentence. */
export const reveal = ({ columns }) => `The 6s were at places ${columns.map((column) => column + 1).join(", ")}.`;
