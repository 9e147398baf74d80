"""Jobs are found by the words of their arguments and errors, and by the workers that had them."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

WORDS = (
    "to_tsvector('simple'::regconfig, regexp_replace((COALESCE(error, ''::text) || ' '::text) || "
    "COALESCE(spec::text, ''::text), '[[:space:]!-/:-@\\[-`{-~]+'::text, ' '::text, 'g'::text))"
)


def upgrade() -> None:
    """Make the indexes."""
    op.create_index("ix_jobs_words", "jobs", [sa.text(WORDS)], postgresql_using="gin")
    op.create_index(
        "ix_task_events_worker", "task_events", ["tenant", "worker", "job_id"],
        postgresql_where=sa.text("worker IS NOT NULL"),
    )  # fmt: skip


def downgrade() -> None:
    """Remove them."""
    op.drop_index("ix_task_events_worker", "task_events")
    op.drop_index("ix_jobs_words", "jobs")
