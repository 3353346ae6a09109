"""Columns of the tables that every service with a database has in its own schema."""

from typing import Any, cast
from uuid import UUID

from sqlalchemy import BigInteger, Index, LargeBinary, SmallInteger, Table, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, declared_attr, mapped_column


class OutboxColumns:
    """Events that were committed and that their consumer has not confirmed yet. A confirmation deletes the row."""

    __tablename__ = "outbox"

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    session_id: Mapped[UUID]
    version: Mapped[int] = mapped_column(BigInteger)
    stream: Mapped[str] = mapped_column(Text)
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[int] = mapped_column(BigInteger)
    next_try_at: Mapped[int] = mapped_column(BigInteger)
    tries: Mapped[int] = mapped_column(SmallInteger, default=0)

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[UniqueConstraint, Index]:
        return UniqueConstraint("session_id", "version"), Index("outbox_due", "next_try_at")


class DeadLetterColumns:
    """Failed tries to apply an event; from `dead_at` on it is given up until somebody retries it by hand."""

    __tablename__ = "dead_letters"

    entry_key: Mapped[str] = mapped_column(Text, primary_key=True)
    stream: Mapped[str] = mapped_column(Text)
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    error: Mapped[str] = mapped_column(Text)
    tries: Mapped[int] = mapped_column(SmallInteger)
    first_at: Mapped[int] = mapped_column(BigInteger)
    dead_at: Mapped[int | None] = mapped_column(BigInteger)

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[Index]:
        return (Index("dead_letters_overcome", "first_at", postgresql_where=text("dead_at IS NULL")),)


class IdempotencyColumns:
    """Responses of writes by the caller's Idempotency-Key."""

    __tablename__ = "idempotency"

    actor: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    request_hash: Mapped[bytes] = mapped_column(LargeBinary)
    response: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[int] = mapped_column(BigInteger, index=True)


def table_of(model: type[Any]) -> Table:
    """The table that a declarative class describes."""
    return cast("Table", model.__table__)
