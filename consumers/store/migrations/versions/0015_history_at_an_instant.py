"""What each move opened, so that a job can be seen as it was."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("task_events", sa.Column("opened", postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    """Remove it."""
    op.drop_column("task_events", "opened")
