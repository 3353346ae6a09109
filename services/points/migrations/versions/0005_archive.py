"""The archive of finished games"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

RESTORE = """
    WITH taken AS (
        DELETE FROM points.archived_sessions RETURNING *
    ), sessions AS (
        INSERT INTO points.sessions
        SELECT part.* FROM taken, json_populate_recordset(NULL::points.sessions, document -> 'sessions') AS part
    ), seats AS (
        INSERT INTO points.seats
        SELECT part.* FROM taken, json_populate_recordset(NULL::points.seats, document -> 'seats') AS part
    ), ledger AS (
        INSERT INTO points.ledger OVERRIDING SYSTEM VALUE
        SELECT part.* FROM taken, json_populate_recordset(NULL::points.ledger, document -> 'ledger') AS part
    ), events AS (
        INSERT INTO points.session_events (session_id, seq, type, at, frame)
        SELECT session_id, seq, frame ->> 'type', (frame ->> 'at')::bigint, convert_to(frame::text, 'UTF8')
        FROM taken CROSS JOIN json_array_elements(document -> 'frames') WITH ORDINALITY AS event (frame, seq)
    )
    INSERT INTO points.finished_games (session_id, finished_at, replayed_at, differences)
    SELECT session_id, finished_at, replayed_at, '[]' FROM taken
"""


def upgrade() -> None:
    op.create_table(
        "archived_sessions",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=False),
        sa.Column("replayed_at", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["team_id"], ["points.teams.team_id"], name=op.f("archived_sessions_team_id_fkey")),
        sa.PrimaryKeyConstraint("session_id", name=op.f("archived_sessions_pkey")),
        schema="points",
    )
    op.create_index(
        op.f("archived_sessions_finished_at"), "archived_sessions", ["finished_at"], unique=False, schema="points"
    )
    op.create_index(
        "archived_sessions_team", "archived_sessions", ["team_id", "created_at"], unique=False, schema="points"
    )
    op.create_index(
        "finished_games_agreeing",
        "finished_games",
        ["finished_at"],
        unique=False,
        schema="points",
        postgresql_where=sa.text("differences = '[]'"),
    )


def downgrade() -> None:
    op.execute(RESTORE)
    op.drop_index("finished_games_agreeing", table_name="finished_games", schema="points")
    op.drop_table("archived_sessions", schema="points")
