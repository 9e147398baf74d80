"""Companies: corrections, pages, several companies on a site; answers of language models."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0004"
branch_labels = None
depends_on = None

_KEY = ("company_id", "kind", "currency", "row_key", "period_end")


def _instant(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)


def upgrade() -> None:
    """Make it so."""
    op.add_column("companies", sa.Column("running_job", sa.Text(), nullable=True))
    op.add_column("documents", sa.Column("found", postgresql.JSONB(), nullable=True))
    op.add_column("documents", sa.Column("published_on", sa.Date(), nullable=True))
    op.add_column("documents", sa.Column("duplicate_of", sa.Text(), nullable=True))
    op.add_column("documents", sa.Column("found_by", sa.Text(), nullable=True))
    op.add_column("documents", _instant("created_at"))
    op.add_column("compiled_values", sa.Column("company", sa.Text(), server_default="", nullable=False))
    op.add_column("compiled_values", sa.Column("frequency", sa.Text(), server_default="annual", nullable=False))
    op.add_column("compiled_values", sa.Column("is_corrected", sa.Boolean(), server_default="false", nullable=False))
    for column in ("company", "frequency", "is_corrected"):
        op.alter_column("compiled_values", column, server_default=None)
    op.drop_constraint("pk_compiled_values", "compiled_values", type_="primary")
    op.create_primary_key("pk_compiled_values", "compiled_values", [_KEY[0], "company", "frequency", *_KEY[1:]])
    op.create_table(
        "corrections",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("company_id", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("company", sa.Text(), nullable=False),
        sa.Column("frequency", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("row_key", sa.Text(), nullable=False),
        sa.Column("period_end", sa.Date(), nullable=False),
        sa.Column("value", sa.Numeric(), nullable=False),
        sa.Column("printed", sa.Numeric(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        _instant("made_at"),
        sa.Column("withdrawn_by", sa.Text(), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_corrections_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corrections")),
    )
    op.create_index("ix_corrections_company_id", "corrections", ["company_id", "id"], unique=False)
    op.create_table(
        "crawled_pages",
        sa.Column("company_id", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("etag", sa.Text(), nullable=True),
        sa.Column("last_modified", sa.Text(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("leads", postgresql.JSONB(), nullable=False),
        _instant("read_at"),
        sa.ForeignKeyConstraint(
            ["company_id"], ["companies.id"], name=op.f("fk_crawled_pages_company_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("company_id", "url", name=op.f("pk_crawled_pages")),
    )
    op.create_table(
        "llm_answers",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("answer", postgresql.JSONB(), nullable=False),
        _instant("created_at"),
        sa.PrimaryKeyConstraint("tenant", "digest", name=op.f("pk_llm_answers")),
    )
    op.create_table(
        "llm_calls",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("task", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_usd", sa.Numeric(), nullable=True),
        sa.Column("is_cached", sa.Boolean(), nullable=False),
        _instant("at"),
        sa.PrimaryKeyConstraint("job_id", "task", "digest", name=op.f("pk_llm_calls")),
    )


def downgrade() -> None:
    """Undo it."""
    op.drop_table("llm_calls")
    op.drop_table("llm_answers")
    op.drop_table("crawled_pages")
    op.drop_index("ix_corrections_company_id", table_name="corrections")
    op.drop_table("corrections")
    op.execute("DELETE FROM compiled_values WHERE company <> '' OR frequency <> 'annual'")
    op.drop_constraint("pk_compiled_values", "compiled_values", type_="primary")
    op.create_primary_key("pk_compiled_values", "compiled_values", list(_KEY))
    for column in ("company", "frequency", "is_corrected"):
        op.drop_column("compiled_values", column)
    for column in ("found", "published_on", "duplicate_of", "found_by", "created_at"):
        op.drop_column("documents", column)
    op.drop_column("companies", "running_job")
