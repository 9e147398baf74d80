"""Websites and audits."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Websites and audits."""
    op.create_table(
        "websites",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("options", postgresql.JSONB(), nullable=False),
        sa.Column("login", postgresql.JSONB(), nullable=True),
        sa.Column("last_audit", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_websites")),
    )
    op.create_index("ix_websites_tenant_key", "websites", ["tenant", "key"], unique=True)
    op.create_table(
        "audit_wont_fix",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["website_id"], ["websites.id"], name=op.f("fk_audit_wont_fix_website_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("website_id", "rule", "url", name=op.f("pk_audit_wont_fix")),
    )
    op.create_table(
        "audits",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("previous", sa.Text(), nullable=True),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("pages", sa.BigInteger(), nullable=True),
        sa.Column("issues", sa.BigInteger(), nullable=True),
        sa.Column("payload", postgresql.JSONB(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["website_id"], ["websites.id"], name=op.f("fk_audits_website_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_audits")),
    )
    op.create_index("ix_audits_tenant_created", "audits", ["tenant", "created_at", "job_id"], unique=False)
    op.create_index("ix_audits_website_id_created", "audits", ["website_id", "created_at"], unique=False)
    op.create_table(
        "audit_issues",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("is_ignored", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["audits.job_id"], name=op.f("fk_audit_issues_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "revision", "ordinal", name=op.f("pk_audit_issues")),
    )
    op.create_index(
        "ix_audit_issues_job_id_revision_fingerprint",
        "audit_issues",
        ["job_id", "revision", "fingerprint"],
        unique=False,
    )
    op.create_index(
        "ix_audit_issues_job_id_revision_rule", "audit_issues", ["job_id", "revision", "rule"], unique=False
    )
    op.create_table(
        "audit_links",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("anchor", sa.Text(), nullable=False),
        sa.Column("nofollow", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["audits.job_id"], name=op.f("fk_audit_links_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "revision", "ordinal", name=op.f("pk_audit_links")),
    )
    op.create_index("ix_audit_links_tenant_site", "audit_links", ["tenant", "site"], unique=False)
    op.create_table(
        "audit_pages",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=False),
        sa.Column("page_type", sa.Text(), nullable=False),
        sa.Column("is_indexable", sa.Boolean(), nullable=False),
        sa.Column("depth", sa.BigInteger(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("issues", sa.BigInteger(), nullable=False),
        sa.Column("payload", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["audits.job_id"], name=op.f("fk_audit_pages_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "revision", "ordinal", name=op.f("pk_audit_pages")),
    )
    op.create_index(
        "ix_audit_pages_job_id_revision_digest", "audit_pages", ["job_id", "revision", "digest"], unique=False
    )
    op.create_table(
        "audit_parts",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("measured_by", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(), nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["audits.job_id"], name=op.f("fk_audit_parts_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "kind", "version", name=op.f("pk_audit_parts")),
    )
    op.create_table(
        "audit_reports",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("markdown", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("pdf", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["audits.job_id"], name=op.f("fk_audit_reports_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "revision", name=op.f("pk_audit_reports")),
    )
    op.create_table(
        "audit_shares",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["audits.job_id"], name=op.f("fk_audit_shares_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_audit_shares")),
    )


def downgrade() -> None:
    """Undo it."""
    op.drop_table("audit_shares")
    op.drop_table("audit_reports")
    op.drop_table("audit_parts")
    op.drop_index("ix_audit_pages_job_id_revision_digest", table_name="audit_pages")
    op.drop_table("audit_pages")
    op.drop_index("ix_audit_links_tenant_site", table_name="audit_links")
    op.drop_table("audit_links")
    op.drop_index("ix_audit_issues_job_id_revision_rule", table_name="audit_issues")
    op.drop_index("ix_audit_issues_job_id_revision_fingerprint", table_name="audit_issues")
    op.drop_table("audit_issues")
    op.drop_index("ix_audits_website_id_created", table_name="audits")
    op.drop_index("ix_audits_tenant_created", table_name="audits")
    op.drop_table("audits")
    op.drop_table("audit_wont_fix")
    op.drop_index("ix_websites_tenant_key", table_name="websites")
    op.drop_table("websites")
