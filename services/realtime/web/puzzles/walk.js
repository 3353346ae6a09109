/** One attempt at the spatial puzzle: moves the square by the server's rules, and keeps the trace of it. */

import { touches } from "./gates.js";

/** Moves shorter than this are drawn together into one point of the trace, so that its length suffices. */
const JOIN_MS = 60;

export class Walk {
  /** `view`: the puzzle's. Time is given by the caller, in whole milliseconds since the attempt began. */
  constructor(view) {
    this.view = view;
    this.trace = [[0, view.start.x, view.start.y]];
    this.here = this.trace[0];
  }

  /**
   * Go on to instant `t`, towards `target` ([x, y]) as fast as is allowed; null stays. Walls do not let the square
   * in. Returns "moving", "crushed" (a wall moved onto the square), "late" (no time or no points are left)
   * or "arrived".
   */
  step(t, target) {
    const { view } = this;
    if (t <= this.here[0]) return "moving";
    if (t > view.time_limit_ms || this.trace.length + 2 > view.max_points) return "late";
    const [, x, y] = this.here;
    const [toX, toY] = target === null ? [x, y] : this.#towards(target, t);
    const choices = [
      [toX, toY],
      [toX, y],
      [x, toY],
      [x, y],
    ];
    const free = choices.find(([a, b]) => !this.#hits(this.here, [t, a, b]));
    if (free === undefined) return "crushed";
    this.#go([t, ...free]);
    const { goal } = view;
    const inside =
      free[0] >= goal.x && free[0] <= goal.x + goal.width && free[1] >= goal.y && free[1] <= goal.y + goal.height;
    return inside ? "arrived" : "moving";
  }

  /** The trace as the server wants it, up to where the square is now. */
  answer() {
    const last = this.trace[this.trace.length - 1];
    return { trace: last === this.here ? this.trace : [...this.trace, this.here] };
  }

  /** The farthest whole point on the way that can be reached by `t`. Cutting off fractions never makes it faster. */
  #towards([targetX, targetY], t) {
    const { field, half_size: half, speed_limit: limit } = this.view;
    const [t0, x0, y0] = this.here;
    const clamp = (number, size) => Math.round(Math.min(size - half, Math.max(half, number)));
    const [dx, dy] = [clamp(targetX, field.width) - x0, clamp(targetY, field.height) - y0];
    const reach = (0.999 * limit * (t - t0)) / 1000;
    const part = Math.min(1, reach / (Math.hypot(dx, dy) || 1));
    return [x0 + Math.trunc(dx * part), y0 + Math.trunc(dy * part)];
  }

  #hits(from, to) {
    return this.view.gates.some((gate) => touches(gate, from, to, this.view.half_size));
  }

  /** `next` follows `here`: as the new end of the last move if that move stays allowed, else as a move of its own. */
  #go(next) {
    const from = this.trace[this.trace.length - 1];
    const { here } = this;
    const stays = (a, b) => a[1] === b[1] && a[2] === b[2];
    const waiting = stays(from, here) && stays(here, next);
    const short = next[0] - from[0] <= JOIN_MS && !stays(from, here);
    if (here !== from && !waiting && !(short && !this.#hits(from, next))) this.trace.push(here);
    this.here = next;
  }
}
