/**
 * The obstacles of the spatial puzzle, by exactly the formula of docs/puzzles.md: the server judges the same question
 * with the same whole numbers, so what passes here passes there. No number gets near 2^53.
 *
 * A point is [t, x, y]: milliseconds since the attempt began, and units.
 */

const mod = (number, by) => ((number % by) + by) % by;

/** The gap's upper edge at `t`, in units. */
export function upperEdge(gate, t) {
  const u = mod(t + gate.phase_ms, 2 * gate.half_period_ms);
  return (gate.speed * Math.min(u, 2 * gate.half_period_ms - u)) / 1000;
}

/** Does a square of side 2 * `half` ever overlap the wall while its centre goes evenly from `start` to `end`? */
export function touches(gate, [t0, x0, y0], [t1, x1, y1], half) {
  const [dt, dx, dy] = [t1 - t0, x1 - x0, y1 - y0];
  const [left, right] = [gate.x - half, gate.x + gate.width + half];
  if ((x0 <= left && x1 <= left) || (x0 >= right && x1 >= right)) return false;
  // While left < x < right: from `enter` to `leave`, counted from t0, in fractions over `over`.
  let [over, enter, leave] = [1, 0, dt];
  if (dx !== 0) {
    over = Math.abs(dx);
    const [near, far] = dx > 0 ? [left - x0, right - x0] : [x0 - right, x0 - left];
    enter = Math.max(0, near * dt);
    leave = Math.min(dt * over, far * dt);
  }
  if (enter >= leave) return false;
  // Between these instants the distances to the gap's edges are straight lines: looking at the ends is enough.
  const period = gate.half_period_ms;
  const begun = (t0 + gate.phase_ms) * over;
  const instants = [
    [enter, over],
    [leave, over],
  ];
  const lastTurn = Math.floor((begun + leave) / (period * over));
  for (let turn = Math.ceil((begun + enter) / (period * over)); turn <= lastTurn; turn++) {
    instants.push([turn * period - gate.phase_ms - t0, 1]);
  }
  return instants.some(([instant, parts]) => {
    const roundTrip = 2 * period * parts;
    const u = mod((t0 + gate.phase_ms) * parts + instant, roundTrip);
    // In thousandths of a unit, times parts * dt.
    const edge = gate.speed * Math.min(u, roundTrip - u) * dt;
    const above = 1000 * ((y0 - half) * parts * dt + dy * instant) - edge;
    return above < 0 || 1000 * (gate.gap - 2 * half) * parts * dt < above;
  });
}
