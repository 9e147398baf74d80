"""What stages computed, and which jobs had it."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "memo",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("is_json", sa.Boolean, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("took_ms", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_index("ix_memo_used_at", "memo", ["used_at"])
    op.execute("ALTER TABLE memo ALTER COLUMN body SET STORAGE EXTERNAL")
    op.create_table(
        "memo_uses",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("task", sa.BigInteger, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("is_reused", sa.Boolean, nullable=False),
        sa.Column("saved_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_memo_uses_tenant_key", "memo_uses", ["tenant", "key"])


def downgrade() -> None:
    """Undo it."""
    op.drop_table("memo_uses")
    op.drop_table("memo")
