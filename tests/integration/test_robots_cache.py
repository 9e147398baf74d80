import asyncio
from collections.abc import AsyncIterator

import pytest

from consumers.net.errors import FetchFailedError, FetchRefusedError
from consumers.net.fetch import Fetcher, FetcherConfig
from consumers.net.robots_cache import DAY_S, RobotsCache
from tests.support.hostile_site import HostileSite


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def site() -> AsyncIterator[HostileSite]:
    async with HostileSite() as site:
        yield site


@pytest.fixture
async def fetcher(site: HostileSite) -> AsyncIterator[Fetcher]:
    async with Fetcher(FetcherConfig(allow_hosts=(site.allow,))) as fetcher:
        yield fetcher


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(fetcher: Fetcher, clock: Clock) -> RobotsCache:
    return RobotsCache(fetcher, clock=clock)


async def test_rules_are_fetched_once_whoever_asks(site: HostileSite, cache: RobotsCache) -> None:
    site.robots = b"User-agent: millrace\nDisallow: /closed\nCrawl-delay: 3\nSitemap: /map.xml"
    answers = await asyncio.gather(*(cache.allowed(site.url(path)) for path in ("/open", "/closed/a", "/?q=/closed")))
    assert answers == [True, False, True]
    assert await cache.crawl_delay_s(site.url("/open")) == 3
    assert (await cache.rules(site.url())).sitemaps == ("/map.xml",)
    assert site.hits["/robots.txt"] == 1


async def test_rules_hold_for_a_day(site: HostileSite, cache: RobotsCache, clock: Clock) -> None:
    site.robots = b"User-agent: *\nDisallow: /"
    assert not await cache.allowed(site.url("/"))
    site.robots = b""
    clock.now = DAY_S - 1
    assert not await cache.allowed(site.url("/"))
    clock.now = DAY_S
    assert await cache.allowed(site.url("/"))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
async def test_no_robots_allows_everything(site: HostileSite, cache: RobotsCache, status: int) -> None:
    site.robots = status
    assert await cache.allowed(site.url("/any"))


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_an_unreachable_robots_allows_nothing_for_now(
    site: HostileSite, cache: RobotsCache, clock: Clock, status: int
) -> None:
    site.robots = status
    for now in (0.0, 299.0):
        clock.now = now
        with pytest.raises(FetchFailedError) as caught:
            await cache.allowed(site.url("/any"))
        assert (caught.value.reason, caught.value.retry_after_s) == ("robots_unreachable", 300.0 - now)
        assert caught.value.status == status
    assert site.hits["/robots.txt"] == 1
    site.robots, clock.now = 404, 300.0
    assert await cache.allowed(site.url("/any"))


async def test_only_the_first_500_kib_are_read(site: HostileSite, cache: RobotsCache) -> None:
    site.robots = b"User-agent: *\nDisallow: /a\n" + b"#" * 600_000 + b"\nDisallow: /b\n"
    assert not await cache.allowed(site.url("/a"))
    assert await cache.allowed(site.url("/b"))


async def test_one_who_gives_up_does_not_spoil_it_for_the_next(site: HostileSite, cache: RobotsCache) -> None:
    site.robots = b"User-agent: *\nDisallow: /"
    first = asyncio.create_task(cache.allowed(site.url("/")))
    second = asyncio.create_task(cache.allowed(site.url("/")))
    await asyncio.sleep(0)
    first.cancel()
    assert await second is False


async def test_the_guard_speaks_for_robots_too(fetcher: Fetcher) -> None:
    with pytest.raises(FetchRefusedError) as caught:
        await RobotsCache(fetcher).allowed("http://10.0.0.1/")
    assert caught.value.reason == "blocked_address"


async def test_the_cache_is_bounded(site: HostileSite, fetcher: Fetcher) -> None:
    async with HostileSite() as other, Fetcher(FetcherConfig(allow_hosts=(site.allow, other.allow))) as both:
        cache = RobotsCache(both, max_origins=1)
        for one in (site, other, site):
            assert await cache.allowed(one.url("/"))
    assert site.hits["/robots.txt"] == 2
