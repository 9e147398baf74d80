"""PostgreSQL that goes away and comes back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from consumers.store import LogLine, LogShipper, Store, upgrade
from consumers.store import logs as store_logs
from streams.errors import TransientError
from tests.support.servers import running_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.embedded.postgres import PostgresServer


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    with running_postgres() as running:
        asyncio.run(upgrade(running.url))
        yield running


@pytest.fixture
def server(own_server: PostgresServer) -> Iterator[PostgresServer]:
    yield own_server
    if not own_server.is_alive():
        own_server.start()


def line(number: int) -> LogLine:
    return LogLine("0-a", "acme", datetime.now(UTC), "info", f"line {number}")


async def test_down_is_transient_and_back_is_back(server: PostgresServer) -> None:
    async with Store.connect(server.url) as store:
        await store.results.put("0-a", {"n": 1}, tenant="acme", revision=1)
        server.stop()
        for _ in range(3):
            with pytest.raises(TransientError, match="MILLRACE_DATABASE_URL") as caught:
                await store.results.get("0-a", tenant="acme")
            assert caught.value.reason == "database_unavailable"
        server.start()
        found = await store.results.get("0-a", tenant="acme")
        assert found is not None
        assert found.payload == {"n": 1}


async def test_a_restart_between_two_uses_is_not_noticed(server: PostgresServer) -> None:
    async with Store.connect(server.url) as store:
        await asyncio.gather(*(store.jobs.get("0-a", tenant="acme") for _ in range(5)))
        server.stop()
        server.start()
        assert await asyncio.gather(*(store.jobs.get("0-a", tenant="acme") for _ in range(5))) == [None] * 5


async def end_own_session(store: Store) -> None:
    async with store.database.begin() as session:
        await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))


async def test_a_session_that_is_killed_is_transient(server: PostgresServer) -> None:
    async with Store.connect(server.url) as store:
        with pytest.raises(TransientError, match="not available"):
            await end_own_session(store)


async def test_a_lock_lost_with_its_connection_ends_the_writing(server: PostgresServer) -> None:
    async def write_after_a_restart(store: Store) -> None:
        async with store.database.locked("company") as begin:
            server.stop()
            server.start()
            async with begin() as session:
                await session.execute(text("SELECT 1"))

    async with Store.connect(server.url) as store:
        with pytest.raises(TransientError, match="not available"):
            await write_after_a_restart(store)
        async with asyncio.timeout(5), store.database.locked("company"):
            pass


async def test_logs_wait_for_the_database_and_the_work_does_not(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store_logs, "RETRY_S", (0.02, 0.1))
    async with Store.connect(server.url) as store, LogShipper(store.logs, max_buffered=100) as shipper:
        server.stop()
        for number in range(150):
            shipper.put(line(number))
        assert not await shipper.flush(within_s=0.3)
        assert shipper.dropped == 50
        assert "wait in memory" in caplog.text
        server.start()
        assert await shipper.flush(within_s=20)
        rows = await store.logs.read("0-a", tenant="acme")
    assert [row.message for row in rows] == [f"line {number}" for number in range(100)]


async def test_stopping_without_a_database_gives_up_in_time(server: PostgresServer) -> None:
    async with Store.connect(server.url) as store:
        server.stop()
        shipper = LogShipper(store.logs)
        shipper.start()
        shipper.put(line(0))
        async with asyncio.timeout(5):
            await shipper.stop(within_s=0.2)
        assert shipper.dropped == 1


async def test_an_unreachable_server_is_named_without_its_password() -> None:
    async with Store.connect("postgresql://millrace:sesame@127.0.0.1:1/results?sslmode=disable") as store:
        with pytest.raises(TransientError, match=r"127\.0\.0\.1:1/results") as caught:
            await store.jobs.get("0-a", tenant="acme")
    error: BaseException | None = caught.value
    while error is not None:
        assert "sesame" not in str(error)
        error = error.__cause__
    assert "sesame" not in repr(store.database.engine)
    with pytest.raises(TransientError):
        await upgrade("postgresql://millrace:sesame@127.0.0.1:1/results")


async def test_a_database_that_is_not_there_is_transient(server: PostgresServer) -> None:
    async with Store.connect(server.url.replace("/millrace?", "/nowhere?")) as store:
        with pytest.raises(TransientError, match="nowhere"):
            await store.jobs.get("0-a", tenant="acme")
