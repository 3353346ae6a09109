/** The page's words for what the API says in codes. */

import { Problem, Unreachable } from "./api.js";

const PROBLEMS = {
  team_not_found: "There is no team with this code. Check the six characters.",
  left_team: "You are no longer in this team.",
  team_full: "All seats of this team are taken. You can still watch.",
  session_in_progress: "This team is in the middle of a game. You can watch, and join the next one.",
  name_taken: "Somebody in this team has this name already. Take another.",
  no_players: "Nobody has joined yet.",
  session_not_in_lobby: "The game has already been started.",
  session_exists: "This team has a game already.",
  puzzle_closed: "This puzzle is closed already.",
  puzzle_expired: "Too late: the time for this puzzle was up.",
  player_eliminated: "You are out of the game.",
  session_not_active: "The game is not running.",
  idempotency_key_reused: "This was sent before with other contents. Try again.",
  temporarily_unavailable: "The server is busy at the moment. Try again.",
};

/** An error in a sentence for the player. */
export function explain(error) {
  if (error instanceof Unreachable) return "The server cannot be reached. Check your connection, then try again.";
  if (error instanceof Problem) return PROBLEMS[error.code] ?? error.message;
  console.error(error);
  return "Something went wrong in this page. Reload it.";
}

/** Gestures, by the word that travels. What another page calls otherwise is shown as its word. */
export const EMOTES = {
  wave: ["👋", "Wave"],
  cheer: ["🎉", "Cheer"],
  thanks: ["🙏", "Thanks"],
  hurry: ["⏰", "Hurry up"],
  sorry: ["😅", "Sorry"],
};

export const glyphOf = (emote) => EMOTES[emote]?.[0] ?? emote;

const REFUSALS = {
  rate_limited: "Not so fast: that was not sent.",
  players_only: "Only players can talk.",
  invalid_text: "That cannot be sent.",
};

/** Why something that was said did not reach anybody, or "" where that is not for the player. */
export const explainRefusal = ({ code }) => REFUSALS[code] ?? "";

const CLOSES = {
  4500: "The server waited too long for this page to introduce itself.",
  4501: "The server does not know your seat any more.",
  4502: "Your seat has expired.",
  4503: "Your seat belongs to another team.",
  4504: "This game does not exist any more.",
  4505: "The server did not understand this page. Reload it.",
  4506: "The server did not understand this page. Reload it.",
  4507: "You are no longer in this team.",
  4508: "Your seat is open in too many tabs. Close some of them.",
  4509: "This page sent too much at once. Reload it.",
};

/** Why the server closed the connection for good, and what can be done. */
export const explainClose = ({ code, reason }) =>
  CLOSES[code] ?? `The server ended the connection (${code}${reason ? `, ${reason}` : ""}).`;

/** Does this close code mean that the seat itself is worth nothing any more? */
export const seatIsLost = (code) => [4501, 4502, 4503, 4507].includes(code);

export const END_REASONS = {
  all_out: "Everybody ran out of points.",
  ended_by_host: "The host ended the game.",
  abandoned: "The game was abandoned.",
};

const VOIDS = {
  nobody_left: "nobody else is left to receive points",
  next_seat_out: "the next seat is out",
  solver_out: "the answer came too late",
  session_over: "the game was over",
};

/** What a numbered event means for the people in the room, or null where it needs no line of its own. */
export function tell(event, nameOf) {
  const { type, data } = event;
  switch (type) {
    case "points.awarded":
      return `${nameOf(data.from_player_id)} gave ${nameOf(data.to_player_id)} ${count(data.amount, "point")}.`;
    case "points.voided":
      return `${nameOf(data.from_player_id)} solved a puzzle, but ${VOIDS[data.reason] ?? "it paid nobody"}.`;
    case "points.penalised":
      return `${nameOf(data.player_id)} lost ${count(data.amount, "point")} for a wrong answer.`;
    case "points.ticked":
      return `Everybody lost ${count(data.amount, "point")}.`;
    case "puzzle.failed":
      return `${nameOf(data.player_id)} gave a wrong answer.`;
    case "puzzle.expired":
      return `${nameOf(data.player_id)} ran out of time.`;
    case "player.eliminated":
      return `${nameOf(data.player_id)} is out.`;
    default:
      return null;
  }
}

/** "1 point", "5 points". */
export const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

const two = (number) => String(number).padStart(2, "0");

/** A span of time as on a clock: 0:07, 12:34, 1:02:03. Rounded down, as clocks do. */
export function clockText(ms) {
  const seconds = Math.floor(Math.max(0, ms) / 1000);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** The same with tenths, for results: 1:02.3. */
export const exactText = (ms) => `${clockText(ms)}.${Math.floor((Math.max(0, ms) % 1000) / 100)}`;

/** Time left in whole seconds, rounded up: it says 0 only when there is none. */
export const secondsLeft = (ms) => Math.ceil(Math.max(0, ms) / 1000);
