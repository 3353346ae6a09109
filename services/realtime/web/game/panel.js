/** The player's own puzzle: its clock, its task, and what came of the last one. */

import { Problem } from "../api.js";
import { h, say } from "../dom.js";
import { puzzleType, titleOf } from "../puzzles/index.js";
import { explain, secondsLeft } from "../words.js";

const FEEDBACK_MS = 5_000;
/** A press this soon after a new puzzle appeared was meant for the one before. */
const GRACE_MS = 250;
/** Refusals that mean that the puzzle is gone; the next one is already on its way. */
const GONE = new Set([
  "puzzle_closed",
  "puzzle_expired",
  "puzzle_not_found",
  "player_eliminated",
  "session_not_active",
]);
const MARKS = { solved: "✓ Right!", failed: "✗ Wrong.", expired: "⌛ Time is up." };

/**
 * `answer(puzzleId, answer)` sends an answer and resolves to the API's response. `show(puzzle)` puts the player's
 * puzzle there (null: none), `closed(closed)` tells what came of one, `tick()` moves the clock, `unmount()` ends it.
 */
export function puzzlePanel({ answer, serverNow }) {
  const name = h("h2", { tabindex: -1 });
  const time = h("span", { class: "time" });
  const bar = h("span", { class: "bar-fill" });
  const task = h("p", { class: "task" });
  const stage = h("div", { class: "stage" });
  const controls = h("fieldset", { class: "controls" }, stage);
  const status = h("p", { class: "error", role: "alert" });
  const feedback = h("p", { class: "feedback", role: "status" });
  const clock = h("div", { class: "bar deadline", "aria-hidden": "true" }, bar);
  const head = h("div", { class: "panel-head" }, name, time);
  const node = h(
    "section",
    { class: "panel puzzle", "aria-label": "Your puzzle" },
    feedback,
    head,
    clock,
    task,
    controls,
    status,
  );

  let puzzle = null;
  let unmount = () => {};
  let shownAt = 0;
  let sending = false;
  let clearFeedback = 0;
  const told = new Set();
  const gone = new Set();

  async function submit(given) {
    if (sending || performance.now() - shownAt < GRACE_MS) return false;
    const { puzzle_id: id } = puzzle;
    sending = controls.disabled = true;
    say(status, "");
    try {
      const response = await answer(id, given);
      gone.add(id);
      closed(response.closed);
      if (puzzle?.puzzle_id === id) show(response.next ?? null);
      return true;
    } catch (error) {
      if (puzzle?.puzzle_id !== id) return true; // The event with the next puzzle was faster than the refusal.
      say(status, explain(error));
      return error instanceof Problem && GONE.has(error.code);
    } finally {
      sending = false;
      if (puzzle?.puzzle_id === id) controls.disabled = isOver();
      else controls.disabled = false;
    }
  }

  const isOver = () => puzzle !== null && serverNow() >= puzzle.deadline;

  function show(next) {
    if (next !== null && (gone.has(next.puzzle_id) || next.puzzle_id === puzzle?.puzzle_id)) return;
    const focused = document.activeElement;
    unmount();
    unmount = () => {};
    if (puzzle !== null) gone.add(puzzle.puzzle_id);
    puzzle = next;
    say(status, "");
    head.hidden = clock.hidden = task.hidden = controls.hidden = next === null;
    stage.replaceChildren();
    if (next === null) return;
    controls.disabled = false;
    shownAt = performance.now();
    const type = puzzleType(next.type);
    say(name, titleOf(next.type));
    say(task, type?.task ?? "This page does not know this kind of puzzle. The next one comes when its time is up.");
    if (type === null) return;
    unmount = type.mount(stage, next, submit, serverNow);
    if (focused !== document.body && !stage.contains(focused)) focused.focus({ preventScroll: true });
  }

  function closed(puzzleClosed) {
    if (told.has(puzzleClosed.puzzle_id)) return;
    told.add(puzzleClosed.puzzle_id);
    const type = puzzleType(puzzleClosed.type);
    const solution = puzzleClosed.verdict === "solved" ? "" : (type?.reveal(puzzleClosed.solution) ?? "");
    feedback.className = `feedback ${puzzleClosed.verdict}`;
    say(feedback, `${MARKS[puzzleClosed.verdict]} ${solution}`.trim());
    clearTimeout(clearFeedback);
    clearFeedback = setTimeout(() => say(feedback, ""), FEEDBACK_MS);
  }

  function tick() {
    if (puzzle === null) return;
    const left = puzzle.deadline - serverNow();
    const part = Math.max(0, Math.min(1, left / (puzzle.deadline - puzzle.opened_at)));
    bar.style.setProperty("--part", part.toFixed(3));
    clock.toggleAttribute("data-low", left < 3_000);
    say(time, left > 0 ? `${secondsLeft(left)} s left` : "Time is up: the next one is coming");
    if (left <= 0 && !controls.disabled) controls.disabled = true;
  }

  show(null);
  const end = () => {
    clearTimeout(clearFeedback);
    unmount();
  };
  return { node, show, closed, tick, unmount: end };
}
