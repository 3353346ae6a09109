"""Teams, sessions, ledger and log"""

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
        schema="points",
    )
    op.create_table(
        "epoch",
        sa.Column("epoch", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("epoch", name=op.f("epoch_pkey")),
        schema="points",
    )
    op.execute("INSERT INTO points.epoch VALUES (substr(md5(random()::text || clock_timestamp()::text), 1, 12))")
    op.create_table(
        "idempotency",
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("response", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("actor", "key", name=op.f("idempotency_pkey")),
        schema="points",
    )
    op.create_index(op.f("idempotency_created_at"), "idempotency", ["created_at"], unique=False, schema="points")
    op.create_table(
        "ledger",
        sa.Column("entry_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("player_id", sa.Uuid(), nullable=True),
        sa.Column("from_player_id", sa.Uuid(), nullable=True),
        sa.Column("puzzle_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("ledger_pkey")),
        sa.UniqueConstraint("key", name=op.f("ledger_key_key")),
        schema="points",
    )
    op.create_index("ledger_session", "ledger", ["session_id", "entry_id"], unique=False, schema="points")
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
        schema="points",
    )
    op.create_index("outbox_due", "outbox", ["next_try_at"], unique=False, schema="points")
    op.create_table(
        "teams",
        sa.Column("team_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("team_id", name=op.f("teams_pkey")),
        sa.UniqueConstraint("code", name=op.f("teams_code_key")),
        schema="points",
    )
    op.create_table(
        "tick_requests",
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("ticks", sa.BigInteger(), nullable=False),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "session_id", name=op.f("tick_requests_pkey")),
        schema="points",
    )
    op.create_table(
        "untold_rooms",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("next_try_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", name=op.f("untold_rooms_pkey")),
        schema="points",
    )
    op.create_index(op.f("untold_rooms_next_try_at"), "untold_rooms", ["next_try_at"], unique=False, schema="points")
    op.create_table(
        "players",
        sa.Column("player_id", sa.Uuid(), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=False),
        sa.Column("seat", sa.SmallInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("colour", sa.Text(), nullable=False),
        sa.Column("joined_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["team_id"], ["points.teams.team_id"], name=op.f("players_team_id_fkey")),
        sa.PrimaryKeyConstraint("player_id", name=op.f("players_pkey")),
        schema="points",
    )
    op.create_index(
        "players_team_name", "players", ["team_id", sa.literal_column("lower(name)")], unique=True, schema="points"
    )
    op.create_index("players_team_seat", "players", ["team_id", "seat"], unique=True, schema="points")
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("rules", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("ending_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("survival_ms", sa.BigInteger(), nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=False),
        sa.Column("puzzle_version", sa.BigInteger(), nullable=False),
        sa.Column("sent_version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["team_id"], ["points.teams.team_id"], name=op.f("sessions_team_id_fkey")),
        sa.PrimaryKeyConstraint("session_id", name=op.f("sessions_pkey")),
        schema="points",
    )
    op.create_index(
        "sessions_due",
        "sessions",
        ["due_at"],
        unique=False,
        schema="points",
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index(
        "sessions_lobby",
        "sessions",
        ["created_at"],
        unique=False,
        schema="points",
        postgresql_where=sa.text("status = 'lobby'"),
    )
    op.create_index(
        "sessions_one_unfinished",
        "sessions",
        ["team_id"],
        unique=True,
        schema="points",
        postgresql_where=sa.text("status <> 'finished'"),
    )
    op.create_index("sessions_team", "sessions", ["team_id", "created_at"], unique=False, schema="points")
    op.create_table(
        "seats",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("player_id", sa.Uuid(), nullable=False),
        sa.Column("seat", sa.SmallInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("colour", sa.Text(), nullable=False),
        sa.Column("ready", sa.Boolean(), nullable=False),
        sa.Column("base", sa.BigInteger(), nullable=False),
        sa.Column("zero_at", sa.BigInteger(), nullable=True),
        sa.Column("eliminated_at", sa.BigInteger(), nullable=True),
        sa.Column("solved", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("expired", sa.BigInteger(), nullable=False),
        sa.Column("puzzle", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["session_id"], ["points.sessions.session_id"], name=op.f("seats_session_id_fkey")),
        sa.PrimaryKeyConstraint("session_id", "player_id", name=op.f("seats_pkey")),
        schema="points",
    )
    op.create_table(
        "session_events",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("frame", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["points.sessions.session_id"], name=op.f("session_events_session_id_fkey")
        ),
        sa.PrimaryKeyConstraint("session_id", "seq", name=op.f("session_events_pkey")),
        schema="points",
    )


def downgrade() -> None:
    op.drop_table("session_events", schema="points")
    op.drop_table("seats", schema="points")
    op.drop_index("sessions_team", table_name="sessions", schema="points")
    op.drop_index(
        "sessions_one_unfinished",
        table_name="sessions",
        schema="points",
        postgresql_where=sa.text("status <> 'finished'"),
    )
    op.drop_index(
        "sessions_lobby", table_name="sessions", schema="points", postgresql_where=sa.text("status = 'lobby'")
    )
    op.drop_index(
        "sessions_due", table_name="sessions", schema="points", postgresql_where=sa.text("due_at IS NOT NULL")
    )
    op.drop_table("sessions", schema="points")
    op.drop_index("players_team_seat", table_name="players", schema="points")
    op.drop_index("players_team_name", table_name="players", schema="points")
    op.drop_table("players", schema="points")
    op.drop_index(op.f("untold_rooms_next_try_at"), table_name="untold_rooms", schema="points")
    op.drop_table("untold_rooms", schema="points")
    op.drop_table("tick_requests", schema="points")
    op.drop_table("teams", schema="points")
    op.drop_index("outbox_due", table_name="outbox", schema="points")
    op.drop_table("outbox", schema="points")
    op.drop_index("ledger_session", table_name="ledger", schema="points")
    op.drop_table("ledger", schema="points")
    op.drop_index(op.f("idempotency_created_at"), table_name="idempotency", schema="points")
    op.drop_table("idempotency", schema="points")
    op.drop_table("epoch", schema="points")
    op.drop_table("dead_letters", schema="points")
