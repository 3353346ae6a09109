"""What is not done in time is seen in the metrics of points, though somebody else should have done it."""

import httpx
import pytest
from prometheus_client import REGISTRY

from contracts.channels import POINTS_EVENTS
from services.kit.database import Database
from services.points.service.measuring import measure
from tests.points_game import Rows, begin

pytestmark = pytest.mark.anyio
AGO = "floor(extract(epoch FROM clock_timestamp()) * 1000) - 90000"


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"baton_{name}", labels) or 0.0


async def test_a_worker_or_a_beat_that_stands_still_is_seen(
    client: httpx.AsyncClient, database: Database, rows: Rows
) -> None:
    await begin(client, database)
    await measure(database)
    assert (metric("settle_lag_seconds"), metric("awaited_lag_seconds"), metric("sessions_unfinished")) == (0, 0, 1)
    rows.change(f"UPDATE points.sessions SET due_at = {AGO}")  # noqa: S608 (our own)
    await measure(database)
    assert 90 <= metric("settle_lag_seconds") < 200
    assert metric("awaited_lag_seconds") == 0


async def test_an_answer_that_is_not_applied_in_time_is_seen(
    client: httpx.AsyncClient, database: Database, rows: Rows
) -> None:
    await begin(client, database)
    rows.change(f"UPDATE points.sessions SET due_at = {AGO}, awaited_version = puzzle_version + 1")  # noqa: S608 (our own)
    await measure(database)
    assert metric("settle_lag_seconds") == 0
    assert 90 <= metric("awaited_lag_seconds") < 200


async def test_what_nobody_confirms_and_what_was_given_up_is_seen(
    client: httpx.AsyncClient, database: Database, rows: Rows
) -> None:
    await begin(client, database)
    rows.change(f"UPDATE points.outbox SET created_at = {AGO}")  # noqa: S608 (our own)
    rows.change(
        "INSERT INTO points.dead_letters VALUES ('a', 's', '', 'why', 5, 0, 0), ('b', 's', '', 'why', 1, 0, NULL)"
    )
    await measure(database)
    assert 90 <= metric("outbox_lag_seconds", stream=POINTS_EVENTS) < 200
    assert metric("dead_letters_kept", schema="points") == 1
    rows.change("DELETE FROM points.outbox")
    await measure(database)
    assert metric("outbox_lag_seconds", stream=POINTS_EVENTS) == 0
