"""The tables of schema `points` about finished games: replays, the archive, and how they stand among others."""

from typing import Any
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, Identity, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from services.points.models import Base


class FinishedGame(Base):
    """A game that is over; whether its log, replayed, has given what is stored, and if not, what differed."""

    __tablename__ = "finished_games"
    __table_args__ = (
        Index("finished_games_to_replay", "finished_at", postgresql_where=text("replayed_at IS NULL")),
        Index("finished_games_differing", "replayed_at", postgresql_where=text("differences <> '[]'")),
        Index("finished_games_agreeing", "finished_at", postgresql_where=text("differences = '[]'")),
    )

    session_id: Mapped[UUID] = mapped_column(primary_key=True)
    finished_at: Mapped[int]
    replayed_at: Mapped[int | None]
    differences: Mapped[list[Any] | None]


class ArchivedSession(Base):
    """A finished game, its log and its ledger as one document; its rows are in no other table any more."""

    __tablename__ = "archived_sessions"
    __table_args__ = (Index("archived_sessions_team", "team_id", "created_at"),)

    session_id: Mapped[UUID] = mapped_column(primary_key=True)
    team_id: Mapped[UUID] = mapped_column(ForeignKey("points.teams.team_id"))
    created_at: Mapped[int]
    finished_at: Mapped[int] = mapped_column(index=True)
    replayed_at: Mapped[int]
    document: Mapped[Any] = mapped_column(JSON)


class RuleSet(Base):
    """Comparable rules by which at least one game was played to its end. Standings are kept for each set."""

    __tablename__ = "rule_sets"

    rules_id: Mapped[str] = mapped_column(primary_key=True)
    rules: Mapped[dict[str, Any]]


class BestGame(Base):
    """A team's longest game by one set of rules, the earliest of equal ones: its place on the leaderboard."""

    __tablename__ = "best_games"
    __table_args__ = (
        Index("best_games_longest", "rules_id", text("survival_ms DESC"), "finished_at", "team_id", unique=True),
    )

    rules_id: Mapped[str] = mapped_column(primary_key=True)
    team_id: Mapped[UUID] = mapped_column(primary_key=True)
    team_name: Mapped[str]
    session_id: Mapped[UUID]
    players: Mapped[int] = mapped_column(SmallInteger)
    survival_ms: Mapped[int]
    finished_at: Mapped[int]


class Tally(Base):
    """How many games of the same rules have a value in a range: `node` n of `level` l counts n·256^l … (n+1)·256^l - 1.

    What stands below a value is the sum of a few ranges, however many games there are.
    """

    __tablename__ = "tallies"

    rules_id: Mapped[str] = mapped_column(primary_key=True)
    measure: Mapped[str] = mapped_column(primary_key=True)
    level: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    node: Mapped[int] = mapped_column(primary_key=True)
    games: Mapped[int]


class TallyChange(Base):
    """What a finished game changes in the tallies and the worker has not added to them yet. It counts at once."""

    __tablename__ = "tally_changes"
    __table_args__ = (Index("tally_changes_measure", "rules_id", "measure", "value"),)

    change_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    rules_id: Mapped[str]
    measure: Mapped[str]
    value: Mapped[int]
    change: Mapped[int] = mapped_column(SmallInteger)
