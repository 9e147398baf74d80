"""A whole Millrace in a home of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.commands import Home, Running
from tests.support.servers import temporary_home

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def home() -> Iterator[Home]:
    """An empty home."""
    with temporary_home() as folder:
        yield Home(folder)


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Home, Running]]:
    """``millrace up`` with two workers, for a module's tests."""
    with temporary_home() as folder:
        home = Home(folder)
        with Running(home, "up", "--port", "0", "--processes", "2") as up:
            yield home, up
