import asyncio
import gzip
import hashlib
import json
import resource
import sys
from collections.abc import AsyncIterator, Sequence

import pytest

from consumers.net.errors import FetchFailedError, FetchRefusedError
from consumers.net.fetch import MIB, Fetcher, FetcherConfig
from consumers.net.responses import Download
from tests.support.hostile_site import BLOCK, ETAG, HONEST, LAST_MODIFIED, HostileSite


@pytest.fixture
async def site() -> AsyncIterator[HostileSite]:
    async with HostileSite() as site:
        yield site


@pytest.fixture
async def fetcher(site: HostileSite) -> AsyncIterator[Fetcher]:
    async with Fetcher(FetcherConfig(allow_hosts=(site.allow,), max_page_bytes=MIB)) as fetcher:
        yield fetcher


async def refused(fetcher: Fetcher, url: str) -> FetchRefusedError:
    with pytest.raises(FetchRefusedError) as caught:
        await fetcher.get(url)
    return caught.value


async def failed(fetcher: Fetcher, url: str, timeout_s: float | None = None) -> FetchFailedError:
    with pytest.raises(FetchFailedError) as caught:
        await fetcher.get(url, timeout_s=timeout_s)
    return caught.value


async def read_and_drop(download: Download) -> None:
    async for chunk in download.chunks():
        assert len(chunk) <= 64 * 1024


async def test_a_page_arrives_with_type_and_charset(site: HostileSite, fetcher: Fetcher) -> None:
    page = await fetcher.get(site.url("/page#part"))
    assert page.body.decode(page.charset or "") == "<p>Café</p>"
    assert (page.status, page.url, page.content_type) == (200, site.url("/page"), "text/html")
    assert page.headers["content-TYPE"] == "text/html; charset=ISO-8859-1"
    assert not page.redirects
    assert not page.not_modified


@pytest.mark.parametrize(
    ("path", "body"),
    [("/gzip", HONEST), ("/deflate", HONEST), ("/bare-deflate", HONEST), ("/two-gzips", HONEST * 2)],
)
async def test_encodings_are_undone(site: HostileSite, fetcher: Fetcher, path: str, body: bytes) -> None:
    assert (await fetcher.get(site.url(path))).body == body


@pytest.mark.parametrize(("etag", "last_modified"), [(ETAG, None), (None, LAST_MODIFIED), (ETAG, LAST_MODIFIED)])
async def test_a_copy_that_is_still_good_is_not_sent_again(
    site: HostileSite, fetcher: Fetcher, etag: str | None, last_modified: str | None
) -> None:
    first = await fetcher.get(site.url("/conditional"))
    assert (first.etag, first.last_modified) == (ETAG, LAST_MODIFIED)
    second = await fetcher.get(site.url("/conditional"), etag=etag, last_modified=last_modified)
    assert (second.not_modified, second.body, second.status) == (True, b"", 304)


async def test_not_modified_without_having_asked_is_an_error(site: HostileSite, fetcher: Fetcher) -> None:
    assert (await refused(fetcher, site.url("/status/304"))).reason == "http_304"


@pytest.mark.parametrize("status", [206, 300, 400, 401, 403, 404, 410, 418, 451])
async def test_a_refusing_status_is_permanent(site: HostileSite, fetcher: Fetcher, status: int) -> None:
    error = await refused(fetcher, site.url(f"/status/{status}"))
    assert (error.reason, error.status) == (f"http_{status}", status)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520])
async def test_a_troubled_status_is_transient(site: HostileSite, fetcher: Fetcher, status: int) -> None:
    error = await failed(fetcher, site.url(f"/status/{status}"))
    assert (error.reason, error.status, error.retry_after_s) == (f"http_{status}", status, None)


async def test_the_wait_a_server_asks_for_is_handed_on(site: HostileSite, fetcher: Fetcher) -> None:
    error = await failed(fetcher, site.url("/retry-after"))
    assert (error.reason, error.retry_after_s) == ("http_429", 7.0)


@pytest.mark.parametrize("path", ["/never", "/drip"])
async def test_a_server_that_stalls_or_drips_is_cut(site: HostileSite, fetcher: Fetcher, path: str) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert (await failed(fetcher, site.url(path), timeout_s=0.3)).reason == "timeout"
    assert loop.time() - began < 5


async def test_silence_is_cut_before_the_deadline(site: HostileSite) -> None:
    async with Fetcher(FetcherConfig(allow_hosts=(site.allow,), idle_timeout_s=0.2, page_timeout_s=60)) as fetcher:
        assert (await failed(fetcher, site.url("/never"))).reason == "timeout"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/hang-up", "connection"),
        ("/garbage", "bad_response"),
        ("/short", "incomplete_body"),
        ("/cut-gzip", "incomplete_body"),
    ],
)
async def test_a_broken_answer_is_transient(site: HostileSite, fetcher: Fetcher, path: str, reason: str) -> None:
    assert (await failed(fetcher, site.url(path))).reason == reason


async def test_a_closed_port_is_transient(site: HostileSite) -> None:
    async with HostileSite() as gone:
        pass
    async with Fetcher(FetcherConfig(allow_hosts=(gone.allow,))) as fetcher:
        error = await failed(fetcher, gone.url("/?token=secret"))
    assert error.reason == "connection"
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/huge", "too_large"),
        ("/huge-chunked", "too_large"),
        ("/bomb", "decompression_bomb"),
        ("/bomb-deflate", "decompression_bomb"),
        ("/not-gzip", "bad_encoding"),
        ("/brotli", "bad_encoding"),
        ("/long-header", "headers_too_large"),
        ("/many-headers", "headers_too_large"),
        ("/loop", "redirect_loop"),
        ("/hops/11", "too_many_redirects"),
        ("/private", "blocked_address"),
        ("/to?file:///etc/passwd", "unsupported_scheme"),
        ("/to?http://[::ffff:10.0.0.1]/", "blocked_address"),
        ("/to?http://0x7f.1/", "blocked_address"),
        ("/to?http://user:hunter2@example.com/", "credentials_in_url"),
        ("/to?http://[", "bad_url"),
    ],
)
async def test_a_hostile_answer_is_permanent(site: HostileSite, fetcher: Fetcher, path: str, reason: str) -> None:
    error = await refused(fetcher, site.url(path))
    assert error.reason == reason
    assert "hunter2" not in str(error)
    assert "secret" not in str(error)
    assert site.sent_bytes < 20 * MIB


async def test_redirects_are_followed_to_the_last_hop(site: HostileSite, fetcher: Fetcher) -> None:
    page = await fetcher.get(site.url("/hops/10"))
    assert page.url == site.url("/page")
    assert [redirect.status for redirect in page.redirects] == [302] * 10
    assert not page.is_downgraded


async def test_a_redirect_to_a_private_address_names_the_way_out(site: HostileSite, fetcher: Fetcher) -> None:
    error = await refused(fetcher, site.url("/private"))
    for part in (site.url("/private"), "10.0.0.1", "RFC 1918", "MILLRACE_ALLOW_HOSTS", "10.0.0.1:80"):
        assert part in str(error)


async def test_credentials_stay_within_their_origin(site: HostileSite) -> None:
    async with HostileSite() as other, Fetcher(FetcherConfig(allow_hosts=(site.allow, other.allow))) as fetcher:
        headers = {"Authorization": "Bearer x", "cookie": "a=b", "X-Kept": "yes"}
        same = await fetcher.get(site.url(f"/to?{site.url('/echo')}"), headers=headers)
        moved = await fetcher.get(site.url(f"/to?{other.url('/echo')}"), headers=headers)
    seen_same, seen_moved = (json.loads(page.body)["headers"] for page in (same, moved))
    assert (seen_same["authorization"], seen_same["cookie"]) == ("Bearer x", "a=b")
    assert {"authorization", "cookie"}.isdisjoint(seen_moved)
    assert seen_moved["x-kept"] == "yes"


async def test_what_we_say_of_ourselves(site: HostileSite) -> None:
    config = FetcherConfig(allow_hosts=(site.allow,), user_agent="Millrace/1 (+https://example.com/bot)")
    async with Fetcher(config) as fetcher:
        page = await fetcher.get(site.url("/echo"), headers={"Host": "elsewhere", "Accept-Encoding": "br"})
    seen = json.loads(page.body)["headers"]
    assert seen["user-agent"] == "Millrace/1 (+https://example.com/bot)"
    assert seen["accept-encoding"] == "gzip, deflate"
    assert seen["host"] == site.allow


async def test_proxies_of_the_environment_are_not_used(
    site: HostileSite, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    assert (await fetcher.get(site.url("/page"))).status == 200


async def test_a_post_is_guarded_and_not_redirected(site: HostileSite, fetcher: Fetcher) -> None:
    sent = await fetcher.post(site.url("/echo"), b"event", headers={"Content-Type": "application/json"})
    assert json.loads(sent.body)["method"] == "POST"
    assert json.loads(sent.body)["body"] == "event"
    with pytest.raises(FetchRefusedError) as caught:
        await fetcher.post(site.url("/private"), b"event")
    assert caught.value.reason == "http_302"
    with pytest.raises(FetchRefusedError) as caught:
        await fetcher.post("http://169.254.169.254/", b"event")
    assert caught.value.reason == "blocked_address"


async def test_loopback_is_refused_unless_the_operator_lets_it_through(site: HostileSite) -> None:
    async with Fetcher() as fetcher:
        error = await refused(fetcher, site.url("/page"))
    assert error.reason == "blocked_address"
    assert f"127.0.0.1:{site.port} to MILLRACE_ALLOW_HOSTS" in str(error)
    assert not site.requests


async def test_a_name_is_looked_up_once_and_connected_to_what_was_checked(site: HostileSite) -> None:
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return next(answers)

    async with Fetcher(FetcherConfig(allow_hosts=(site.allow,)), lookup=rebinding) as fetcher:
        page = await fetcher.get(f"http://rebind.example:{site.port}/page")
    assert page.status == 200
    assert asked == ["rebind.example"]


async def test_one_bad_address_of_a_name_refuses_it(site: HostileSite) -> None:
    async def mixed(host: str, port: int) -> Sequence[str]:
        return ["93.184.215.14", "192.168.1.1"]

    async with Fetcher(lookup=mixed) as fetcher:
        error = await refused(fetcher, "http://mixed.example/?key=secret")
    assert error.reason == "blocked_address"
    assert "mixed.example" in str(error)
    assert "192.168.1.1" in str(error)


async def test_all_who_wait_for_one_lookup_are_refused() -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def private(host: str, port: int) -> Sequence[str]:
        asked.set()
        await answer.wait()
        return ["10.0.0.1"]

    async with Fetcher(lookup=private) as fetcher:
        fetches = [asyncio.create_task(refused(fetcher, "http://inside.example/")) for _ in range(3)]
        await asked.wait()
        answer.set()
        assert {error.reason for error in await asyncio.gather(*fetches)} == {"blocked_address"}


async def test_localhost_by_name_is_refused_by_the_real_resolver(site: HostileSite) -> None:
    async with Fetcher() as fetcher:
        assert (await refused(fetcher, f"http://localhost:{site.port}/")).reason == "blocked_address"
    assert not site.requests


async def test_a_name_that_does_not_resolve_is_transient() -> None:
    async def nothing(host: str, port: int) -> Sequence[str]:
        raise OSError("Name or service not known")

    async with Fetcher(lookup=nothing) as fetcher:
        assert (await failed(fetcher, "http://nowhere.example/")).reason == "dns"


async def test_a_download_is_hashed_as_it_comes(site: HostileSite, fetcher: Fetcher) -> None:
    async with fetcher.stream(site.url("/gzip")) as download:
        body = b"".join([chunk async for chunk in download.chunks()])
    assert body == HONEST
    assert download.sha256 == hashlib.sha256(HONEST).hexdigest()
    assert (download.size_bytes, download.wire_bytes) == (len(HONEST), len(gzip.compress(HONEST)))


async def test_the_start_of_an_endless_file_is_enough_to_classify_it(site: HostileSite, fetcher: Fetcher) -> None:
    async with fetcher.stream(site.url("/huge")) as download:
        assert await download.start(64 * 1024) == BLOCK[: 64 * 1024]
        assert download.head.content_type == "application/pdf"


async def test_a_large_download_keeps_memory_flat(site: HostileSite, fetcher: Fetcher) -> None:
    unit = 1 if sys.platform == "darwin" else 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    async with fetcher.stream(site.url("/huge-chunked"), max_bytes=100 * MIB) as download:
        with pytest.raises(FetchRefusedError) as caught:
            await read_and_drop(download)
    assert caught.value.reason == "too_large"
    assert download.size_bytes > 99 * MIB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - before < 30 * MIB


async def test_a_closed_fetcher_says_so() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await Fetcher().get("http://example.com/")
