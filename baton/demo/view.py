"""One team's game in the terminal: points as falling bars, puzzles, what happened, and the results."""

import time
from collections import deque

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from baton.demo.recording import points_at
from baton.demo.replies import Results
from baton.demo.story import Story
from baton.demo.team import Team
from contracts.rooms import Player, State, Status

BAR = 30
LINES = 9
EIGHTHS = " ▏▎▍▌▋▊▉"
URGENT_MS = 5_000


class GameView:
    """Draws itself anew from what the team's first bot knows, whenever it is asked to."""

    def __init__(self, team: Team) -> None:
        self._team = team
        self._recording = team.bots[0].recording
        self._story = Story(self._recording)
        self._lines: deque[Text] = deque(maxlen=LINES)

    def __rich__(self) -> RenderableType:
        self._lines.extend(self._story.news())
        now = time.perf_counter() * 1000 + self._recording.clock_ahead_ms
        return game(self._team.name, self._team.phase, self._recording.state, now, list(self._lines))


def game(name: str, phase: str, state: State | None, now: float, lines: list[Text]) -> Panel:
    """The whole picture at the instant `now` of the server's clock, in milliseconds."""
    if state is None:
        return Panel(Text(f"{phase} …", style="dim"), title=f"Baton · {name}", border_style="dim")
    title = Text.assemble((f" {state.team_name} ", "bold"), "· ", (f"{_clock(state, now)} ", _status_style(state)))
    filler = [Text()] * (LINES - len(lines))
    body = Group(_players(state, now), Text(), *lines, *filler)
    server_time = time.strftime("%H:%M:%S", time.gmtime(now / 1000))
    subtitle = Text(f" server time {server_time} UTC · {phase} ", style="dim")
    return Panel(body, title=title, subtitle=subtitle, border_style=_status_style(state), padding=(1, 2))


def _players(state: State, now: float) -> Table:
    table = Table(box=None, expand=True, header_style="dim", padding=(0, 1))
    table.add_column(width=5, no_wrap=True)
    table.add_column("points", width=BAR, no_wrap=True)
    table.add_column(width=4, justify="right")
    table.add_column("out in", width=10, justify="right", no_wrap=True)
    table.add_column("puzzle", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("✓ ✗ ○", width=10, justify="right", no_wrap=True)
    full = max([state.rules.start_points, *(points_at(state, player, now) for player in state.players)])
    for player in state.players:
        table.add_row(*_player(state, player, now, full))
    return table


def _player(state: State, player: Player, now: float, full: int) -> list[RenderableType]:
    counts = Text.assemble(
        (f"{player.solved}✓ ", "green"), (f"{player.failed}✗ ", "red"), (f"{player.expired}○", "yellow")
    )
    if player.eliminated_at is not None:
        lived = (player.eliminated_at - (state.started_at or player.eliminated_at)) / 1000
        return [Text.assemble((player.name, "dim strike")), Text("·" * BAR, style="dim"), Text("0", style="dim"),
                Text(f"out {lived:.1f} s", style="red"), Text(), counts]  # fmt: skip
    points = points_at(state, player, now)
    left_ms = None if player.zero_at is None or state.status is not Status.ACTIVE else max(0, player.zero_at - now)
    urgent = left_ms is not None and left_ms < URGENT_MS
    return [
        Text(player.name, style=f"bold {player.colour}"),
        _bar(points / full if full else 0.0, player.colour),
        Text(str(points), style="bold red" if urgent else "bold"),
        Text("" if left_ms is None else f"{left_ms / 1000:.1f} s", style="bold red" if urgent else "dim"),
        _puzzle(state, player, now),
        counts,
    ]


def _puzzle(state: State, player: Player, now: float) -> Text:
    if state.status is Status.LOBBY:
        return Text("ready" if player.ready else "…", style="dim")
    if player.puzzle is None:
        return Text()
    left = max(0.0, (player.puzzle.deadline - now) / 1000)
    return Text.assemble((player.puzzle.type, "cyan"), (f" {left:.0f} s", "dim"))


def _bar(part: float, colour: str) -> Text:
    eighths = round(max(0.0, min(1.0, part)) * BAR * 8)
    whole, rest = divmod(eighths, 8)
    filled = "█" * whole + (EIGHTHS[rest] if rest else "")
    return Text.assemble((filled, colour), ("─" * (BAR - len(filled)), "dim"))


def _clock(state: State, now: float) -> str:
    if state.status is Status.COUNTDOWN and state.starts_at is not None:
        return f"begins in {max(0.0, (state.starts_at - now) / 1000):.1f} s"
    if state.started_at is None:
        return state.status.value
    end = now if state.finished_at is None else (state.started_at + (state.survival_ms or 0))
    return f"{state.status.value} {max(0.0, (end - state.started_at) / 1000):.1f} s"


def _status_style(state: State) -> str:
    return {Status.LOBBY: "cyan", Status.COUNTDOWN: "yellow", Status.ACTIVE: "green"}.get(state.status, "magenta")


def results_table(name: str, results: Results) -> RenderableType:
    """The end of the game: who survived how long, and who kept whom alive."""
    reason = results.end_reason.value.replace("_", " ")
    table = Table(title=f"{name} survived {results.survival_ms / 1000:.1f} s ({reason})", title_style="bold")
    for column in ("player", "survived", "solved", "failed", "expired", "gave", "received"):
        table.add_column(column, justify="left" if column == "player" else "right")
    for player in sorted(results.players, key=lambda p: -p.survived_ms):
        numbers = [player.solved, player.failed, player.expired, player.points_given, player.points_received]
        table.add_row(
            Text(player.name, style=player.colour), f"{player.survived_ms / 1000:.1f} s", *(str(n) for n in numbers)
        )
    names = {player.player_id: Text(player.name, style=player.colour) for player in results.players}
    gifts = Table.grid(padding=(0, 1))
    for gift in sorted(results.kept_alive, key=lambda g: -g.points):
        gave = f"with {gift.points} points in {gift.awards} award{'' if gift.awards == 1 else 's'}"
        gifts.add_row(names[gift.from_player_id], "kept", names[gift.to_player_id], "alive", Text(gave, style="dim"))
    return Group(table, Text(), gifts)
