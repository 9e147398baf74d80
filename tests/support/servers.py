"""Real servers for tests: temporary homes, databases of their own, a process that owns servers."""

import asyncio
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import asyncpg

from streams.embedded.postgres import PostgresServer
from streams.embedded.valkey import ValkeyServer

REPOSITORY = Path(__file__).resolve().parents[2]

FAST_VALKEY: Mapping[str, str] = {"appendfsync": "no"}
FAST_POSTGRES: Mapping[str, str] = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@contextmanager
def temporary_home() -> Iterator[Path]:
    """A folder with a short path that other OS users can pass through (pytest's own are closed to them)."""
    home = Path(tempfile.mkdtemp(prefix="mr-", dir="/tmp")).resolve()
    home.chmod(0o755)
    try:
        yield home
    finally:
        shutil.rmtree(home)


@contextmanager
def running_valkey(options: Mapping[str, str] | None = None, program: str | None = None) -> Iterator[ValkeyServer]:
    """A Valkey of its own: `url`, `pid`, `kill()`, `start()` again with the data and the port kept.

    Args:
        options: Server options beside the durable defaults, such as ``{"maxmemory": "10mb"}``.
        program: ``wheel``, a path, or None for the one that Millrace would choose.
    """
    with temporary_home() as home:
        server = ValkeyServer(home, options, program)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of its own, fast and forgetful."""
    with temporary_home() as home:
        server = PostgresServer(home, FAST_POSTGRES)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """The URL of a new, empty database on the server at `server_url`; dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    asyncio.run(_execute(server_url, f"CREATE DATABASE {name}"))
    try:
        yield urlsplit(server_url)._replace(path=f"/{name}").geturl()
    finally:
        asyncio.run(_execute(server_url, f"DROP DATABASE {name} WITH (FORCE)"))


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


class OwnerProcess:
    """Another process that owns the servers of a home until its standard input ends or it is killed."""

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.own_servers", str(home)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def report(self) -> str:
        """Its first line: ``ready``, or the error that kept it from starting. Blocks until it comes."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Ends its standard input, which it takes as the sign to stop its servers.
        self.process.communicate(timeout=60)
