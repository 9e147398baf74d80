"""The dashboard in Chromium: a real API with a real worker behind it."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from consumers.store import upgrade
from tests.support.api_place import ApiPlace, api_place

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from playwright.async_api import Page

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def store_url(postgres_url: str) -> str:
    """A database of this module with the tables in it."""
    asyncio.run(upgrade(postgres_url))
    return postgres_url


@pytest.fixture
async def place(valkey_url: str, store_url: str, namespace: str, tmp_path: Path) -> AsyncIterator[ApiPlace]:
    """A running API with nothing in it."""
    async with api_place(valkey_url, store_url, namespace, tmp_path) as running:
        yield running


@pytest.fixture
async def page(place: ApiPlace) -> AsyncIterator[Page]:
    """A page of a fresh browser; what it complains about fails the test."""
    async with opened(place) as made:
        yield made


@asynccontextmanager
async def opened(place: ApiPlace, **context: Any) -> AsyncIterator[Page]:
    """A page of a fresh browser, at the API's address."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    from playwright.async_api import async_playwright  # noqa: PLC0415 - an extra

    complaints: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        made = await (await browser.new_context(base_url=place.url, **context)).new_page()
        made.set_default_timeout(12_000)
        made.on("pageerror", lambda error: complaints.append(str(error)))
        made.on(
            "console", lambda told: complaints.append(told.text) if "Content Security Policy" in told.text else None
        )
        yield made
        await browser.close()
    assert complaints == []
