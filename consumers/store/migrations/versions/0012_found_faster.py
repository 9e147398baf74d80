"""Passages found faster: their words kept as they are, and an index of the languages of a collection."""

from alembic import op

revision = "0012"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change the tables."""
    # Unpacking costs more than reading: ranking looks into the words of a hundred passages.
    op.execute("ALTER TABLE passages ALTER COLUMN words SET STORAGE EXTERNAL")
    op.create_index(
        "ix_collected_documents_collection_configuration", "collected_documents", ["collection_id", "configuration"]
    )


def downgrade() -> None:
    """Undo it."""
    op.drop_index("ix_collected_documents_collection_configuration", "collected_documents")
    op.execute("ALTER TABLE passages ALTER COLUMN words SET STORAGE EXTENDED")
