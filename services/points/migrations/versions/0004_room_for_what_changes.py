"""Room for what changes often, and an index on failures that were overcome"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Of tables that are as good as empty, whatever the statistics say at the moment: their rows come and go.
QUEUE = "autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0"
# A fifth of a table of millions is too much to wait for; a row that is changed in its page needs room there.
SETTINGS = {
    "sessions": "fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05",
    "seats": "fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05",
    "session_events": "autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05",
    "ledger": "autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05",
    "outbox": QUEUE,
    "untold_rooms": f"fillfactor = 50, {QUEUE}",
    "tally_changes": QUEUE,
    "tallies": "fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02",
    "idempotency": "autovacuum_vacuum_scale_factor = 0.02",
}


def upgrade() -> None:
    for table, settings in SETTINGS.items():
        op.execute(f"ALTER TABLE points.{table} SET ({settings})")
    op.create_index(
        "dead_letters_overcome",
        "dead_letters",
        ["first_at"],
        unique=False,
        schema="points",
        postgresql_where=sa.text("dead_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("dead_letters_overcome", table_name="dead_letters", schema="points")
    for table, settings in SETTINGS.items():
        names = ", ".join(setting.partition("=")[0].strip() for setting in settings.split(","))
        op.execute(f"ALTER TABLE points.{table} RESET ({names})")
