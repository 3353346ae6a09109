/** A team without a game: its host opens one, everybody else waits for that. */

import { actionButton, h, say } from "../dom.js";
import { explain } from "../words.js";

const LOOK_MS = 3_000;

/** Ask the team now and then for a session other than `seen`. Returns a function that stops it. */
export function lookForSession({ api, seat, goTo }, seen, error) {
  const look = async () => {
    try {
      const { session_id: sessionId } = await api.readTeam(seat.team_id, seat.token);
      say(error, "");
      if (sessionId && sessionId !== seen && timer !== null) goTo(sessionId);
    } catch (caught) {
      say(error, explain(caught));
    }
    if (timer !== null) timer = setTimeout(look, LOOK_MS);
  };
  let timer = setTimeout(look, LOOK_MS);
  return () => {
    clearTimeout(timer);
    timer = null;
  };
}

/** See main.js for what a screen is. */
export function mountWaiting(element, context) {
  const { api, seat, goTo, leave } = context;
  const error = h("p", { class: "error", role: "alert" });
  const open = async () => goTo((await api.createSession(seat.host_token, {})).session_id);
  const next = seat.host_token
    ? actionButton("Open a game", open, { error, explain, class: "primary" })
    : h("p", { role: "status" }, "Waiting for the host to open a game. This page goes there by itself.");
  const away = h("button", { type: "button", class: "quiet", on: { click: leave } }, "Leave");
  element.replaceChildren(h("h1", {}, `Team ${seat.code}`), error, h("div", { class: "actions" }, next, away));
  return { update: () => {}, tick: () => {}, unmount: lookForSession(context, null, error) };
}
