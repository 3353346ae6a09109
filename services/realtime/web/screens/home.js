/** The first screen: make a team, or join or watch one. */

import { Problem } from "../api.js";
import { field, form, h } from "../dom.js";
import { saveSeat } from "../seats.js";
import { explain } from "../words.js";

/** What is asked for where nothing of a code is left: no team has it, and the server says so. */
const NO_CODE = "0";
const COLOURS = ["#e4572e", "#2e86ab", "#3a9d5d", "#a154c9", "#c98a00", "#d1478a", "#0f9d9d", "#6b7a8f"];

const LABELS = {
  start_points: "Points at the start",
  interval_s: "Seconds until a point is lost",
  award: "Points for a solved puzzle",
  penalty: "Points lost by a wrong answer",
  seats: "Seats",
  difficulty: "Difficulty (1 easy to 5 hard)",
};
const DEFAULTS = { start_points: 15, interval_s: 5, award: 5, penalty: 0, seats: 4, difficulty: 2 };

const playerField = () => field("Your name", { required: true, maxlength: 24, autocomplete: "nickname" });

function colourField() {
  const id = "player-colour";
  const first = COLOURS[Math.floor(Math.random() * COLOURS.length)];
  const input = h("input", { id, type: "color", value: first });
  return {
    node: h("div", { class: "field" }, h("label", { for: id }, "Your colour"), input),
    value: () => input.value,
  };
}

/** Stop where a field is empty, telling so beside it. */
function filled(...fields) {
  const empty = fields.filter((each) => each.value() === "");
  for (const each of empty) each.fail("Please fill this in.");
  empty[0]?.input.focus();
  return empty.length === 0;
}

const UNITS = { interval_ms: " milliseconds" };

/** What a refused rule or field may be, without its name in the API. */
function demand(error, name) {
  if (error.more.errors?.[0]?.message.includes("pattern")) return "Some of these characters cannot be used.";
  const words = error.more.errors?.[0]?.message ?? error.message.slice(error.message.indexOf(":") + 1).trim();
  return `${words[0].toUpperCase()}${words.slice(1)}${UNITS[name] ?? ""}.`;
}

/** Show a refusal beside the field it is about. `fields` by the names the API has for them. */
function refuseBy(fields) {
  const about = { team_not_found: "code", name_taken: "name" };
  return (error) => {
    if (!(error instanceof Problem)) return false;
    const path = error.more.field ?? error.more.errors?.[0]?.field ?? "";
    const name = about[error.code] ?? path.split(".").pop();
    if (!Object.hasOwn(fields, name)) return false;
    fields[name].fail(Object.hasOwn(about, error.code) ? explain(error) : demand(error, name));
    fields[name].input.focus();
    return true;
  };
}

function seatOf(code, joined, names, more = {}) {
  const { team_id, token, session_id, player_id = null } = joined;
  return { code, team_id, token, session_id, player_id, host_token: null, ...names, ...more };
}

function newTeam({ api, enter }) {
  const team = field("Team name", { required: true, maxlength: 40 });
  const [player, colour] = [playerField(), colourField()];
  const rules = Object.fromEntries(
    Object.entries(DEFAULTS).map(([name, value]) => [
      name,
      field(LABELS[name], { type: "number", value, min: 0, step: "any" }),
    ]),
  );
  const details = h(
    "details",
    {},
    h("summary", {}, "Rules of the game"),
    h("div", { class: "grid" }, ...Object.values(rules).map((each) => each.node)),
  );
  const asked = () => {
    const { interval_s: interval, ...plain } = Object.fromEntries(
      Object.entries(rules).map(([name, each]) => [name, Number(each.value())]),
    );
    return { ...plain, interval_ms: Math.round(interval * 1000) };
  };
  /** What an earlier try got done, so that a refused rule does not make a second team. */
  let made = null;
  let opened = null;

  const submit = async () => {
    if (!filled(team, player)) return;
    if (made?.name !== team.value()) [made, opened] = [await api.createTeam(team.value()), null];
    opened ??= await api.createSession(made.host_token, asked());
    const joined = await api.joinTeam(made.code, { name: player.value(), colour: colour.value() });
    const seat = seatOf(made.code, joined, {}, { host_token: made.host_token, session_id: opened.session_id });
    saveSeat(seat);
    enter(seat);
  };
  const refuse = (error) => {
    const shown = refuseBy({ ...rules, interval_ms: rules.interval_s, name: made === null ? team : player })(error);
    if (shown && error.code === "invalid_rules") details.open = true;
    return shown;
  };
  return h(
    "section",
    { class: "panel" },
    h("h2", {}, "New team"),
    form([team.node, player.node, colour.node, details], "Make the team", submit, { refuse, explain }),
  );
}

function joinTeam({ api, enter, code: given, message }) {
  const code = field("Team code", {
    required: true,
    maxlength: 12,
    value: given,
    autocapitalize: "characters",
    spellcheck: "false",
    class: "code",
  });
  const [player, colour] = [playerField(), colourField()];
  const read = () =>
    code
      .value()
      .toUpperCase()
      .replace(/[^A-Z0-9]/g, "");
  const join = async () => {
    if (!filled(code, player)) return;
    const joined = await api.joinTeam(read() || NO_CODE, { name: player.value(), colour: colour.value() });
    const seat = seatOf(read(), joined, {});
    saveSeat(seat);
    enter(seat);
  };
  const watch = async () => {
    if (!filled(code)) return;
    const seat = seatOf(read(), await api.watchTeam(read() || NO_CODE), {});
    saveSeat(seat);
    enter(seat);
  };
  const refuse = refuseBy({ code, name: player });
  const error = h("p", { class: "error", role: "alert" });
  const onWatch = async (event) => {
    event.target.disabled = true;
    try {
      await watch();
    } catch (caught) {
      if (!refuse(caught)) error.textContent = explain(caught);
    } finally {
      event.target.disabled = false;
    }
  };
  const watching = h("button", { type: "button", on: { click: onWatch } }, "Just watch");
  return h(
    "section",
    { class: "panel" },
    h("h2", {}, "Join a team"),
    message && h("p", { class: "error", role: "alert" }, message),
    form([code.node, player.node, colour.node, error], "Join", join, { refuse, explain, extra: [watching] }),
  );
}

/** See main.js for what a screen is. `code` is the invitation's, or ""; `message` says why the seat before was lost. */
export function mountHome(element, context) {
  const intro = h(
    "p",
    { class: "lead" },
    "A game for about four. Your points run out. Solving a puzzle gives points to the next one, never to yourself: " +
      "keep each other alive for as long as you can.",
  );
  const [make, join] = [newTeam(context), joinTeam(context)];
  element.replaceChildren(
    h("h1", {}, "Baton"),
    intro,
    h("div", { class: "columns" }, ...(context.code ? [join, make] : [make, join])),
  );
  if (context.code) join.querySelectorAll("input")[1].focus();
  return { update: () => {}, tick: () => {}, unmount: () => {} };
}
