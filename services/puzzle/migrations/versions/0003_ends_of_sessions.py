"""When sessions ended, so that they can be forgotten"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("finished_at", sa.BigInteger(), nullable=True), schema="puzzle")
    op.execute("UPDATE puzzle.sessions SET finished_at = greatest(last_at, starts_at) WHERE status = 'finished'")
    op.create_index(
        "sessions_finished",
        "sessions",
        ["finished_at"],
        unique=False,
        schema="puzzle",
        postgresql_where=sa.text("finished_at IS NOT NULL"),
    )
    # Of a session: they go with it.
    op.create_index("puzzles_session_id", "puzzles", ["session_id"], unique=False, schema="puzzle")


def downgrade() -> None:
    op.drop_index("puzzles_session_id", table_name="puzzles", schema="puzzle")
    op.drop_index("sessions_finished", table_name="sessions", schema="puzzle")
    op.drop_column("sessions", "finished_at", schema="puzzle")
