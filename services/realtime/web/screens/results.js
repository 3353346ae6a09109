/** The results of a finished game, and the way into the next one. */

import { Problem } from "../api.js";
import { actionButton, h, safeColour, say } from "../dom.js";
import { titleOf } from "../puzzles/index.js";
import { END_REASONS, clockText, count, exactText, explain } from "../words.js";
import { lookForSession } from "./waiting.js";

const ASK_AGAIN_MS = 700;
const ASKED = 5;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The results; asked for again where the room heard of the end before this copy of the service did. */
async function read(api, sessionId, token) {
  for (let asked = 1; ; asked++) {
    try {
      return await api.readResults(sessionId, token);
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== "session_not_finished" || asked === ASKED) throw error;
    }
    await pause(ASK_AGAIN_MS);
  }
}

const tally = (counts) => `${counts.solved} / ${counts.solved + counts.failed + counts.expired}`;

const COMPARED_FROM = 10;

/** How the game stands among others by the same rules, or null while there are too few to say. */
function place({ standings }) {
  if (!standings || standings.survival.games < COMPARED_FROM) return null;
  const { below, games } = standings.survival;
  const text = `Longer than ${Math.floor((100 * below) / games)} % of ${games.toLocaleString()} games by the same rules.`;
  return h("p", { class: "hint" }, text);
}

function playerTable(results) {
  const types = [...new Set(results.players.flatMap((player) => Object.keys(player.by_type)))].sort();
  const columns = ["Player", "Survived", "Solved", ...types.map(titleOf), "Gave", "Got"];
  const row = (player) =>
    h(
      "tr",
      { style: { "--player": safeColour(player.colour) } },
      h("th", { scope: "row", class: "who" }, player.name),
      h("td", {}, clockText(player.survived_ms)),
      h("td", {}, tally(player)),
      ...types.map((type) => h("td", {}, player.by_type[type] ? tally(player.by_type[type]) : "–")),
      h("td", {}, String(player.points_given)),
      h("td", {}, String(player.points_received)),
    );
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": "Results by player" },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, ...columns.map((column) => h("th", { scope: "col" }, column)))),
      h("tbody", {}, ...results.players.map(row)),
    ),
  );
}

function keptAlive(results) {
  const names = new Map(results.players.map((player) => [player.player_id, player.name]));
  const lines = results.kept_alive.map(({ from_player_id: from, to_player_id: to, points, awards }) =>
    h(
      "li",
      {},
      h("strong", {}, names.get(from) ?? "Somebody"),
      " gave ",
      h("strong", {}, names.get(to) ?? "somebody"),
      ` ${count(points, "point")} in ${count(awards, "puzzle")}`,
    ),
  );
  return lines.length > 0 ? h("ul", {}, ...lines) : h("p", {}, "Nobody gave anybody points this time.");
}

/** See main.js for what a screen is. `goTo(sessionId)` moves this tab into another session of the team. */
export function mountResults(element, { api, seat, room, goTo, leave }) {
  const error = h("p", { class: "error", role: "alert" });
  const lookError = h("p", { class: "error", "aria-live": "polite" });
  const body = h("div", {}, h("p", { role: "status" }, "Adding it up …"));
  const again = async () => goTo((await api.createSession(seat.host_token, room.state.rules)).session_id);
  const next = seat.host_token
    ? actionButton("Play again", again, { error, explain, class: "primary" })
    : h("p", { class: "hint", role: "status" }, "When the host opens the next game, this page goes there by itself.");
  const away = h("button", { type: "button", class: "quiet", on: { click: leave } }, "Leave");
  element.replaceChildren(h("h1", {}, "Game over"), body, error, h("div", { class: "actions" }, next, away), lookError);

  const load = async () => {
    say(error, "");
    try {
      const results = await read(api, room.sessionId, seat.token);
      body.replaceChildren(
        h(
          "section",
          { class: "panel score" },
          h("p", {}, `${room.state.team_name} survived`),
          h("p", { class: "big" }, exactText(results.survival_ms)),
          h("p", {}, END_REASONS[results.end_reason] ?? ""),
          place(results),
        ),
        h(
          "section",
          { class: "panel" },
          h("h2", {}, "Players"),
          playerTable(results),
          h("p", { class: "hint" }, "Solved of all puzzles, in all and by type."),
        ),
        h("section", { class: "panel" }, h("h2", {}, "Who kept whom alive"), keptAlive(results)),
      );
    } catch (caught) {
      body.replaceChildren(actionButton("Show the results", load, { error, explain }));
      say(error, explain(caught));
    }
  };
  load();

  /** Nothing in a finished room tells of the team's next session, so the team is asked. */
  const stopLooking = lookForSession({ api, seat, goTo }, room.sessionId, lookError);
  return { update: () => {}, tick: () => {}, unmount: stopLooking };
}
