/** The game: everybody's points, the own puzzle, and what happened. */

import { actionButton, h, say } from "../dom.js";
import { cardList } from "../game/cards.js";
import { feed, fly } from "../game/feed.js";
import { puzzlePanel } from "../game/panel.js";
import { teamTalk } from "../game/talk.js";
import { isOut, playerOf, receiverOf } from "../state.js";
import { clockText, count, explain, glyphOf, tell } from "../words.js";

const WATCHING = "The cards show how many points everybody has, how long they last, and what each is solving.";
const OUTCOMES = new Set(["puzzle.solved", "puzzle.failed", "puzzle.expired"]);

/** See main.js for what a screen is. */
export function mountGame(element, { api, seat, room }) {
  const serverNow = room.clock.now;
  const survived = h("strong", { class: "survived" });
  const hint = h("p", { class: "hint" });
  const cards = cardList(seat.player_id);
  const happenings = feed();
  const panel = puzzlePanel({ answer: (id, answer) => api.answer(id, seat.token, answer), serverNow });
  const out = h("section", { class: "panel", hidden: true }, h("h2"), h("p"));
  const error = h("p", { class: "error", role: "alert" });
  const end = () => (confirm("End the game for everybody?") ? api.endSession(room.sessionId, seat.host_token) : null);
  const endButton = seat.host_token && actionButton("End the game", end, { error, explain, class: "quiet" });

  const head = h("div", { class: "game-head" }, h("p", {}, "Survived ", survived), hint, endButton || null);
  const nameOf = (id) => playerOf(room.state, id)?.name ?? "Somebody";
  const talk = teamTalk(room, nameOf, Boolean(seat.player_id));
  const side = h("div", { class: "game-side" }, talk.node, happenings.node);
  const main = h("div", { class: "game-main" }, h("div", { class: "game-own" }, panel.node, out), side);
  element.replaceChildren(h("h1", { class: "visually-hidden" }, "The game"), head, error, cards.node, main);

  function showSelf(state) {
    const self = playerOf(state, seat.player_id);
    panel.node.hidden = self === null || isOut(self);
    out.hidden = self !== null && !isOut(self);
    if (self === null || isOut(self)) {
      panel.show(null);
      say(out.firstChild, self === null ? "You are watching" : "You are out");
      say(out.lastChild, self === null ? WATCHING : "Your team plays on: every point they give each other counts.");
      say(hint, "");
      return;
    }
    panel.show(self.puzzle);
    const receiver = receiverOf(state, seat.player_id);
    const gift = count(state.rules.award, "point");
    say(
      hint,
      receiver ? `Each puzzle you solve gives ${receiver.name} ${gift}.` : "Nobody else is left to receive points.",
    );
  }

  function tick() {
    say(survived, clockText(serverNow() - room.state.started_at));
    cards.tick(room.state, serverNow());
    panel.tick();
  }

  function update(state, event) {
    cards.update(state);
    if (event !== null) {
      if (OUTCOMES.has(event.type) && event.data.player_id === seat.player_id) panel.closed(event.data.closed);
      const line = tell(event, nameOf);
      if (line !== null) happenings.add(line, clockText(event.at - state.started_at));
      if (event.type === "points.awarded") {
        const { amount, from_player_id: from, to_player_id: to } = event.data;
        fly(`+${amount}`, cards.of(from), cards.of(to));
      }
    }
    showSelf(state);
    tick();
  }

  function present() {
    cards.present(room.isHere);
    talk.present();
  }

  function hear(frame) {
    talk.hear(frame);
    if (frame.type === "emote") cards.gesture(frame.player_id, glyphOf(frame.emote));
  }

  update(room.state, null);
  present();
  return { update, tick, present, hear, refused: talk.refused, unmount: panel.unmount };
}
