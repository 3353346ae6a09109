"""Sessions, players and puzzles"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("entry_key", sa.Text(), nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("tries", sa.SmallInteger(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("dead_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("entry_key", name=op.f("dead_letters_pkey")),
        schema="puzzle",
    )
    op.create_table(
        "idempotency",
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("response", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("actor", "key", name=op.f("idempotency_pkey")),
        schema="puzzle",
    )
    op.create_index(op.f("idempotency_created_at"), "idempotency", ["created_at"], unique=False, schema="puzzle")
    op.create_table(
        "outbox",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("next_try_at", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("outbox_pkey")),
        sa.UniqueConstraint("session_id", "version", name=op.f("outbox_session_id_version_key")),
        schema="puzzle",
    )
    op.create_index("outbox_due", "outbox", ["next_try_at"], unique=False, schema="puzzle")
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("puzzle_types", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("difficulty", sa.SmallInteger(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("points_version", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("dealt", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("status IN ('countdown', 'active', 'finished')", name=op.f("sessions_status_check")),
        sa.PrimaryKeyConstraint("session_id", name=op.f("sessions_pkey")),
        schema="puzzle",
    )
    op.create_table(
        "players",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("player_id", sa.Uuid(), nullable=False),
        sa.Column("eliminated_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["session_id"], ["puzzle.sessions.session_id"], name=op.f("players_session_id_fkey")),
        sa.PrimaryKeyConstraint("session_id", "player_id", name=op.f("players_pkey")),
        schema="puzzle",
    )
    op.create_index(op.f("players_player_id"), "players", ["player_id"], unique=False, schema="puzzle")
    op.create_table(
        "puzzles",
        sa.Column("puzzle_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("player_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("type_version", sa.SmallInteger(), nullable=False),
        sa.Column("difficulty", sa.SmallInteger(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("view", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("hidden", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("deadline", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("answer", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint("(status = 'open') = (closed_at IS NULL)", name=op.f("puzzles_closed_check")),
        sa.CheckConstraint(
            "status IN ('open', 'solved', 'failed', 'expired', 'withdrawn')", name=op.f("puzzles_status_check")
        ),
        sa.ForeignKeyConstraint(
            ["session_id", "player_id"],
            ["puzzle.players.session_id", "puzzle.players.player_id"],
            name=op.f("puzzles_session_id_player_id_fkey"),
        ),
        sa.PrimaryKeyConstraint("puzzle_id", name=op.f("puzzles_pkey")),
        schema="puzzle",
    )
    op.create_index(
        "puzzles_due",
        "puzzles",
        ["deadline"],
        unique=False,
        schema="puzzle",
        postgresql_where=sa.text("status = 'open'"),
    )
    op.create_index(
        "puzzles_one_open",
        "puzzles",
        ["session_id", "player_id"],
        unique=True,
        schema="puzzle",
        postgresql_where=sa.text("status = 'open'"),
    )


def downgrade() -> None:
    op.drop_index(
        "puzzles_one_open", table_name="puzzles", schema="puzzle", postgresql_where=sa.text("status = 'open'")
    )
    op.drop_index("puzzles_due", table_name="puzzles", schema="puzzle", postgresql_where=sa.text("status = 'open'"))
    op.drop_table("puzzles", schema="puzzle")
    op.drop_index(op.f("players_player_id"), table_name="players", schema="puzzle")
    op.drop_table("players", schema="puzzle")
    op.drop_table("sessions", schema="puzzle")
    op.drop_index("outbox_due", table_name="outbox", schema="puzzle")
    op.drop_table("outbox", schema="puzzle")
    op.drop_index(op.f("idempotency_created_at"), table_name="idempotency", schema="puzzle")
    op.drop_table("idempotency", schema="puzzle")
    op.drop_table("dead_letters", schema="puzzle")
