"""The schema: made once by whoever comes first, the same as the models say."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from consumers.store import Store, upgrade
from consumers.store.models import Base
from streams.errors import PermanentError, TransientError
from tests.support.servers import REPOSITORY, fresh_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection


@pytest.fixture
def empty_url(postgres_server_url: str) -> Iterator[str]:
    with fresh_database(postgres_server_url) as url:
        yield url


async def test_four_at_once_and_once_more(empty_url: str) -> None:
    await asyncio.gather(*(upgrade(empty_url) for _ in range(4)))
    await upgrade(empty_url)
    connection = await asyncpg.connect(empty_url)
    assert await connection.fetchval("SELECT count(*) FROM alembic_version") == 1
    assert await connection.fetchval("SELECT count(*) FROM pg_extension WHERE extname = 'vector'") == 1
    await connection.close()


async def test_two_processes_at_once(empty_url: str) -> None:
    program = "import asyncio, sys; from consumers.store import upgrade; asyncio.run(upgrade(sys.argv[1]))"
    both = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, empty_url, cwd=REPOSITORY) for _ in range(2)
    ]
    assert [await process.wait() for process in both] == [0, 0]


async def test_the_migrations_make_what_the_models_say(store: Store) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, Base.metadata))

    async with store.database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_every_table_carries_the_tenant() -> None:
    assert [table.name for table in Base.metadata.sorted_tables if "tenant" not in table.c] == []


async def test_a_failed_upgrade_leaves_nothing(empty_url: str) -> None:
    connection = await asyncpg.connect(empty_url)
    await connection.execute("CREATE TABLE jobs (in_the_way text)")
    with pytest.raises(Exception, match="jobs"):
        await upgrade(empty_url)
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert [row["tablename"] for row in tables] == ["jobs"]
    await connection.execute("DROP TABLE jobs")
    await connection.close()
    await upgrade(empty_url)


async def test_a_database_of_a_later_version_is_left_alone(empty_url: str) -> None:
    await upgrade(empty_url)
    connection = await asyncpg.connect(empty_url)
    await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    await connection.close()
    with pytest.raises(PermanentError, match="later version") as caught:
        await upgrade(empty_url)
    assert caught.value.reason == "database_too_new"


async def test_a_database_without_tables_says_what_to_run(empty_url: str) -> None:
    async with Store.connect(empty_url) as store:
        with pytest.raises(TransientError, match="millrace migrate") as caught:
            await store.jobs.get("0-a", tenant="default")
    assert caught.value.reason == "database_not_migrated"
