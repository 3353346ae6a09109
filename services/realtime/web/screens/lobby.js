/** The lobby: who is there and ready, the link for others, the host's start, and the countdown. */

import { actionButton, h, safeColour, say } from "../dom.js";
import { teamTalk } from "../game/talk.js";
import { titleOf } from "../puzzles/index.js";
import { inviteLink } from "../seats.js";
import { playerOf } from "../state.js";
import { count, explain, secondsLeft } from "../words.js";

/** Copy text, also where the clipboard is closed to pages without https. Resolves to whether it worked. */
async function copy(input) {
  input.select();
  try {
    await navigator.clipboard.writeText(input.value);
    return true;
  } catch {
    return document.execCommand("copy");
  }
}

function invitation(code) {
  const input = h("input", { readonly: true, value: inviteLink(code), "aria-label": "Link for your team" });
  const copied = h("p", { class: "hint", role: "status" });
  const button = h("button", { type: "button" }, "Copy link");
  button.addEventListener("click", async () => {
    say(copied, (await copy(input)) ? "Copied. Send it to your team." : "Copy the link from the field.");
  });
  const spelled = h("p", {}, "Or tell them the code ", h("strong", { class: "code" }, code), ".");
  return h(
    "section",
    { class: "panel" },
    h("h2", {}, "Invite"),
    h("div", { class: "copy" }, input, button),
    copied,
    spelled,
  );
}

function rulesText(rules) {
  const seconds = rules.interval_ms / 1000;
  const penalty = rules.penalty ? `A wrong answer costs ${count(rules.penalty, "point")}. ` : "";
  return (
    `Everybody starts with ${count(rules.start_points, "point")} ` +
    `and loses ${rules.decay} every ${count(seconds, "second")}. ` +
    `A solved puzzle gives ${count(rules.award, "point")} to the next player. ${penalty}Who reaches 0 is out; ` +
    `the team's score is the time until the last one is. Puzzles: ${rules.puzzle_types.map(titleOf).join(", ")}; ` +
    `difficulty ${rules.difficulty} of 5.`
  );
}

/** See main.js for what a screen is. `leave()` gives the seat up in this tab. */
export function mountLobby(element, { api, seat, room, leave }) {
  const isHost = Boolean(seat.host_token);
  const title = h("h1");
  const error = h("p", { class: "error", role: "alert" });
  const list = h("ul", { class: "lobby-players" });
  const summary = h("p", { role: "status" });
  const big = h("p", { class: "countdown", role: "timer" });
  const common = { error, explain };

  let amReady = false;
  const setReady = () => api.setReady(room.sessionId, seat.token, !amReady);
  const ready = actionButton("I am ready", setReady, { ...common, class: "primary" });
  const start = actionButton("Start the game", () => api.startSession(room.sessionId, seat.host_token), {
    ...common,
    class: "primary",
  });
  const giveUp = async () => {
    if (isHost && !confirm("You are the host: without you nobody can start the game. Leave?")) return;
    await api.leaveTeam(seat.team_id, seat.player_id, seat.token);
    leave();
  };
  const away = actionButton(seat.player_id ? "Leave the team" : "Stop watching", seat.player_id ? giveUp : leave, {
    ...common,
    class: "quiet",
  });
  const actions = h("div", { class: "actions" }, seat.player_id ? ready : null, isHost ? start : null, away);
  const role = seat.player_id ? null : h("p", { class: "hint" }, "You are watching.");
  const rules = h("p");
  const talk = teamTalk(room, (id) => playerOf(room.state, id)?.name ?? "Somebody", Boolean(seat.player_id));
  const waiting = h(
    "div",
    {},
    h("section", { class: "panel" }, h("h2", {}, "Players"), list, summary, role, actions, error),
    h("div", { class: "columns" }, invitation(seat.code), talk.node),
    h("section", { class: "panel" }, h("h2", {}, "Rules"), rules),
  );
  element.replaceChildren(title, big, waiting);

  const remove = (player) =>
    actionButton("Remove", () => api.leaveTeam(seat.team_id, player.player_id, seat.host_token), {
      ...common,
      class: "quiet small",
      "aria-label": `Remove ${player.name}`,
    });

  const awayTag = (player) => (room.isHere(player.player_id) ? null : h("span", { class: "tag" }, "away"));

  const row = (player) => {
    const isSelf = player.player_id === seat.player_id;
    return h(
      "li",
      { style: { "--player": safeColour(player.colour) } },
      h("span", { class: "who" }, player.name, isSelf ? h("span", { class: "tag" }, "you") : awayTag(player)),
      h("span", { class: player.ready ? "ready yes" : "ready" }, player.ready ? "✓ ready" : "not ready yet"),
      isHost && !isSelf ? remove(player) : null,
    );
  };

  function update(state) {
    say(title, state.team_name);
    const { players, rules: agreed } = state;
    list.replaceChildren(...players.map(row));
    const readyCount = players.filter((player) => player.ready).length;
    const free = agreed.seats - players.length;
    say(
      summary,
      players.length === 0
        ? "Nobody is here yet."
        : `${readyCount} of ${players.length} ready, ${free > 0 ? `${count(free, "seat")} free` : "all seats taken"}.` +
            (isHost ? "" : " The host starts the game."),
    );
    start.disabled = players.length === 0;
    amReady = playerOf(state, seat.player_id)?.ready ?? false;
    say(ready, amReady ? "Not ready after all" : "I am ready");
    ready.classList.toggle("primary", !amReady);
    say(rules, rulesText(agreed));
    waiting.hidden = state.status === "countdown";
    tick();
  }

  function tick() {
    const { state } = room;
    big.hidden = state.status !== "countdown";
    if (big.hidden) return;
    const left = state.starts_at - room.clock.now();
    say(big, left > 0 ? String(secondsLeft(left)) : "Go!");
  }

  function present() {
    list.replaceChildren(...room.state.players.map(row));
    talk.present();
  }

  update(room.state);
  return { update, tick, present, hear: talk.hear, refused: talk.refused, unmount: () => {} };
}
