/** Building the page. Every text goes in as text, so what other players wrote can never become markup. */

/**
 * An element. `props`: `class`, `on` (listeners by event), `style` (CSS properties), attributes by their names;
 * true sets an empty attribute, false, null and undefined leave it out. Children: nodes or text; null is left out.
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") element.className = value;
    else if (name === "on")
      for (const [event, listen] of Object.entries(value)) element.addEventListener(event, listen);
    else if (name === "style") for (const [key, set] of Object.entries(value)) element.style.setProperty(key, set);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Set an element's text, touching the page only if it changed (screen readers repeat what is touched). */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A colour that came from elsewhere, or grey where it is none. */
export const safeColour = (colour) => (CSS.supports("color", colour) ? colour : "#808080");

let lastId = 0;

/**
 * A labelled input with room for its own error.
 * `field.node` goes into the page, `field.value()` reads it, `field.fail(text)` tells what was wrong ("" clears).
 */
export function field(label, attributes = {}, hint = "") {
  const id = `field-${++lastId}`;
  const error = h("p", { id: `${id}-error`, class: "error", "aria-live": "polite" });
  const input = h("input", { id, "aria-describedby": `${id}-error`, autocomplete: "off", ...attributes });
  const node = h(
    "div",
    { class: "field" },
    h("label", { for: id }, label),
    input,
    hint && h("p", { class: "hint" }, hint),
    error,
  );
  const fail = (text) => {
    say(error, text);
    input.setAttribute("aria-invalid", String(text !== ""));
  };
  input.addEventListener("input", () => fail(""));
  return { node, input, fail, value: () => input.value.trim() };
}

/**
 * A form that sends itself once at a time. `submit()` may throw; `refuse(error)` returns true if it showed the error
 * by a field, otherwise its words stand above the button.
 */
export function form(children, label, submit, { refuse = () => false, explain, extra = [] }) {
  const error = h("p", { class: "error", role: "alert" });
  const button = h("button", { type: "submit", class: "primary" }, label);
  const onSubmit = async (event) => {
    event.preventDefault();
    say(error, "");
    button.disabled = true;
    try {
      await submit();
    } catch (caught) {
      if (!refuse(caught)) say(error, explain(caught));
    } finally {
      button.disabled = false;
    }
  };
  return h(
    "form",
    { on: { submit: onSubmit }, novalidate: true },
    ...children,
    error,
    h("div", { class: "actions" }, button, ...extra),
  );
}

/** A button for something that may fail: shows its error in `error`, and cannot be pressed twice at once. */
export function actionButton(label, action, { error, explain, ...props }) {
  const button = h("button", { type: "button", ...props }, label);
  button.addEventListener("click", async () => {
    say(error, "");
    button.disabled = true;
    try {
      await action();
    } catch (caught) {
      say(error, explain(caught));
    } finally {
      button.disabled = false;
    }
  });
  return button;
}

/** Whether movement on the page is welcome. */
export const likesMotion = () => !matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Call `draw` before each repaint until the returned function is called. */
export function eachFrame(draw) {
  let handle = requestAnimationFrame(function next() {
    handle = requestAnimationFrame(next);
    draw();
  });
  return () => cancelAnimationFrame(handle);
}
