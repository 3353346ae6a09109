"""The leaderboard: teams by their longest games, for each set of rules."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from services.kit.dependencies import RequestSnapshot
from services.points.result_schemas import LeaderboardView, LeaderView
from services.points.service import standings

router = APIRouter(tags=["standings"])

RulesId = Annotated[
    str | None,
    Query(
        pattern="^[0-9a-f]{16}$",
        description="`rules_id` of the results of a game: only games by the same rules are compared."
        " Without it, those by the default rules.",
    ),
]
After = Annotated[
    str | None,
    Query(
        pattern="^[0-9]{1,16}_[0-9]{1,16}_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        description="`next` of the page before",
    ),
]


@router.get("/leaderboard")
async def get_leaderboard(
    transaction: RequestSnapshot,
    rules_id: RulesId = None,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> LeaderboardView:
    """Teams by the longest game that each has survived, page by page. For everybody: it needs no token."""
    board = await standings.leaderboard(transaction, rules_id, _position(after), limit)
    return LeaderboardView(
        rules_id=board.rules_id,
        rules=dict(board.rules),
        teams=board.teams,
        leaders=[LeaderView.model_validate(leader) for leader in board.leaders],
        next=_name(board.leaders[-1]) if len(board.leaders) == limit else None,
    )


def _name(leader: standings.Leader) -> str:
    """The place behind a team, as the next page's `after`."""
    return f"{leader.survival_ms}_{leader.finished_at}_{leader.team_id}"


def _position(after: str | None) -> tuple[int, int, UUID] | None:
    if after is None:
        return None
    survival_ms, finished_at, team_id = after.split("_")
    return int(survival_ms), int(finished_at), UUID(team_id)
