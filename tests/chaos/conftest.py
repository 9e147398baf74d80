"""A namespace on a Valkey of the test's own, as durable as shipped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.chaos import Stage, chaos

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from streams.embedded.valkey import ValkeyServer


@pytest.fixture
def server(start_valkey: Callable[..., ValkeyServer]) -> ValkeyServer:
    """A Valkey with the shipped fsync."""
    return start_valkey(appendfsync="always")


@pytest.fixture
async def stage(server: ValkeyServer, namespace: str) -> AsyncIterator[Stage]:
    """A namespace to be cruel to."""
    async with chaos(server.url, namespace) as made:
        yield made
