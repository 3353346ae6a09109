"""Which answers a session waits for: such a session is not among those that are due"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "sessions",
        sa.Column("awaited_version", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        schema="points",
    )
    op.drop_index("sessions_due", table_name="sessions", schema="points")
    op.create_index(
        "sessions_due",
        "sessions",
        ["due_at"],
        unique=False,
        schema="points",
        postgresql_where=sa.text("due_at IS NOT NULL AND awaited_version <= puzzle_version"),
    )
    op.create_index(
        "sessions_awaiting",
        "sessions",
        ["due_at"],
        unique=False,
        schema="points",
        postgresql_where=sa.text("awaited_version > puzzle_version"),
    )
    op.create_index(
        "sessions_countdown",
        "sessions",
        ["due_at"],
        unique=False,
        schema="points",
        postgresql_where=sa.text("status = 'countdown'"),
    )


def downgrade() -> None:
    op.drop_index("sessions_countdown", table_name="sessions", schema="points")
    op.drop_index("sessions_awaiting", table_name="sessions", schema="points")
    op.drop_index("sessions_due", table_name="sessions", schema="points")
    op.create_index(
        "sessions_due",
        "sessions",
        ["due_at"],
        unique=False,
        schema="points",
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.drop_column("sessions", "awaited_version", schema="points")
