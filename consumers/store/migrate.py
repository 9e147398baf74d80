"""Bring a database to this version's schema."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import exc, text

from consumers.store.database import Database
from streams.errors import PermanentError

if TYPE_CHECKING:
    from sqlalchemy import Connection

MIGRATIONS: Final = Path(__file__).parent / "migrations"
"""The schema's history."""

LOCK: Final = "millrace:migrate"
LOCK_WAIT_S: Final = 120


async def upgrade(database_url: str) -> None:
    """Create or change the tables, all or nothing; nothing happens when they are up to date.

    May run in several processes at once: they take turns.

    Raises:
        TransientError: The database is down, or another upgrade took longer than two minutes.
        PermanentError: The database lacks the pgvector extension, or a later version of Millrace upgraded it.
    """
    database = Database(database_url)
    try:
        async with database.begin() as session:
            await session.execute(text(f"SET LOCAL lock_timeout = '{LOCK_WAIT_S}s'"))
            await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": LOCK})
            try:
                await session.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
            except exc.DBAPIError as error:
                if error.connection_invalidated:
                    raise
                raise PermanentError(
                    f"PostgreSQL at {database.place} cannot create the extension `vector`: install pgvector on the "
                    "server, or let an administrator run CREATE EXTENSION vector in this database",
                    reason="pgvector_missing",
                ) from error
            connection = await session.connection()
            try:
                await connection.run_sync(_upgrade)
            except CommandError as error:
                raise PermanentError(
                    f"PostgreSQL at {database.place} cannot be upgraded: {error}. If a later version of Millrace "
                    "upgraded it, run that one",
                    reason="database_too_new",
                ) from error
    finally:
        await database.close()


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
