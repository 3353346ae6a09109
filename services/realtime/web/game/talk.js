/** What the team says to each other: lines, gestures, and a place to say something oneself. */

import { h, say } from "../dom.js";
import { EMOTES, count, explainRefusal, glyphOf } from "../words.js";

const LONGEST = 280;
const KEPT = 50;
const NOT_CONNECTED = "There is no connection at the moment.";

/**
 * `room` is said things in and read of; whoever is no player (`mayTalk` false) only reads. `node`, `hear(frame)` for
 * what somebody said, `present()` when somebody came or went, `refused(error)` for what of ours was not taken.
 */
export function teamTalk(room, nameOf, mayTalk) {
  const watching = h("span", { class: "unit" });
  const list = h("ol", { class: "feed-list talk-list", reversed: true });
  const error = h("p", { class: "error", role: "alert" });
  const head = h("h2", {}, "Team talk ", watching);
  const node = h("section", { class: "panel talk", "aria-label": "Team talk" }, head, list);

  /** Send, and say so where that was not possible. */
  function tell(frame) {
    const sent = room.say(frame);
    say(error, sent ? "" : NOT_CONNECTED);
    return sent;
  }

  if (mayTalk) {
    const text = h("input", { maxlength: LONGEST, autocomplete: "off", "aria-label": "Say something to your team" });
    const submit = (event) => {
      event.preventDefault();
      const line = text.value.replace(/\s+/gu, " ").trim();
      if (line !== "" && tell({ type: "chat", text: line })) text.value = "";
    };
    const gesture = ([emote, [glyph, label]]) =>
      h(
        "button",
        { type: "button", class: "small", title: label, "aria-label": label, on: { click: () => tell({ type: "emote", emote }) } },
        glyph,
      );
    const form = h("form", { class: "copy", on: { submit } }, text, h("button", { type: "submit" }, "Say"));
    head.after(form, h("div", { class: "emotes" }, ...Object.entries(EMOTES).map(gesture)), error);
  }

  function hear({ type, player_id: playerId, text, emote }) {
    const words = type === "chat" ? `: ${text}` : ` ${glyphOf(emote)}`;
    list.prepend(h("li", {}, h("strong", {}, nameOf(playerId)), words));
    while (list.children.length > KEPT) list.lastElementChild.remove();
  }

  const present = () => say(watching, room.watching > 0 ? count(room.watching, "watcher") : "");

  room.said.forEach(hear);
  present();
  return { node, hear, present, refused: (refusal) => say(error, explainRefusal(refusal)) };
}
