"""The real service on its real database comes to what the plain model says, in whatever order things come.

`make games` plays more of them, and others.
"""

import os
import sys

import pytest

from contracts.rooms import EndReason, VoidReason
from tests.integration.points.table import Table, play
from tests.integration.points.world import world

GAMES = int(os.environ.get("GAMES", "160"))
SEED = int(os.environ.get("SEED", "1"))
CORNERS = (
    "events done",
    "events duplicate",
    "events early",
    "award",
    "penalty",
    "tick",
    "eliminations",
    "deaths",
    "workers at once",
    "waited for answers",
    "by an old position",
    *(str(reason) for reason in (*VoidReason, EndReason.ALL_OUT, EndReason.ENDED_BY_HOST)),
)
"""What games have to hold, or nothing was shown."""


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("clean")
def test_whatever_happens_the_service_comes_to_what_the_model_says(database_url: str) -> None:
    sys.stdout.write(f"GAMES={GAMES} SEED={SEED}\n")
    with world(database_url) as Table.world:
        seen = play(GAMES, SEED)
    sys.stdout.write(", ".join(f"{count} {what}" for what, count in sorted(seen.items())) + "\n")
    assert seen["games"] >= GAMES
    assert [what for what in CORNERS if not seen[what]] == []
