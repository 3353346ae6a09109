"""What people see, as plain text of a fixed width."""

import io
from uuid import UUID

from msgspec.structs import replace
from rich.console import Console, RenderableType

from baton.demo.recording import Recording
from baton.demo.replies import KeptAlive, PlayerResult, Results
from baton.demo.story import Story
from baton.demo.view import game, results_table
from contracts import rooms
from contracts.frames import encode_event
from contracts.ids import PuzzleId, RoomSeq
from contracts.rooms import EndReason
from tests.unit.baton.demo.games import ADA, BEN, LOG, SESSION, event_frame, snapshot_frame, state_at


def printed(renderable: RenderableType) -> str:
    console = Console(record=True, width=100, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def row(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if name in line)


def told(recording: Recording) -> list[str]:
    return [line.plain.strip() for line in Story(recording).news()]


def recorded() -> Recording:
    recording = Recording()
    recording.take(snapshot_frame(1), 0.0)
    for seq in range(2, len(LOG) + 1):
        recording.take(event_frame(seq), 0.0)
    return recording


def test_points_fall_before_the_viewers_eyes() -> None:
    early, late = (printed(game("Otters", "playing", state_at(10), at, [])) for at in (11_500.0, 13_500.0))
    assert "active 1.5 s" in early
    assert "active 3.5 s" in late
    assert row(early, "Ben").count("█") > row(late, "Ben").count("█") > 0
    assert " 4 " in row(early, "Ben")
    assert " 2 " in row(late, "Ben")
    assert "3.5 s" in row(early, "Ben")
    assert "memory 8 s" in row(early, "Ben")


def test_who_is_out_has_no_bar() -> None:
    text = printed(game("Otters", "playing", state_at(12), 13_500.0, []))
    assert "out 3.0 s" in row(text, "Ada")
    assert "█" not in row(text, "Ada")


def test_the_clock_stands_when_the_game_is_over() -> None:
    text = printed(game("Otters", "done", state_at(len(LOG)), 99_999.0, []))
    assert "finished 5.0 s" in text


def test_the_lobby_and_the_time_before_it_can_be_drawn() -> None:
    assert "joining" in printed(game("Otters", "joining", None, 0.0, []))
    lobby = printed(game("Otters", "joining", state_at(4), 5.0, []))
    assert "ready" in row(lobby, "Ada")
    assert "ready" not in row(lobby, "Ben")
    assert "begins in 2.0 s" in printed(game("Otters", "playing", state_at(5), 8_000.0, []))


def test_the_story_tells_who_gave_whom() -> None:
    assert told(recorded()) == [
        "0.0 s  Ada joined",
        "0.0 s  Ben joined",
        "0.0 s  the countdown runs",
        "0.0 s  play begins: 3 points each, -1 every 1 s",
        "1.5 s  Ada +2 → Ben   memory in 1.5 s",
        "2.5 s  Ben got memory wrong",
        "3.0 s  Ada is out after 3.0 s",
        "5.0 s  Ben is out after 5.0 s",
        "5.0 s  the game is over: the team survived 5.0 s",
    ]


def test_the_story_tells_nothing_twice() -> None:
    story = Story(recorded())
    assert len(list(story.news())) == 9
    assert list(story.news()) == []


def test_the_story_tells_of_awards_that_nobody_gets() -> None:
    recording = Recording()
    recording.take(snapshot_frame(9), 0.0)
    reason = rooms.VoidReason.NOBODY_LEFT
    fact = rooms.PointsVoided(from_player_id=ADA, puzzle_id=PuzzleId(UUID(int=10)), reason=reason)
    recording.take(encode_event(RoomSeq(10), 11_500, fact).decode(), 0.0)
    assert told(recording) == ["1.5 s  Ada solved, but nobody is left to be paid"]


def test_results_are_ranked_and_say_who_kept_whom_alive() -> None:
    ada = PlayerResult(
        player_id=ADA, seat=0, name="Ada", colour="red", survived_ms=3_000, solved=1, failed=0, expired=0,
        points_given=2, points_received=0,
    )  # fmt: skip
    ben = replace(ada, player_id=BEN, seat=1, name="Ben", survived_ms=5_000)
    gift = KeptAlive(from_player_id=ADA, to_player_id=BEN, points=2, awards=1)
    results = Results(
        session_id=SESSION, survival_ms=5_000, end_reason=EndReason.ALL_OUT, players=[ada, ben], kept_alive=[gift]
    )
    text = printed(results_table("Otters", results))
    assert "Otters survived 5.0 s (all out)" in text
    assert text.index("Ben") < text.index("Ada")
    assert "Ada kept Ben alive with 2 points in 1 award" in " ".join(text.split())
