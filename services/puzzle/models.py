"""The tables of schema `puzzle`. Instants are milliseconds since the Unix epoch."""

from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.kit.models import DeadLetterColumns, IdempotencyColumns, OutboxColumns

SCHEMA = "puzzle"


class Base(DeclarativeBase):
    """Everything the puzzle service owns."""

    metadata = MetaData(
        schema=SCHEMA,
        naming_convention={
            "ix": "%(table_name)s_%(column_0_N_name)s",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "ck": "%(table_name)s_%(constraint_name)s_check",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "pk": "%(table_name)s_pkey",
        },
    )
    type_annotation_map = {  # noqa: RUF012 (SQLAlchemy's way)
        int: BigInteger,
        str: Text,
        bytes: LargeBinary,
        list[str]: ARRAY(Text),
        dict[str, Any]: JSONB(none_as_null=True),
    }


class Session(Base):
    """The copy of a session that points' events keep, and the row whose lock orders everything in it."""

    __tablename__ = "sessions"
    __table_args__ = (
        CheckConstraint("status IN ('countdown', 'active', 'finished')", name="status"),
        Index("sessions_finished", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
    )

    session_id: Mapped[UUID] = mapped_column(primary_key=True)
    team_id: Mapped[UUID]
    status: Mapped[str]
    puzzle_types: Mapped[list[str]]
    difficulty: Mapped[int] = mapped_column(SmallInteger)
    seed: Mapped[int]
    starts_at: Mapped[int]
    points_version: Mapped[int]
    """The last of points' events that was applied."""
    version: Mapped[int]
    """The number of our own last event."""
    last_at: Mapped[int]
    """No event of the session will ever have an earlier instant than this."""
    dealt: Mapped[int]
    finished_at: Mapped[int | None]
    """When its end was heard of."""


class Player(Base):
    """A player in a session."""

    __tablename__ = "players"

    session_id: Mapped[UUID] = mapped_column(ForeignKey("puzzle.sessions.session_id"), primary_key=True)
    player_id: Mapped[UUID] = mapped_column(primary_key=True, index=True)
    eliminated_at: Mapped[int | None]


class Puzzle(Base):
    """A puzzle, its hidden answer, and what became of it."""

    __tablename__ = "puzzles"
    __table_args__ = (
        ForeignKeyConstraint(["session_id", "player_id"], ["puzzle.players.session_id", "puzzle.players.player_id"]),
        CheckConstraint("status IN ('open', 'solved', 'failed', 'expired', 'withdrawn')", name="status"),
        CheckConstraint("(status = 'open') = (closed_at IS NULL)", name="closed"),
        # Of a session, since a team's next session may be heard of before the end of its last.
        Index("puzzles_one_open", "session_id", "player_id", unique=True, postgresql_where=text("status = 'open'")),
        Index("puzzles_due", "deadline", postgresql_where=text("status = 'open'")),
    )

    puzzle_id: Mapped[UUID] = mapped_column(primary_key=True)
    session_id: Mapped[UUID] = mapped_column(index=True)
    player_id: Mapped[UUID]
    type: Mapped[str]
    type_version: Mapped[int] = mapped_column(SmallInteger)
    difficulty: Mapped[int] = mapped_column(SmallInteger)
    seed: Mapped[int]
    view: Mapped[dict[str, Any]]
    hidden: Mapped[dict[str, Any]]
    status: Mapped[str]
    opened_at: Mapped[int]
    deadline: Mapped[int]
    closed_at: Mapped[int | None]
    answer: Mapped[dict[str, Any] | None]


class Outbox(OutboxColumns, Base):
    """Events for the points service."""


class DeadLetter(DeadLetterColumns, Base):
    """Stream entries that could not be applied."""


class Idempotency(IdempotencyColumns, Base):
    """Responses of writes."""
