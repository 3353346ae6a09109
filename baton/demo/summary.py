"""What all the games came to, as numbers, as JSON and as a table."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from baton.demo.measure import Latencies, Spread, percentile, spread
from baton.demo.pace import Move
from baton.demo.team import Report

FAULTS_SHOWN = 12


class Summary(Struct, kw_only=True):
    """`ok` is whether every game finished with results and nobody saw anything but a gapless, consistent sequence.

    `answers` are those that the server accepted and judged; `answers_too_late` those of them that the player's
    elimination or the game's end overtook, so that no event tells of them. Latencies are in milliseconds.
    """

    ok: bool
    teams: int
    players: int
    finished: int
    seconds: float
    skill: float
    speed: float
    survival_ms: dict[str, int | None]
    answers: int
    right: int
    wrong: int
    dozed: int
    answers_too_late: int
    answers_per_s: float
    solved: int
    failed: int
    expired: int
    awards: int
    voids: int
    eliminations: int
    events_received: int
    ticks_received: int
    gaps: int
    replays_equal: int
    reconnects: int
    breaks: dict[str, int]
    http_retries: int
    http_refusals: dict[str, int]
    latency_sent_to_last_socket: Spread
    latency_accepted_to_last_socket: Spread
    faults: list[str]

    def as_json(self) -> str:
        return msgspec.json.format(msgspec.json.encode(self)).decode()


def summarise(
    reports: Sequence[Report],
    latencies: Latencies,
    *,
    seconds: float,
    skill: float,
    speed: float,
    http_retries: int,
    http_refusals: Counter[str],
) -> Summary:
    """Add up the reports of all teams."""
    events: Counter[str] = sum((report.events for report in reports), Counter())
    moves: Counter[Move] = sum((report.moves for report in reports), Counter())
    finished = [report for report in reports if report.results is not None]
    players = sum(report.players for report in reports)
    replays_equal = sum(report.replays_equal for report in reports)
    faults = [f"{report.name}: {fault}" for report in reports for fault in report.faults]
    survived = sorted(report.results.survival_ms for report in reports if report.results is not None)
    middle = percentile(survived, 50)
    answers = events["answer.solved"] + events["answer.failed"]
    return Summary(
        ok=bool(reports) and not faults and len(finished) == len(reports) and replays_equal == players,
        teams=len(reports),
        players=players,
        finished=len(finished),
        seconds=round(seconds, 1),
        skill=skill,
        speed=speed,
        survival_ms={
            "shortest": min(survived, default=None),
            "median": None if middle is None else int(middle),
            "longest": max(survived, default=None),
        },
        answers=answers,
        right=events["answer.solved"],
        wrong=events["answer.failed"],
        dozed=moves[Move.NOTHING],
        answers_too_late=sum(report.too_late for report in reports),
        answers_per_s=round(answers / seconds, 1) if seconds else 0.0,
        solved=events["puzzle.solved"],
        failed=events["puzzle.failed"],
        expired=events["puzzle.expired"],
        awards=events["points.awarded"],
        voids=events["points.voided"],
        eliminations=events["player.eliminated"],
        events_received=sum(report.received for report in reports),
        ticks_received=sum(report.ticks for report in reports),
        gaps=sum(report.sequence_faults for report in reports),
        replays_equal=replays_equal,
        reconnects=sum(len(report.breaks) for report in reports),
        breaks=dict(Counter(reason for report in reports for reason in report.breaks)),
        http_retries=http_retries,
        http_refusals=dict(http_refusals),
        latency_sent_to_last_socket=spread(latencies.from_request),
        latency_accepted_to_last_socket=spread(latencies.from_response),
        faults=faults,
    )


def as_table(summary: Summary) -> RenderableType:
    """The summary for people."""
    s = summary
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    survival = [f"{ms / 1000:.1f} s" for ms in s.survival_ms.values() if ms is not None]
    rows: list[tuple[str, Any]] = [
        ("games", f"{s.finished} of {s.teams} finished, {s.players} players, {s.seconds:.0f} s in all"),
        ("survival", " · ".join(dict.fromkeys(survival)) + (" (shortest · median · longest)" if s.teams > 1 else "")),
        ("answers", f"{s.answers} accepted ({s.answers_per_s}/s): {s.right} right, {s.wrong} wrong"
                    + (f"; {s.answers_too_late} too late to count" if s.answers_too_late else "")),
        ("puzzles", f"{s.solved} solved · {s.failed} failed · {s.expired} expired"),
        ("points", f"{s.awards} awards · {s.voids} void · {s.eliminations} eliminations"),
        ("events", f"{s.events_received} received, and {s.ticks_received} ticks"),
        ("gaps", _verdict(str(s.gaps), s.gaps == 0)),
        ("replays equal", _verdict(f"{s.replays_equal}/{s.players}", s.replays_equal == s.players)),
        ("reconnects", _counts(s.reconnects, s.breaks)),
        ("HTTP", f"{s.http_retries} repeated; {_counts(sum(s.http_refusals.values()), s.http_refusals)} refused"),
        ("answer sent → last socket", _spread(s.latency_sent_to_last_socket)),
        ("answer accepted → last socket", _spread(s.latency_accepted_to_last_socket)),
    ]  # fmt: skip
    for row in rows:
        table.add_row(*row)
    parts: list[RenderableType] = [Text("Summary", style="bold"), table]
    if s.faults:
        parts.append(Text(f"{len(s.faults)} faults; the first:", style="bold red"))
        parts += [Text(f"  {fault}", style="red") for fault in s.faults[:FAULTS_SHOWN]]
    parts.append(_verdict("All is as it should be." if s.ok else "NOT all is as it should be.", s.ok))
    return Group(*parts)


def _verdict(words: str, good: bool) -> Text:
    return Text(words, style="bold green" if good else "bold red")


def _counts(total: int, by_reason: dict[str, int]) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in by_reason.items())
    return f"{total} ({reasons})" if reasons else str(total)


def _spread(s: Spread) -> str:
    if s.p50 is None or s.p99 is None or s.worst is None:
        return "nothing measured"
    return f"p50 {s.p50:.1f} ms · p99 {s.p99:.1f} ms · worst {s.worst:.1f} ms"
