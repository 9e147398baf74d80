"""robots.txt of the origins a worker visits: fetched once, kept for a day."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from consumers.net import robots, urls
from consumers.net.errors import FetchFailedError, FetchRefusedError
from consumers.net.fetch import PRODUCT_TOKEN, Fetcher
from consumers.net.guard import check_url
from consumers.net.robots import NO_ROBOTS, Robots

DAY_S = 86_400.0
_CLIENT_ERRORS = range(400, 500)
_UNAVAILABLE = frozenset({"redirect_loop", "too_many_redirects"})


@dataclass(slots=True)
class _Origin:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    known: Robots | FetchFailedError | None = None
    until: float = 0.0


class RobotsCache:
    """Whether the sites want a page to be crawled.

    A site without a robots.txt (any 4xx but 408, 425 and 429, or redirects that end nowhere) allows everything. One
    whose robots.txt cannot be reached (5xx, silence, 429) allows nothing for now: that is raised, to be tried again.

    Args:
        fetcher: Must be open for as long as this is used.
        agent: Product token that the rules are read for.
        keep_s: How long an answer holds; RFC 9309 section 2.4 says at most a day.
        keep_unreachable_s: How long a site that could not be reached is left alone.
        timeout_s: For one robots.txt.
        max_origins: Answers kept; the one unused for longest goes first.
        clock: Seconds that only ever grow.

    Source: RFC 9309 sections 2.3.1 and 2.4.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        *,
        agent: str = PRODUCT_TOKEN,
        keep_s: float = DAY_S,
        keep_unreachable_s: float = 300.0,
        timeout_s: float = 20.0,
        max_origins: int = 2_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetcher = fetcher
        self._agent = agent
        self._keep_s = keep_s
        self._keep_unreachable_s = keep_unreachable_s
        self._timeout_s = timeout_s
        self._max_origins = max_origins
        self._clock = clock
        self._origins: OrderedDict[str, _Origin] = OrderedDict()

    async def allowed(self, url: str) -> bool:
        """Whether our agent may fetch this URL; errors as `rules`."""
        return (await self.rules(url)).allowed(self._agent, urls.target_of(url))

    async def crawl_delay_s(self, url: str) -> float | None:
        """Seconds that the URL's site asks for between requests; errors as `rules`."""
        return (await self.rules(url)).crawl_delay_s(self._agent)

    async def rules(self, url: str) -> Robots:
        """The robots.txt that speaks for a URL.

        Raises:
            FetchFailedError: ``robots_unreachable``: nothing of this site may be fetched for now.
            FetchRefusedError: The guard or a limit forbids the site itself.
        """
        key = urls.origin_of(check_url(url, self._fetcher.allow).url)
        origin = self._origins.setdefault(key, _Origin())
        self._origins.move_to_end(key)
        while len(self._origins) > self._max_origins:
            self._origins.popitem(last=False)
        async with origin.lock:  # whoever comes meanwhile waits for the first answer
            if origin.known is None or origin.until <= self._clock():
                origin.known = await self._fetch(key)
                origin.until = self._clock() + self._lifetime_s(origin.known)
            known, left_s = origin.known, origin.until - self._clock()
        if isinstance(known, Robots):
            return known
        raise FetchFailedError(
            f"{key}/robots.txt cannot be reached, so nothing of the site is fetched for {left_s:.0f} s: {known}",
            reason="robots_unreachable",
            url=url,
            status=known.status,
            retry_after_s=left_s,
        ) from known

    def _lifetime_s(self, known: Robots | FetchFailedError) -> float:
        if isinstance(known, Robots):
            return self._keep_s
        return max(self._keep_unreachable_s, known.retry_after_s or 0.0)

    async def _fetch(self, origin: str) -> Robots | FetchFailedError:
        try:
            async with self._fetcher.stream(f"{origin}/robots.txt", timeout_s=self._timeout_s) as download:
                return robots.parse(await download.start(robots.MAX_BYTES), decode_unreserved=True)
        except FetchFailedError as error:
            return error
        except FetchRefusedError as error:
            if error.status in _CLIENT_ERRORS or error.reason in _UNAVAILABLE:
                return NO_ROBOTS
            raise
