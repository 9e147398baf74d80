"""Fixtures that every test may use. Servers are real, start when first asked for, and are shared."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from streams.embedded.valkey import ValkeyServer
from tests.support.servers import FAST_VALKEY, fresh_database, running_postgres, running_valkey

SERVER_FIXTURES = {"valkey_url", "start_valkey"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--redis-server",
        metavar="wheel|PATH",
        help="the server under test: the wheel's Valkey or a redis-server (default: as Millrace chooses)",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not SERVER_FIXTURES.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.redis)


@pytest.fixture(scope="session")
def redis_server(pytestconfig: pytest.Config) -> str | None:
    """What ``--redis-server`` was given."""
    program: str | None = pytestconfig.getoption("--redis-server")
    return program


@pytest.fixture(scope="session")
def valkey_url(redis_server: str | None) -> Iterator[str]:
    """A Valkey shared by the session, without fsync. Use `namespace` to have keys of your own."""
    with running_valkey(FAST_VALKEY, redis_server) as server:
        yield server.url


@pytest.fixture
def start_valkey(redis_server: str | None) -> Iterator[Callable[..., ValkeyServer]]:
    """Start a Valkey for this test alone; keywords are server options with ``_`` for ``-``.

    Shipped durability unless told otherwise. `kill()` is SIGKILL, `start()` brings it back at the same address
    with its data, `pid` is there for other signals.
    """
    with ExitStack() as stack:

        def start(**options: str) -> ValkeyServer:
            named = {name.replace("_", "-"): value for name, value in options.items()}
            return stack.enter_context(running_valkey(named, redis_server))

        yield start


@pytest.fixture(scope="session")
def postgres_server_url() -> Iterator[str]:
    """A PostgreSQL with pgvector shared by the session, without fsync."""
    with running_postgres() as server:
        yield server.url


@pytest.fixture(scope="module")
def postgres_url(postgres_server_url: str) -> Iterator[str]:
    """An empty database for this test module."""
    with fresh_database(postgres_server_url) as url:
        yield url


@pytest.fixture
def namespace() -> str:
    """A prefix for keys that nobody else has."""
    return f"t{uuid.uuid4().hex[:12]}"
