"""Many teams at once in the terminal: a cell for each team, and the numbers so far."""

import time
from collections import Counter
from collections.abc import Sequence

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from baton.demo.measure import Latencies, percentile
from baton.demo.recording import points_at
from baton.demo.team import Team
from contracts.rooms import Status

STEPS = "▁▂▃▄▅▆▇█"
PHASE_STYLES = {"waiting": "dim", "joining": "cyan", "playing": "green", "checking": "magenta", "failed": "bold red"}


class CrowdView:
    """Draws itself anew whenever it is asked to."""

    def __init__(self, teams: Sequence[Team], latencies: Latencies) -> None:
        self._teams = teams
        self._latencies = latencies
        self._began: float | None = None

    def line(self) -> str:
        """Where all stand, in one line."""
        phases = Counter(team.phase for team in self._teams)
        if self._began is None and phases["playing"]:
            self._began = time.perf_counter()
        answers = sum(len(bot.judged) for team in self._teams for bot in team.bots)
        seconds = 0.0 if self._began is None else time.perf_counter() - self._began
        rate = f" ({answers / seconds:.1f}/s)" if seconds > 1 else ""
        p99 = percentile(self._latencies.from_request, 99)
        gaps = sum(len(bot.recording.faults) for team in self._teams for bot in team.bots)
        parts = [
            f"{seconds:.0f} s",
            ", ".join(f"{count} {phase}" for phase, count in phases.items()),
            f"{answers} answers{rate}",
            "" if p99 is None else f"p99 to the last socket {p99:.0f} ms",
            f"{gaps} faults" if gaps else "",
        ]
        return " · ".join(part for part in parts if part)

    def __rich__(self) -> RenderableType:
        cells = Columns([_cell(number, team) for number, team in enumerate(self._teams, 1)], padding=(0, 2))
        return Panel(Group(cells, Text(), Text(self.line(), style="bold")), title="Baton", padding=(1, 2))


def _cell(number: int, team: Team) -> Text:
    """The team's number, and each player's points as the height of a block."""
    recording = team.bots[0].recording
    cell = Text(f"{number:>3} ", style=PHASE_STYLES.get(team.phase, "dim"))
    state = recording.state
    if state is None:
        return cell + Text("·" * len(team.bots), style="dim")
    now = time.perf_counter() * 1000 + recording.clock_ahead_ms
    for player in state.players:
        if player.eliminated_at is not None:
            cell.append("\N{MULTIPLICATION SIGN}", style="red")
            continue
        points = 0 if state.status is Status.FINISHED else points_at(state, player, now)
        step = min(len(STEPS) - 1, points * len(STEPS) // max(1, state.rules.start_points))
        cell.append(STEPS[step], style=player.colour)
    return cell
