"""Valkey or Postgres fails in mid-game, with its data or without: the same must hold as when one of ours dies."""

import os
import signal

import msgspec
import pytest
import redis

from contracts.channels import PUZZLE_EVENTS
from tests.e2e.faults import BEFORE, UNCONFIRMED, WAITING, Figures, now_ms, play_on
from tests.e2e.games import Games
from tests.e2e.system import GATEWAYS, System, wait_for

pytestmark = [
    pytest.mark.usefixtures("bots_that_never_doze"),
    # From Python 3.12 on. What runs between fork and exec takes no lock that the bots' thread could hold.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


def test_valkey_is_emptied(system: System, figures: Figures) -> None:
    def rooms_told_anew() -> float:
        return sum(system.metric("points", f"baton_room_{why}_total") for why in ("gaps", "rebuilds"))

    with Games(system) as games:
        games.wait_for_answers(BEFORE)
        before = rooms_told_anew()
        broke_at = now_ms()
        system.valkey.flush()
        play_on(system, games, broke_at, figures)
        figures("rooms told anew", rooms_told_anew() - before)
        assert rooms_told_anew() - before >= len(games.teams)


def test_valkey_is_emptied_while_points_is_behind(system: System, figures: Figures) -> None:
    """Valkey has taken events that nobody has read; then it loses them, and only the outbox still knows of them."""
    points = system.processes["points"].pid
    with Games(system) as games:
        games.wait_for_answers(BEFORE)
        os.kill(points, signal.SIGSTOP)
        try:
            wait_for(lambda: system.number(UNCONFIRMED) > WAITING, "events wait for points")
            unconfirmed = {str(row["event_id"]) for row in system.query("SELECT event_id FROM puzzle.outbox")}
            broke_at = now_ms()
            system.valkey.flush()
            lost = unconfirmed - _in_stream(system)
        finally:
            os.kill(points, signal.SIGCONT)
        figures("events that Valkey had taken and lost", len(lost))
        assert lost
        play_on(system, games, broke_at, figures)


def _in_stream(system: System) -> set[str]:
    """Ids of puzzle's events that are in Valkey now."""
    with redis.Redis.from_url(system.valkey.url, socket_timeout=5) as client:
        return {msgspec.json.decode(fields[b"e"])["event_id"] for _, fields in client.xrange(PUZZLE_EVENTS)}


@pytest.mark.parametrize("keeps_data", [True, False], ids=["and keeps its data", "and loses its data"])
def test_valkey_is_killed(system: System, keeps_data: bool, figures: Figures) -> None:
    with Games(system) as games:
        games.wait_for_answers(BEFORE)
        unsent = system.metric("puzzle", "baton_outbox_send_failures_total")
        broke_at = now_ms()
        system.valkey.kill()
        wait_for(lambda: system.number(UNCONFIRMED) > WAITING, "answers are accepted while Valkey is away")
        if not keeps_data:
            system.valkey.wipe()
        system.valkey.start()
        play_on(system, games, broke_at, figures)
        unsent = system.metric("puzzle", "baton_outbox_send_failures_total") - unsent
        figures("events left to the sweeper", unsent)
        assert unsent > 0


def test_gateways_lose_their_subscriptions(system: System, figures: Figures) -> None:
    """What is said while a gateway does not hear is missing there, and must be filled in before anything later."""

    def gaps_repaired() -> float:
        return sum(system.metric(name, "baton_gaps_repaired_total") for name in GATEWAYS)

    with Games(system) as games:
        games.wait_for_answers(BEFORE)
        before = gaps_repaired()
        broke_at = now_ms()
        for _ in range(3):
            _cut_subscriptions(system)
            games.wait_for_answers(1)
        play_on(system, games, broke_at, figures)
        figures("gaps repaired", gaps_repaired() - before)
        assert gaps_repaired() > before


def _cut_subscriptions(system: System) -> None:
    """Close the connections on which gateways listen, and not those of Celery, which has a database of its own."""
    with redis.Redis.from_url(system.valkey.url, socket_timeout=5) as client:
        for listener in client.client_list(_type="pubsub"):
            if listener["db"] == "0":
                client.client_kill_filter(_id=listener["id"])


def test_postgres_is_killed(system: System, figures: Figures) -> None:
    with Games(system) as games:
        games.wait_for_answers(BEFORE)
        broke_at = now_ms()
        system.postgres.kill()
        wait_for(lambda: games.retries >= WAITING, "bots miss the database")
        system.postgres.start()
        play_on(system, games, broke_at, figures)
