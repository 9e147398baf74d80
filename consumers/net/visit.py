"""A visit to a site with manners: what robots.txt disallows is left alone, and requests keep their distance."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Final, Protocol

from consumers.net import urls
from consumers.net.errors import FetchRefusedError
from consumers.net.politeness import Politeness
from consumers.net.robots_cache import RobotsCache

DISALLOWED: Final = "robots_disallowed"
"""Reason of what robots.txt does not let us fetch."""


class Visitor(Protocol):
    """Who visits: a handler's context."""

    @property
    def robots(self) -> RobotsCache: ...  # noqa: D102
    @property
    def politeness(self) -> Politeness: ...  # noqa: D102


@contextlib.asynccontextmanager
async def visit(visitor: Visitor, url: str) -> AsyncIterator[None]:
    """Hold the right to make one request for a URL, body included; waits for the host's turn.

    Raises:
        FetchRefusedError: ``robots_disallowed``; or the guard forbids the site itself.
        FetchFailedError: ``robots_unreachable``: nothing of this site may be fetched for now.
    """
    if not await visitor.robots.allowed(url):
        raise FetchRefusedError(
            f"robots.txt of the site disallows {urls.redact(url)}; name another page, or ask the site to allow "
            "the agent Millrace",
            reason=DISALLOWED,
            url=url,
        )
    delay_s = await visitor.robots.crawl_delay_s(url)
    async with visitor.politeness.slot(urls.host_of(url), delay_s):
        yield
