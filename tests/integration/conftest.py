"""The store on a real PostgreSQL, and the API before it."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import pytest

from consumers.store import Store, upgrade
from tests.support.api_place import ApiPlace, api_place

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(scope="module")
def store_url(postgres_url: str) -> str:
    """A database of this module with the tables in it."""
    asyncio.run(upgrade(postgres_url))
    return postgres_url


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """A store on `store_url`. Use `job_id` and `tenant` to have rows of your own."""
    async with Store.connect(store_url) as connected:
        yield connected


@pytest.fixture
def job_id() -> str:
    """An id that no other test has."""
    return f"0-{uuid.uuid4().hex[:20]}"


@pytest.fixture
def tenant() -> str:
    """A tenant that no other test has."""
    return f"tenant-{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def place(valkey_url: str, store_url: str, namespace: str, tmp_path: Path) -> AsyncIterator[ApiPlace]:
    """A running API with nothing in it."""
    async with api_place(valkey_url, store_url, namespace, tmp_path) as running:
        yield running
