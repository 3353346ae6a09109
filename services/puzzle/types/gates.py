"""Walls with a moving gap, and the exact question whether a moving square touches one.

Everything is whole numbers: positions in units, time in milliseconds, speeds in units per second. Units per second
are also *thousandths of a unit per millisecond*, so where a gap is at a whole millisecond is a whole number of
thousandths. Between them it moves evenly, so a path can be judged without sampling and without rounding.
"""

import msgspec


class Gate(msgspec.Struct, frozen=True):
    """A wall from the top to the bottom of the field, with a gap that goes up and down.

    With `u = (t + phase_ms) mod (2 * half_period_ms)` and `d = min(u, 2 * half_period_ms - u)` the gap's upper edge
    is at `speed * d / 1000` at time t: a triangle wave from 0 to `speed * half_period_ms / 1000` and back.
    """

    x: int
    """The wall's left side."""
    width: int
    gap: int
    """The gap's height."""
    speed: int
    half_period_ms: int
    phase_ms: int

    def touches(self, start: tuple[int, int, int], end: tuple[int, int, int], half: int) -> bool:
        """Does a square ever overlap the wall while its centre goes evenly from `start` to `end`?

        Both are (t, x, y), `end` is later; the square's side is 2 * `half`. Edges may touch without overlapping.

        While the square is in the wall's columns, its clearances to the gap's two edges are piecewise linear in
        time and bend only where the gap turns. So they are never negative if they are not at the ends of that time
        and at the turns in it. Those instants are fractions, compared by multiplying out.
        """
        (t0, x0, y0), (t1, x1, y1) = start, end
        dt, dx, dy = t1 - t0, x1 - x0, y1 - y0
        left, right = self.x - half, self.x + self.width + half
        if (x0 <= left and x1 <= left) or (x0 >= right and x1 >= right):
            return False
        # The stretch of time with left < x < right, as numerators over `den`, counted from t0.
        if dx == 0:
            den, enter, leave = 1, 0, dt
        else:
            den = abs(dx)
            near, far = ((left - x0), (right - x0)) if dx > 0 else ((x0 - right), (x0 - left))
            enter, leave = max(0, near * dt), min(dt * den, far * dt)
        period, since = self.half_period_ms, t0 + self.phase_ms
        instants = [(enter, den), (leave, den)]
        first_turn, last_turn = -(-(since * den + enter) // (period * den)), (since * den + leave) // (period * den)
        if first_turn <= last_turn:
            instants += [(turn * period - since, 1) for turn in range(first_turn, last_turn + 1)]
        for num, over in instants:
            # The clearance above the square, and that above and below together, in thousandths of a unit * scale.
            scale, round_trip = over * dt, 2 * period * over
            u = (since * over + num) % round_trip
            upper_edge = self.speed * (u if u <= period * over else round_trip - u) * dt
            above = 1000 * ((y0 - half) * scale + dy * num) - upper_edge
            if not 0 <= above <= 1000 * (self.gap - 2 * half) * scale:
                return True
        return False
