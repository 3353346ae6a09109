"""What happened, in one line each."""

from collections.abc import Iterator

from rich.text import Text

from baton.demo.recording import Recording
from contracts import frames, rooms
from contracts.frames import NumberedEvent
from contracts.ids import PlayerId, PuzzleId
from contracts.puzzles import ClosedPuzzle
from contracts.rooms import Player, State

VOID_WORDS = {
    rooms.VoidReason.NOBODY_LEFT: "nobody is left to be paid",
    rooms.VoidReason.NEXT_SEAT_OUT: "the next seat is out",
    rooms.VoidReason.SOLVER_OUT: "too late",
    rooms.VoidReason.SESSION_OVER: "the game is over",
}


class Story:
    """Tells one recording from where it was left off."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._told = 0
        self._solved: dict[PuzzleId, ClosedPuzzle] = {}

    def news(self) -> Iterator[Text]:
        """A line for each new event that is worth one."""
        events = self._recording.events
        state = self._recording.state
        while state is not None and self._told < len(events):
            event = frames.decode_event(events[self._told].frame)
            self._told += 1
            if line := self._line(event, state):
                seconds = max(0, event.at - (state.started_at or event.at)) / 1000
                yield Text.assemble((f"{seconds:6.1f} s  ", "dim"), line)

    def _line(self, event: NumberedEvent, state: State) -> Text | None:
        names = {player.player_id: player for player in state.players}
        return self._puzzle_line(event.data, names) or _session_line(event.data, names, state)

    def _puzzle_line(self, fact: rooms.Fact, names: dict[PlayerId, Player]) -> Text | None:
        match fact:
            case rooms.PuzzleSolved(closed=closed):
                self._solved[closed.puzzle_id] = closed  # told with what it pays
                return None
            case rooms.PointsAwarded(from_player_id=giver, to_player_id=taker, amount=amount, puzzle_id=puzzle_id):
                gift = Text.assemble(" ", (f"+{amount}", "bold green"), " → ")
                return _named(names, giver) + gift + _named(names, taker) + self._how(puzzle_id)
            case rooms.PointsVoided(from_player_id=giver, puzzle_id=puzzle_id, reason=reason):
                return _named(names, giver) + f" solved, but {VOID_WORDS[reason]}" + self._how(puzzle_id)
            case rooms.PuzzleFailed(player_id=player_id, closed=closed):
                return _named(names, player_id) + Text(f" got {closed.type} wrong", style="yellow")
            case rooms.PuzzleExpired(player_id=player_id, closed=closed):
                return _named(names, player_id) + Text(f" let {closed.type} expire", style="yellow")
            case _:
                return None

    def _how(self, puzzle_id: PuzzleId) -> Text:
        if (closed := self._solved.pop(puzzle_id, None)) is None:
            return Text()
        return Text(f"   {closed.type} in {(closed.closed_at - closed.opened_at) / 1000:.1f} s", style="dim")


def _session_line(fact: rooms.Fact, names: dict[PlayerId, Player], state: State) -> Text | None:
    match fact:
        case rooms.PlayerJoined(player_id=player_id):
            return _named(names, player_id) + " joined"
        case rooms.SessionCountdown():
            return Text("the countdown runs", style="bold")
        case rooms.SessionStarted(base=base):
            every = state.rules.interval_ms / 1000
            return Text(f"play begins: {base} points each, -{state.rules.decay} every {every:g} s", style="bold")
        case rooms.PointsPenalised(player_id=player_id, amount=amount):
            return _named(names, player_id) + Text(f" loses {amount}", style="red")
        case rooms.PointsTicked(amount=amount):
            return Text(f"an operator takes {amount} from everybody", style="red")
        case rooms.PlayerEliminated(player_id=player_id, eliminated_at=at):
            seconds = (at - (state.started_at or at)) / 1000
            return _named(names, player_id) + Text(f" is out after {seconds:.1f} s", style="bold red")
        case rooms.SessionFinished(survival_ms=survival_ms):
            return Text(f"the game is over: the team survived {survival_ms / 1000:.1f} s", style="bold")
        case _:
            return None


def _named(names: dict[PlayerId, Player], player_id: PlayerId) -> Text:
    player = names.get(player_id)
    return Text.assemble("somebody" if player is None else (player.name, player.colour))
