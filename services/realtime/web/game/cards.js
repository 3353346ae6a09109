/** A card for each player: points that fall as time goes by, how long they last, and what the player is at. */

import { h, safeColour, say } from "../dom.js";
import { titleOf } from "../puzzles/index.js";
import { isOut, pointsAt, smoothPointsAt } from "../state.js";
import { clockText, secondsLeft } from "../words.js";

/** Points of so many starts fill a card's bar; who has more sees it full. */
const FULL = 2;
const LOW_MS = 15_000;
const GESTURE_MS = 2_500;

function makeCard(isSelf) {
  const parts = {
    name: h("h3"),
    points: h("strong", { class: "points" }),
    unit: h("span", { class: "unit" }, "points"),
    lasts: h("p", { class: "lasts" }),
    fill: h("span", { class: "bar-fill" }),
    activity: h("p", { class: "activity" }),
    gives: h("p", { class: "gives" }),
    counts: h("p", { class: "counts" }),
    away: h("span", { class: "tag", hidden: true }, "away"),
    gesture: h("span", { class: "gesture", "aria-hidden": "true" }),
  };
  const you = isSelf ? h("span", { class: "tag" }, "you") : null;
  const title = h("div", { class: "card-head" }, parts.name, you, parts.away, parts.gesture);
  const amount = h("p", { class: "amount" }, parts.points, " ", parts.unit);
  const bar = h("div", { class: "bar", "aria-hidden": "true" }, parts.fill);
  parts.node = h(
    "li",
    { class: `card${isSelf ? " self" : ""}` },
    title,
    amount,
    bar,
    parts.lasts,
    parts.activity,
    parts.counts,
  );
  return parts;
}

/**
 * `node`, `update(state)` after each change, `tick(state, now)` for the clocks, `of(playerId)` for one card's node,
 * `present(isHere)` when somebody came or went, `gesture(playerId, glyph)` when somebody makes one.
 */
export function cardList(selfId) {
  const cards = new Map();
  const node = h("ul", { class: "cards", "aria-label": "Players" });

  function update(state) {
    for (const player of state.players) {
      if (!cards.has(player.player_id)) {
        const card = makeCard(player.player_id === selfId);
        cards.set(player.player_id, card);
        node.append(card.node);
      }
      const card = cards.get(player.player_id);
      card.node.style.setProperty("--player", safeColour(player.colour));
      card.node.classList.toggle("out", isOut(player));
      say(card.name, player.name);
      say(card.counts, `${player.solved} right, ${player.failed} wrong, ${player.expired} too late`);
    }
  }

  function tick(state, now) {
    for (const player of state.players) {
      const card = cards.get(player.player_id);
      const points = pointsAt(state, player, now);
      say(card.points, String(points));
      say(card.unit, points === 1 ? "point" : "points");
      const part = smoothPointsAt(state, player, now) / (FULL * state.rules.start_points);
      card.fill.style.setProperty("--part", Math.min(1, part).toFixed(4));
      const left = (player.zero_at ?? Infinity) - now;
      card.node.classList.toggle("low", !isOut(player) && left < LOW_MS);
      if (isOut(player)) {
        say(card.lasts, `Out after ${clockText(player.eliminated_at - state.started_at)}`);
        say(card.activity, "");
      } else {
        say(card.lasts, left > 0 ? `lasts ${clockText(1000 * secondsLeft(left))}` : "out of points");
        say(card.activity, activityOf(player, now));
      }
    }
  }

  function present(isHere) {
    for (const [playerId, card] of cards) card.away.hidden = isHere(playerId);
  }

  function gesture(playerId, glyph) {
    const card = cards.get(playerId);
    if (card === undefined) return;
    clearTimeout(card.clearGesture);
    say(card.gesture, glyph);
    card.clearGesture = setTimeout(() => say(card.gesture, ""), GESTURE_MS);
  }

  return { node, update, tick, present, gesture, of: (playerId) => cards.get(playerId)?.node ?? null };
}

function activityOf({ puzzle }, now) {
  if (!puzzle) return "waiting for a puzzle";
  return `${titleOf(puzzle.type)}, ${secondsLeft(puzzle.deadline - now)} s`;
}
