"""Jobs that repeat a part of others: where they come from, and which dead letters they take over."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The origin of a replayed job, and what its upstream failed at."""
    op.add_column("jobs", sa.Column("origin", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("replay", sa.Text(), nullable=True))
    op.create_index("ix_jobs_replay", "jobs", ["replay"], unique=False, postgresql_where=sa.text("replay IS NOT NULL"))
    op.create_table(
        "inherited_failures",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("task", sa.BigInteger(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "task", name=op.f("pk_inherited_failures")),
    )


def downgrade() -> None:
    """Back to jobs without an origin."""
    op.drop_table("inherited_failures")
    op.drop_index("ix_jobs_replay", table_name="jobs")
    op.drop_column("jobs", "replay")
    op.drop_column("jobs", "origin")
