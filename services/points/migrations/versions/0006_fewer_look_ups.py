"""Fewer look-ups for each event and each room to be told"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The log is written by the statement that writes its session, which is locked: this looked each one up again.
    op.drop_constraint("session_events_session_id_fkey", "session_events", schema="points", type_="foreignkey")
    # The table is as good as empty, and read by sweepers alone: to look through it is less than to keep an index of it.
    op.drop_index("untold_rooms_next_try_at", table_name="untold_rooms", schema="points")


def downgrade() -> None:
    op.create_index("untold_rooms_next_try_at", "untold_rooms", ["next_try_at"], unique=False, schema="points")
    op.create_foreign_key(
        "session_events_session_id_fkey",
        "session_events",
        "sessions",
        ["session_id"],
        ["session_id"],
        source_schema="points",
        referent_schema="points",
    )
