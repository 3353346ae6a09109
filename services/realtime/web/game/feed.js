/** What happened, newest first, and points flying from who gave them to who got them. */

import { h, likesMotion } from "../dom.js";

const KEPT = 30;
const FLIGHT_MS = 900;
const GLOW_MS = 1_200;

/** `node`, and `add(text, at)` with the time into the game as text. */
export function feed() {
  const list = h("ol", { class: "feed-list", reversed: true });
  const node = h("section", { class: "panel feed", "aria-label": "What happened" }, h("h2", {}, "What happened"), list);
  const add = (text, at) => {
    list.prepend(h("li", {}, h("span", { class: "when" }, at), " ", text));
    while (list.children.length > KEPT) list.lastElementChild.remove();
  };
  return { node, add };
}

/** Let `text` fly from one card to another, and make the other glow. Where no movement is wanted, it only glows. */
export function fly(text, from, to) {
  if (to === null) return;
  to.classList.add("glow");
  setTimeout(() => to.classList.remove("glow"), GLOW_MS);
  const badge = h("span", { class: "award", "aria-hidden": "true" }, text);
  document.body.append(badge);
  const [start, end] = [centre(from ?? to), centre(to)];
  const place = ([x, y], scale) => `translate(${x}px, ${y}px) translate(-50%, -50%) scale(${scale})`;
  const frames = likesMotion()
    ? [
        { transform: place(start, 0.6), opacity: 0 },
        { transform: place(start, 1.2), opacity: 1, offset: 0.2 },
        { transform: place(end, 1.2), opacity: 1, offset: 0.85 },
        { transform: place(end, 0.8), opacity: 0 },
      ]
    : [{ transform: place(end, 1) }, { transform: place(end, 1) }];
  badge.animate(frames, { duration: FLIGHT_MS, easing: "ease-in-out" }).finished.finally(() => badge.remove());
}

function centre(element) {
  const box = element.getBoundingClientRect();
  return [box.left + box.width / 2, box.top + box.height / 2];
}
