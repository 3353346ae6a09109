"""Walls with a moving gap, and the exact question whether a moving square touches one.

Everything is whole numbers: positions in units, time in milliseconds, speeds in units per second. A speed in units per
second is also one in *thousandths of a unit per millisecond*, so where a gap is at a whole millisecond is a whole
number of thousandths. Between them it moves evenly, so paths can be judged without sampling and without rounding.
"""

import msgspec


class Gate(msgspec.Struct, frozen=True):
    """A wall from the top to the bottom of the field, with a gap that goes up and down.

    At time t the gap's upper edge is at `speed * d / 1000` units, where `u = (t + phase_ms) mod (2 * half_period_ms)`
    and `d = min(u, 2 * half_period_ms - u)`: a triangle wave from 0 down to `speed * half_period_ms / 1000` and back.
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
        """Does a square of side 2 * `half`, its centre going evenly from `start` to `end` (each t, x, y; the second
        later than the first), overlap the wall at any instant? To touch its edges is allowed.

        While the square is beside or in the wall, its two clearances to the gap's edges are piecewise linear in time;
        they bend only where the gap turns. So both are never negative if they are not at the ends of that time and at
        the turns in it. Those instants are fractions, compared by multiplying out.
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
        if enter >= leave:
            return False
        period = self.half_period_ms
        first_turn = -(-(t0 * den + enter + self.phase_ms * den) // (period * den))
        last_turn = (t0 * den + leave + self.phase_ms * den) // (period * den)
        instants = [(enter, den), (leave, den)]
        instants += [(turn * period - self.phase_ms - t0, 1) for turn in range(first_turn, last_turn + 1)]
        for num, over in instants:
            # The clearances in thousandths of a unit, times over * dt.
            round_trip = 2 * period * over
            u = ((t0 + self.phase_ms) * over + num) % round_trip
            upper_edge = self.speed * min(u, round_trip - u) * dt
            above = 1000 * ((y0 - half) * over * dt + dy * num) - upper_edge
            if above < 0 or 1000 * (self.gap - 2 * half) * over * dt < above:
                return True
        return False
