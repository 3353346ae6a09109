"""The tables of schema `points`. Instants are milliseconds since the Unix epoch."""

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, LargeBinary, MetaData, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.kit.models import DeadLetterColumns, IdempotencyColumns, OutboxColumns

SCHEMA = "points"


class Base(DeclarativeBase):
    """Everything the points service owns."""

    metadata = MetaData(
        schema=SCHEMA,
        naming_convention={
            "ix": "%(table_name)s_%(column_0_N_name)s",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "pk": "%(table_name)s_pkey",
        },
    )
    type_annotation_map = {int: BigInteger, str: Text, bytes: LargeBinary, dict[str, Any]: JSONB, list[Any]: JSONB}  # noqa: RUF012 (SQLAlchemy's way)


class Epoch(Base):
    """One row: the life of this log. It changes only when the database was restored from a backup."""

    __tablename__ = "epoch"

    epoch: Mapped[str] = mapped_column(primary_key=True)


class Team(Base):
    """A team and its join code."""

    __tablename__ = "teams"

    team_id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    created_at: Mapped[int]


class Player(Base):
    """A member of a team. Seats are numbered from 0."""

    __tablename__ = "players"
    __table_args__ = (
        Index("players_team_seat", "team_id", "seat", unique=True),
        Index("players_team_name", "team_id", text("lower(name)"), unique=True),
    )

    player_id: Mapped[UUID] = mapped_column(primary_key=True)
    team_id: Mapped[UUID] = mapped_column(ForeignKey("points.teams.team_id"))
    seat: Mapped[int] = mapped_column(SmallInteger)
    name: Mapped[str]
    colour: Mapped[str]
    joined_at: Mapped[int]


class Session(Base):
    """A game, its place in its log, and the row whose lock orders everything that happens in it."""

    __tablename__ = "sessions"
    __table_args__ = (
        Index("sessions_one_unfinished", "team_id", unique=True, postgresql_where=text("status <> 'finished'")),
        Index(
            "sessions_due", "due_at", postgresql_where=text("due_at IS NOT NULL AND awaited_version <= puzzle_version")
        ),
        Index("sessions_awaiting", "due_at", postgresql_where=text("awaited_version > puzzle_version")),
        Index("sessions_countdown", "due_at", postgresql_where=text("status = 'countdown'")),
        Index("sessions_lobby", "created_at", postgresql_where=text("status = 'lobby'")),
        Index("sessions_team", "team_id", "created_at"),
    )

    session_id: Mapped[UUID] = mapped_column(primary_key=True)
    team_id: Mapped[UUID] = mapped_column(ForeignKey("points.teams.team_id"))
    status: Mapped[str]
    rules: Mapped[dict[str, Any]]
    seed: Mapped[int]
    created_at: Mapped[int]
    starts_at: Mapped[int | None]
    started_at: Mapped[int | None]
    ending_at: Mapped[int | None]
    finished_at: Mapped[int | None]
    survival_ms: Mapped[int | None]
    end_reason: Mapped[str | None]
    due_at: Mapped[int | None]
    seq: Mapped[int]
    settled_at: Mapped[int]
    puzzle_version: Mapped[int]
    awaited_version: Mapped[int] = mapped_column(server_default=text("0"))
    sent_version: Mapped[int]


class Seat(Base):
    """A player in a session. Written when something happens to the player, never because time passes."""

    __tablename__ = "seats"

    session_id: Mapped[UUID] = mapped_column(ForeignKey("points.sessions.session_id"), primary_key=True)
    player_id: Mapped[UUID] = mapped_column(primary_key=True)
    seat: Mapped[int] = mapped_column(SmallInteger)
    name: Mapped[str]
    colour: Mapped[str]
    ready: Mapped[bool]
    base: Mapped[int]
    zero_at: Mapped[int | None]
    eliminated_at: Mapped[int | None]
    solved: Mapped[int]
    failed: Mapped[int]
    expired: Mapped[int]
    puzzle: Mapped[bytes | None]


class SessionEvent(Base):
    """The log that clients see: numbered without a gap under the session's lock, kept as the very frames."""

    __tablename__ = "session_events"

    session_id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    type: Mapped[str]
    at: Mapped[int]
    frame: Mapped[bytes]


class LedgerEntry(Base):
    """Why points changed. Only ever appended to; `key` makes that each puzzle pays at most once."""

    __tablename__ = "ledger"
    __table_args__ = (Index("ledger_session", "session_id", "entry_id"),)

    entry_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    session_id: Mapped[UUID]
    key: Mapped[str] = mapped_column(unique=True)
    at: Mapped[int]
    kind: Mapped[str]
    amount: Mapped[int]
    base: Mapped[int | None]
    player_id: Mapped[UUID | None]
    from_player_id: Mapped[UUID | None]
    puzzle_id: Mapped[UUID | None]
    reason: Mapped[str | None]


class UntoldRoom(Base):
    """Rooms that still have to be told of events up to `seq`. The row is gone once they were."""

    __tablename__ = "untold_rooms"

    session_id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int]
    next_try_at: Mapped[int]


class TickRequest(Base):
    """Extra ticks that an operator asked for and that are not taken yet."""

    __tablename__ = "tick_requests"

    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    session_id: Mapped[UUID] = mapped_column(primary_key=True)
    ticks: Mapped[int]
    requested_at: Mapped[int]


class Outbox(OutboxColumns, Base):
    """Events for the puzzle service."""


class DeadLetter(DeadLetterColumns, Base):
    """The puzzle service's events that could not be applied."""


class Idempotency(IdempotencyColumns, Base):
    """Responses of writes."""
