"""Standings, replays, and the running base of each ledger entry"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("ledger", sa.Column("base", sa.BigInteger(), nullable=True), schema="points")
    op.execute(
        """
        UPDATE points.ledger SET base = sums.base
        FROM (
            SELECT entry_id, sum(amount) OVER (PARTITION BY session_id, player_id ORDER BY entry_id) AS base
            FROM points.ledger WHERE player_id IS NOT NULL
        ) AS sums
        WHERE ledger.entry_id = sums.entry_id
        """
    )
    op.create_table(
        "finished_games",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=False),
        sa.Column("replayed_at", sa.BigInteger(), nullable=True),
        sa.Column("differences", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("session_id", name=op.f("finished_games_pkey")),
        schema="points",
    )
    op.create_index(
        "finished_games_to_replay",
        "finished_games",
        ["finished_at"],
        unique=False,
        schema="points",
        postgresql_where=sa.text("replayed_at IS NULL"),
    )
    op.create_index(
        "finished_games_differing",
        "finished_games",
        ["replayed_at"],
        unique=False,
        schema="points",
        postgresql_where=sa.text("differences <> '[]'"),
    )
    op.execute(
        "INSERT INTO points.finished_games (session_id, finished_at)"
        " SELECT session_id, finished_at FROM points.sessions WHERE status = 'finished'"
    )
    op.create_table(
        "rule_sets",
        sa.Column("rules_id", sa.Text(), nullable=False),
        sa.Column("rules", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("rules_id", name=op.f("rule_sets_pkey")),
        schema="points",
    )
    op.create_table(
        "best_games",
        sa.Column("rules_id", sa.Text(), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=False),
        sa.Column("team_name", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("players", sa.SmallInteger(), nullable=False),
        sa.Column("survival_ms", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("rules_id", "team_id", name=op.f("best_games_pkey")),
        schema="points",
    )
    op.create_index(
        "best_games_longest",
        "best_games",
        ["rules_id", sa.literal_column("survival_ms DESC"), "finished_at", "team_id"],
        unique=True,
        schema="points",
    )
    op.create_table(
        "tallies",
        sa.Column("rules_id", sa.Text(), nullable=False),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("node", sa.BigInteger(), nullable=False),
        sa.Column("games", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("rules_id", "measure", "level", "node", name=op.f("tallies_pkey")),
        schema="points",
    )
    op.create_table(
        "tally_changes",
        sa.Column("change_id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("rules_id", sa.Text(), nullable=False),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("change", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("change_id", name=op.f("tally_changes_pkey")),
        schema="points",
    )
    op.create_index(
        "tally_changes_measure", "tally_changes", ["rules_id", "measure", "value"], unique=False, schema="points"
    )


def downgrade() -> None:
    op.drop_table("tally_changes", schema="points")
    op.drop_table("tallies", schema="points")
    op.drop_table("best_games", schema="points")
    op.drop_table("rule_sets", schema="points")
    op.drop_table("finished_games", schema="points")
    op.drop_column("ledger", "base", schema="points")
