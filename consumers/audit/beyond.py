"""Addresses of the site that its links name and the page budget left unread: asked whether they are there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from consumers.audit.asking import asked
from consumers.audit.judging import fetched_of
from consumers.net.errors import FetchFailedError, FetchRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from consumers.audit.rules import Fetched
    from consumers.audit.site import Site
    from consumers.context import StageContext

MAX_ASKED: Final = 500
WITHIN_S: Final = 300.0
AT_ONCE: Final = 8


async def ask_beyond(site: Site, fetched: dict[str, Fetched], ctx: StageContext) -> int:
    """Ask what is linked and was neither read nor asked, in the order of the crawl, within a cap and a time.

    What robots.txt keeps us from, what does not answer now, and what is beyond cap or time stays unasked: a rule says
    nothing of it.

    Args:
        site: As it was read.
        fetched: What asking addresses came to so far; gets what this finds.
        ctx: Of compile.

    Returns:
        How many were asked.
    """
    waiting = iter([url for url in site.targets() if site.answer(url) is None and url not in fetched][:MAX_ASKED])
    before = len(fetched)

    async def work(urls: Iterable[str]) -> None:
        for url in urls:
            try:
                if await ctx.robots.allowed(url):
                    fetched[url] = fetched_of(await asked(url, ctx))
            except (FetchFailedError, FetchRefusedError, ValueError) as error:
                ctx.log.info("not asked: %s", error)

    ctx.progress("asking links beyond the page budget", 75)
    try:
        async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work(waiting))
    except TimeoutError:
        ctx.log.warning("links beyond the page budget: asked %d within %g s", len(fetched) - before, WITHIN_S)
    return len(fetched) - before
