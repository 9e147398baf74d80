"""One Chromium for a process: a context for each visit, restarted before it grows old, killed when it hangs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from consumers.net import urls
from consumers.net.browser import chromium
from consumers.net.browser.egress import EgressProxy
from consumers.net.errors import FetchFailedError, FetchRefusedError
from consumers.net.guard import AllowList, check_url
from consumers.net.resolver import Lookup, system_lookup
from streams.errors import PermanentError, TransientError

if TYPE_CHECKING:
    import playwright.async_api as pw
    import psutil

logger = logging.getLogger(__name__)

CLOSE_S: Final = 5.0
SETTLE_S: Final = 3.0
MEMORY_EVERY: Final = 10
_CRASHED: Final = ("Target crashed", "has been closed", "Browser closed", "Connection closed", "Page crashed")


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserConfig:
    """How a `Browser` is run.

    Attributes:
        allow_hosts: Private targets let through, the operator's; as in `consumers.net.fetch.FetcherConfig`.
        chromium: Path of the browser; None looks on PATH.
        user_agent: Sent by pages; None is Chromium's own.
        max_pages: Visits after which it is restarted.
        max_memory_bytes: Resident memory of its processes above which it is restarted.
        max_at_once: Visits at the same time.
        max_html_bytes: Longest document handed back.
        max_errors: Console errors kept of a visit.
    """

    allow_hosts: tuple[str, ...] = ()
    chromium: str | None = None
    user_agent: str | None = None
    max_pages: int = 200
    max_memory_bytes: int = 2 * 1024**3
    max_at_once: int = 4
    max_html_bytes: int = 16 * 1024 * 1024
    max_errors: int = 50


@dataclass(frozen=True, slots=True)
class Rendered:
    """A page as a visitor would have it.

    Attributes:
        url: Where the browser ended up.
        status: HTTP status of the document.
        html: The document after its scripts ran.
        console_errors: What the page complained of.
    """

    url: str
    status: int
    html: str
    console_errors: tuple[str, ...] = ()


class Browser:
    """A Chromium that reaches the web through an `EgressProxy` only. Use as an async context manager.

    It starts with the first visit. Raised by every visit: `FetchRefusedError` for a target that the guard refuses,
    `FetchFailedError` (``timeout``, ``connection``) and `TransientError` (``browser_crashed``) for what may succeed
    later, `PermanentError` (``browser_missing``) where no Chromium or no Playwright is installed.
    """

    def __init__(self, config: BrowserConfig | None = None, *, lookup: Lookup = system_lookup) -> None:
        self.config = config or BrowserConfig()
        self._allow = AllowList.parse(self.config.allow_hosts)
        self.proxy = EgressProxy(self._allow, lookup=lookup)
        self._slots = asyncio.Semaphore(self.config.max_at_once)
        self._turn = asyncio.Condition()
        self._visits = 0
        self._served = 0
        self._starts = 0
        self._mark = ""
        self._is_tired = False
        self._playwright: pw.Playwright | None = None
        self._chromium: pw.Browser | None = None

    @property
    def starts(self) -> int:
        """How often Chromium was started."""
        return self._starts

    def processes(self) -> Iterator[psutil.Process]:
        """Those of the Chromium that runs now."""
        return chromium.processes(self._mark)

    def kill(self) -> None:
        """SIGKILL Chromium: visits under way end as ``browser_crashed``, the next one starts another."""
        chromium.kill(self._mark)

    async def __aenter__(self) -> Self:
        await self.proxy.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()
        if self._playwright is not None:
            await self._playwright.stop()
            self._playwright = None
        await self.proxy.__aexit__()

    async def render(
        self, url: str, *, timeout_s: float = 20.0, wait_for: str | None = None, scroll: bool = False
    ) -> Rendered:
        """Visit a page and read its document after its scripts have run.

        Args:
            url: Absolute http or https URL.
            timeout_s: For all of it.
            wait_for: CSS selector of what must be there; else until the network is quiet, at most `SETTLE_S`.
            scroll: Go to the end of the page first, for what loads on sight.
        """
        async with self.visit(timeout_s=timeout_s) as page:
            errors: list[str] = []
            page.on("console", lambda said: self._note(errors, said))
            status = await self.open_page(page, url)
            if wait_for is not None:
                await page.wait_for_selector(wait_for, state="attached", timeout=timeout_s * 1_000)
            else:
                await settle(page)
            if scroll:
                await page.evaluate("window.scrollTo(0, document.documentElement.scrollHeight)")
                await settle(page)
            html = await page.content()
            if len(html.encode()) > self.config.max_html_bytes:
                raise FetchRefusedError(
                    f"{urls.redact(url)} grew beyond {self.config.max_html_bytes} bytes in the browser; audit a "
                    "smaller page", reason="too_large", url=url,
                )  # fmt: skip
            return Rendered(page.url, status, html, tuple(errors))

    async def open_page(self, page: pw.Page, url: str) -> int:
        """Send a page to a URL, as far as its document; returns the HTTP status."""
        check_url(url, self._allow)
        response = await page.goto(url, wait_until="domcontentloaded")
        status = response.status if response is not None else 200
        reason = (response.headers if response is not None else {}).get("x-millrace-refused")
        if reason in {"connection", "bad_request"}:
            raise FetchFailedError(
                f"{urls.redact(url)} does not answer; it is asked again later", reason="connection", url=url
            )
        if reason is not None:
            raise FetchRefusedError(f"{urls.redact(url)} leads where the guard refuses to go", reason=reason, url=url)
        return status

    @contextlib.asynccontextmanager
    async def visit(self, *, timeout_s: float, options: dict[str, Any] | None = None) -> AsyncIterator[pw.Page]:
        """A page in a context of its own, without anybody's cookies; closed at the end, by force if need be.

        Args:
            timeout_s: For the whole visit; then ``timeout`` is raised and a page that hangs is killed.
            options: More arguments of Playwright's ``new_context`` (``viewport``, ``locale``).
        """
        async with self._slots:
            try:
                async with asyncio.timeout(timeout_s):
                    context = await self._context(options or {})
                    try:
                        page = await context.new_page()
                        page.set_default_timeout(timeout_s * 1_000)
                        yield page
                    finally:
                        await self._leave(context)
            except TimeoutError:
                raise FetchFailedError(
                    f"the page was not done after {timeout_s:g} s in the browser; it is tried again later",
                    reason="timeout", url="",
                ) from None  # fmt: skip
            except Exception as error:
                raise self._translated(error) from error

    async def _context(self, options: dict[str, Any]) -> pw.BrowserContext:
        async with self._turn:
            while self._is_tired and self._visits:
                await self._turn.wait()
            if self._is_tired:
                await self._stop()
            if self._chromium is None or not self._chromium.is_connected():
                await self._start()
            self._visits += 1
            self._served += 1
            self._is_tired = self._served >= self.config.max_pages
        assert self._chromium is not None  # noqa: S101 - started above
        try:
            return await self._chromium.new_context(
                accept_downloads=False, service_workers="block", ignore_https_errors=False,
                **{"user_agent": self.config.user_agent, **options},
            )  # fmt: skip
        except BaseException:
            await self._gone()
            raise

    async def _leave(self, context: pw.BrowserContext) -> None:
        """Close a context; when Chromium does not answer it is killed, and the next visit starts another."""
        try:
            async with asyncio.timeout(CLOSE_S):
                await asyncio.shield(asyncio.ensure_future(context.close()))
        except TimeoutError:
            logger.warning("Chromium did not close a page within %.0f s and is killed", CLOSE_S)
            chromium.kill(self._mark)
        except Exception as error:  # noqa: BLE001 - a crashed browser has nothing left to close
            logger.info("Chromium was gone before its page was closed: %s", error)
        finally:
            await self._gone()

    async def _gone(self) -> None:
        async with self._turn:
            self._visits -= 1
            if not self._is_tired and self._served % MEMORY_EVERY == 1:
                used = await asyncio.to_thread(chromium.memory_bytes, self._mark)
                self._is_tired = used > self.config.max_memory_bytes
            self._turn.notify_all()

    async def _start(self) -> None:
        try:
            from playwright.async_api import async_playwright  # noqa: PLC0415 - an extra, and slow to import
        except ImportError as error:
            raise PermanentError(
                "Playwright is not installed; install the extra `browser` (pip install 'millrace[browser]' in the "
                "source tree: pip install -e '.[browser]')", reason="browser_missing",
            ) from error  # fmt: skip
        executable = chromium.find(self.config.chromium)
        if self._playwright is None:
            self._playwright = await async_playwright().start()
        self._mark = secrets.token_hex(8)
        self._chromium = await self._playwright.chromium.launch(
            executable_path=executable,
            headless=True,
            args=chromium.arguments(self._mark),
            # Without the bypass rule Chromium reaches loopback without asking any proxy.
            proxy={"server": self.proxy.url, "bypass": "<-loopback>"},
            chromium_sandbox=chromium.is_sandboxed(),
            env=chromium.environment(os.environ),
            handle_sigint=False, handle_sigterm=False, handle_sighup=False,
        )  # fmt: skip
        self._starts += 1
        self._served = 0
        self._is_tired = False

    async def _stop(self) -> None:
        if self._chromium is None:
            return
        ended, self._chromium = self._chromium, None
        try:
            async with asyncio.timeout(CLOSE_S):
                await ended.close()
        except Exception as error:  # noqa: BLE001 - what does not close is killed
            logger.info("Chromium did not close by itself: %r", error)
        await asyncio.to_thread(chromium.kill, self._mark)

    def _note(self, errors: list[str], said: pw.ConsoleMessage) -> None:
        if said.type == "error" and len(errors) < self.config.max_errors:
            errors.append(said.text[:500])

    def _translated(self, error: Exception) -> Exception:
        """What Playwright raises, as what the log can act on; everything else as it is."""
        from playwright.async_api import Error  # noqa: PLC0415 - as in _start
        from playwright.async_api import TimeoutError as PlaywrightTimeoutError  # noqa: PLC0415 - as in _start

        if isinstance(error, PlaywrightTimeoutError):
            return FetchFailedError(f"the browser waited too long: {_first_line(error)}", reason="timeout", url="")
        if not isinstance(error, Error):
            return error
        text = _first_line(error)
        if any(mark in text for mark in _CRASHED):
            self._is_tired = True
            return TransientError(f"Chromium crashed on this page: {text}; it is tried again", reason="browser_crashed")
        if "net::ERR_TUNNEL_CONNECTION_FAILED" in text and self.proxy.refused:
            last = self.proxy.refused[-1]
            return FetchRefusedError(
                f"{last.url} was refused to the browser: {last.reason}", reason=last.reason, url=last.url
            )
        if "net::ERR_" in text:
            return FetchFailedError(f"the browser could not load the page: {text}", reason="connection", url="")
        return error


async def settle(page: pw.Page) -> None:
    """Wait until the page's requests have ended, at most `SETTLE_S`: some pages never fall silent."""
    from playwright.async_api import TimeoutError as PlaywrightTimeoutError  # noqa: PLC0415 - as in Browser._start

    with contextlib.suppress(PlaywrightTimeoutError):
        await page.wait_for_load_state("networkidle", timeout=SETTLE_S * 1_000)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
