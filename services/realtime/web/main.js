/**
 * The page. It finds out who this tab is and what its team is doing, and puts the fitting screen there.
 *
 * A screen is `mount(element, context) → {update(state, event), tick(), unmount()}`: `update` after each change of
 * the room, `tick` some times a second for clocks. Those of a room may have `present()` for who came or went,
 * `hear(frame)` for what a team-mate says, and `refused(error)`.
 */

import { Problem, createApi, readConfig } from "./api.js";
import { h, say } from "./dom.js";
import { Room } from "./room.js";
import { mountGame } from "./screens/game.js";
import { mountHome } from "./screens/home.js";
import { mountLobby } from "./screens/lobby.js";
import { mountResults } from "./screens/results.js";
import { mountWaiting } from "./screens/waiting.js";
import { codeInAddress, dropSeat, loadSeat, saveSeat, showCode } from "./seats.js";
import { explain, explainClose, seatIsLost, secondsLeft } from "./words.js";

const TICK_MS = 100;
const REFRESH_AGAIN_MS = 5_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const REMOVED = "You are no longer in this team.";
const SCREENS = { lobby: mountLobby, countdown: mountLobby, active: mountGame, finished: mountResults };

const stage = document.getElementById("screen");
const banner = document.getElementById("link");

let api = null;
let config = null;
let room = null;
let screen = null;
let shown = null;
let retryAt = null;
let refreshTimer = null;

function show(mount, context) {
  screen?.unmount();
  stage.replaceChildren();
  shown = mount;
  screen = mount(stage, context);
}

function notice(text, ...buttons) {
  banner.hidden = text === "";
  banner.replaceChildren(text, ...buttons);
}

function closeRoom() {
  clearTimeout(refreshTimer);
  room?.close();
  room = null;
  retryAt = null;
  notice("");
}

function goHome(message = "") {
  closeRoom();
  show(mountHome, { api, enter, code: codeInAddress(), message });
}

/** Give this tab's seat up and begin anew, with the invitation still in the address if `message` tells why. */
function leave(seat, message = "") {
  dropSeat(seat.code);
  if (message === "") showCode("");
  goHome(message);
}

/** Take a seat that was just given: into the team's session, or wait for one. */
function enter(seat) {
  showCode(seat.code);
  if (seat.session_id) goTo(seat, seat.session_id);
  else show(mountWaiting, contextOf(seat));
}

/** Take the seat this tab had before: in the team's unfinished session, else in the last one seen here. */
async function resume(seat) {
  const team = await api.readTeam(seat.team_id, seat.token);
  if (seat.player_id && !hasSeat(team, seat)) {
    leave(seat, REMOVED);
    return;
  }
  enter({ ...seat, session_id: team.session_id ?? seat.session_id });
}

const contextOf = (seat) => ({
  api,
  seat,
  room,
  leave: () => leave(seat),
  goTo: (sessionId) => goTo(seat, sessionId),
});

function goTo(seat, sessionId) {
  closeRoom();
  screen?.unmount();
  screen = shown = null;
  stage.replaceChildren(h("p", { role: "status" }, "Connecting …"));
  const entered = { ...seat, session_id: sessionId };
  saveSeat(entered);
  room = new Room(config, sessionId, seat.token, {
    onChange: (state, event) => changed(entered, state, event),
    onPresence: () => screen?.present?.(),
    onSaid: (frame) => screen?.hear?.(frame),
    onRefused: (error) => screen?.refused?.(error),
    onToken: (leftMs) => refreshIn(leftMs / 2, entered),
    onLink: (link) => linkChanged(entered, link),
  });
  room.open();
}

/** Exchange the seat's tokens for newer ones after so long, in time before they expire. */
function refreshIn(delayMs, seat) {
  clearTimeout(refreshTimer);
  refreshTimer = setTimeout(() => refresh(seat), Math.min(delayMs, LONGEST_TIMER_MS));
}

async function refresh(seat) {
  try {
    for (const name of ["token", "host_token"]) {
      if (seat[name]) seat[name] = (await api.refreshToken(seat[name])).token;
    }
  } catch (error) {
    console.warn("the seat's tokens were not refreshed", error);
    if (!(error instanceof Problem) || error.status >= 500) refreshIn(REFRESH_AGAIN_MS, seat);
    return;
  }
  if (room?.sessionId !== seat.session_id) return; // left meanwhile
  saveSeat(seat);
  room.refresh(seat.token);
}

const hasSeat = (team, seat) => team.players.some((player) => player.player_id === seat.player_id);

function changed(seat, state, event) {
  if (event?.type === "player.left" && event.data.player_id === seat.player_id) {
    leave(seat, REMOVED);
    return;
  }
  const fitting = SCREENS[state.status];
  if (fitting !== shown) show(fitting, contextOf(seat));
  else screen.update(state, event);
  if (state.status === "finished") room.close(); // Nothing happens in it any more.
}

function linkChanged(seat, link) {
  retryAt = link.phase === "waiting" ? link.retryAt : null;
  if (link.phase === "open") notice("");
  if (link.phase === "connecting" && !banner.hidden) notice("Connection lost. Reconnecting …");
  if (link.phase !== "closed") return;
  if (seatIsLost(link.code)) {
    leave(seat, `${explainClose(link)} Join again.`);
    return;
  }
  const again = h("button", { type: "button", on: { click: () => goTo(seat, seat.session_id) } }, "Connect again");
  const home = h("button", { type: "button", class: "quiet", on: { click: () => leave(seat) } }, "Leave");
  notice(`${explainClose(link)} `, again, home);
}

setInterval(() => {
  if (retryAt !== null) {
    banner.hidden = false;
    say(banner, `Connection lost. Trying again in ${secondsLeft(retryAt - performance.now())} s.`);
  }
  if (room !== null && room.state !== null) screen?.tick();
}, TICK_MS);

async function start() {
  stage.replaceChildren(h("p", { role: "status" }, "Loading …"));
  try {
    config ??= await readConfig();
    api ??= createApi(config);
    const code = codeInAddress();
    const seat = code === "" ? null : loadSeat(code);
    if (seat === null) goHome();
    else
      await resume(seat).catch((error) => {
        if (!(error instanceof Problem) || error.status >= 500) throw error;
        leave(seat, `${explain(error)} Join again.`);
      });
  } catch (error) {
    const again = h("button", { type: "button", on: { click: start } }, "Try again");
    stage.replaceChildren(h("p", { class: "error", role: "alert" }, explain(error)), again);
  }
}

start();
