"""A real Chromium behind the egress proxy."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from consumers.net.browser import Browser, BrowserConfig, Refused, chromium
from consumers.net.errors import FetchFailedError, FetchRefusedError
from streams.errors import PermanentError, TransientError
from tests.support.script_site import ScriptSite

try:
    chromium.find(None)
except PermanentError as missing:
    pytest.skip(str(missing), allow_module_level=True)


@pytest.fixture
async def site() -> AsyncIterator[ScriptSite]:
    async with ScriptSite() as site:
        yield site


async def test_what_scripts_add_is_read(site: ScriptSite) -> None:
    async with Browser(BrowserConfig(allow_hosts=(site.allow,))) as browser:
        page = await browser.render(site.url("/list"), wait_for="li:nth-child(3)")
        missing = await browser.render(site.url("/missing"))
        long = await browser.render(site.url("/long"), scroll=True)
    assert "<li>one</li><li>two</li><li>three</li>" in page.html
    assert (page.status, page.url) == (200, site.url("/list"))
    assert (missing.status, len(missing.console_errors)) == (404, 1)
    assert "seen to the end" in long.html


async def test_no_page_reaches_a_private_address(site: ScriptSite) -> None:
    async with ScriptSite() as private:
        site.other = private.allow
        async with Browser(BrowserConfig(allow_hosts=(site.allow,))) as browser:
            await browser.render(site.url("/reaching"), wait_for="body#tried")
            with pytest.raises(FetchRefusedError) as redirected:
                await browser.render(site.url("/away"))
            with pytest.raises(FetchRefusedError) as direct:
                await browser.render(private.url("/"))
            refused = set(browser.proxy.refused)
    assert private.asked == []
    assert (redirected.value.reason, direct.value.reason) == ("blocked_address", "blocked_address")
    for path in ("by-image", "by-fetch", "by-redirect", "by-beacon"):
        assert Refused(private.url(f"/{path}"), "blocked_address") in refused
    # A web socket is asked for by CONNECT, which names no path.
    assert Refused(f"https://{private.allow}/", "blocked_address") in refused


async def test_a_page_that_hangs_is_killed_and_the_next_is_read(site: ScriptSite) -> None:
    async with Browser(BrowserConfig(allow_hosts=(site.allow,))) as browser:
        with pytest.raises(FetchFailedError) as caught:
            await browser.render(site.url("/hanging"), timeout_s=1)
        page = await browser.render(site.url("/list"), wait_for="li")
    assert caught.value.reason == "timeout"
    assert page.status == 200


async def test_a_crash_is_tried_again_on_a_new_chromium(site: ScriptSite) -> None:
    async def crashed(browser: Browser) -> None:
        async with browser.visit(timeout_s=30) as page:
            await browser.open_page(page, site.url("/list"))
            browser.kill()
            await page.wait_for_selector("#never")

    async with Browser(BrowserConfig(allow_hosts=(site.allow,))) as browser:
        with pytest.raises(TransientError) as caught:
            await crashed(browser)
        again = await browser.render(site.url("/list"), wait_for="li")
        assert browser.starts == 2
    assert caught.value.reason == "browser_crashed"
    assert again.status == 200


async def test_it_is_restarted_after_its_share_of_pages(site: ScriptSite) -> None:
    config = BrowserConfig(allow_hosts=(site.allow,), max_pages=2)
    async with Browser(config) as browser:
        rendered = await asyncio.gather(*(browser.render(site.url("/missing")) for _ in range(4)))
        assert browser.starts == 2
    assert [page.status for page in rendered] == [404] * 4


async def test_it_is_restarted_above_its_memory_mark(site: ScriptSite) -> None:
    config = BrowserConfig(allow_hosts=(site.allow,), max_memory_bytes=1)
    async with Browser(config) as browser:
        await browser.render(site.url("/missing"))
        await browser.render(site.url("/missing"))
        assert browser.starts == 2


async def test_a_form_is_sent_through_the_proxy(site: ScriptSite) -> None:
    body = "<form method=post action=/posted><input name=q value=coffee><button>Go</button></form>"
    async with Browser(BrowserConfig(allow_hosts=(site.allow,))) as browser, browser.visit(timeout_s=20) as page:
        await browser.open_page(page, site.url("/missing"))
        await page.evaluate("body => { document.body.innerHTML = body }", body)
        async with page.expect_navigation(wait_until="load"):
            await page.click("button")
        assert await page.title() == "q=coffee"


async def test_nothing_of_it_is_left_behind(site: ScriptSite) -> None:
    async with Browser(BrowserConfig(allow_hosts=(site.allow,))) as browser:
        await browser.render(site.url("/missing"))
        started = list(browser.processes())
    assert started
    assert not [process for process in started if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


async def test_it_ends_with_a_killed_worker(site: ScriptSite) -> None:
    program = (
        "import asyncio, sys\n"
        "from consumers.net.browser import Browser, BrowserConfig\n"
        "async def main():\n"
        "    async with Browser(BrowserConfig(allow_hosts=(sys.argv[1],))) as browser:\n"
        "        await browser.render(f'http://{sys.argv[1]}/missing')\n"
        "        print(*(process.pid for process in browser.processes()), flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, site.allow, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert worker.stdout is not None
    pids = [int(pid) for pid in (await worker.stdout.readline()).split()]
    chromiums = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    assert chromiums
    os.kill(worker.pid, signal.SIGKILL)
    await worker.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, chromiums, 20)
    assert not alive


async def test_a_missing_browser_says_how_to_get_one() -> None:
    async with Browser(BrowserConfig(chromium="/nowhere/chromium")) as browser:
        with pytest.raises(PermanentError) as caught:
            await browser.render("https://example.com/")
    assert caught.value.reason == "browser_missing"
    assert "MILLRACE_CHROMIUM" in str(caught.value)
