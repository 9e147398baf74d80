"""Addresses that get no mail, and indexes for lists of mails and for removing what is old."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them."""
    op.create_table(
        "suppressions",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "address", name=op.f("pk_suppressions")),
    )
    op.create_index(
        "ix_deliveries_tenant_channel_created", "deliveries", ["tenant", "channel", "created_at", "idempotency_key"]
    )
    op.create_index("ix_results_expires_at", "results", ["expires_at"])
    op.create_index("ix_jobs_finished_at", "jobs", ["finished_at"])
