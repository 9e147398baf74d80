"""A browser's side of the dashboard without a browser: cookies, forms and their tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import unescape
from typing import TYPE_CHECKING, Any

from api.sessions import COOKIE
from consumers.analytics.keep import Kept

if TYPE_CHECKING:
    from tests.support.api_place import ApiPlace

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
MINUTE_MS = 60_000
TOKEN = re.compile(r'data-csrf="([0-9a-f]{64})"')


@dataclass
class Shown:
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def token(self) -> str:
        found = TOKEN.search(self.text)
        assert found is not None, self.text[:500]
        return found[1]

    @property
    def links(self) -> list[str]:
        return [unescape(one) for one in re.findall(r'href="([^"]+)"', self.text)]


@dataclass
class Visitor:
    """Keeps a cookie, as a browser does."""

    place: ApiPlace
    cookies: dict[str, str] = field(default_factory=dict)
    token: str = ""

    async def get(self, path: str, **headers: str) -> Shown:
        shown = await self._ask("GET", path, headers)
        if found := TOKEN.search(shown.text):
            self.token = found[1]
        return shown

    async def post(
        self, path: str, fields: dict[str, Any] | None = None, *, token: str | None = None, **more: str
    ) -> Shown:
        data = {**(fields or {}), "csrf": self.token if token is None else token}
        return await self._ask("POST", path, more, data=data)

    async def sign_in(self, key: str) -> Shown:
        await self.get("/sign-in")
        return await self.post("/sign-in", {"key": key})

    async def ticket(self, path: str, *, token: str | None = None) -> Shown:
        headers = {"X-CSRF-Token": self.token if token is None else token}
        return await self._ask("POST", "/ticket", headers, json={"path": path})

    async def _ask(self, method: str, path: str, headers: dict[str, str], **options: Any) -> Shown:
        if self.cookies:
            headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), **headers}
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        url = self.place.url + path
        async with self.place.session.request(method, url, headers=sent, allow_redirects=False, **options) as answer:
            # aiohttp keeps no cookies of addresses: they are kept here.
            for name, morsel in answer.cookies.items():
                self.cookies[name] = morsel.value
            got = {name.lower(): value for name, value in answer.headers.items()}
            return Shown(answer.status, got, (await answer.read()).decode())

    @property
    def session_id(self) -> str:
        return self.cookies.get(COOKIE, "")


def row(stage: str, **more: Any) -> dict[str, Any]:
    """A row of a window."""
    spread = {"p50": 0.25, "p95": 2.5, "p99": None, "max": 3.0}
    counts = {"opened": 9, "done": 1_234, "failed": 6, "retried": 2, "reclaimed": 0, "redriven": 0, "per_s": 4.5}
    names = {"tenant": "default", "stage": stage, "flow": "probe", "host": ""}
    return {**names, **counts, "failure_rate": 0.0048, "run_s": spread, "whole_s": spread, **more}


async def published(place: ApiPlace, at_ms: int) -> Kept:
    """What the analytics process would have left at an instant."""
    kept = Kept(place.services.client, place.services.keys)
    begin_ms = at_ms // MINUTE_MS * MINUTE_MS
    windows = [
        {"from_ms": begin_ms - ago * MINUTE_MS, "to_ms": begin_ms + (1 - ago) * MINUTE_MS, "is_over": ago > 0,
         "rows": [row("crawl", host=HOSTILE), row("extract", tenant="others", done=77_777)]}
        for ago in range(2)
    ]  # fmt: skip
    queue = {"waiting": 4_321, "held": 3, "oldest_ms": at_ms - 125_000}
    place_of = {"tenant": "default", "stage": "crawl", "flow": "probe", "host": HOSTILE}
    state = {
        "at_ms": at_ms, "is_restored": True, "late": 0, "queues": {"crawl": queue},
        "open": [{**place_of, "open": 5, "oldest_ms": at_ms - 3_700_000}],
    }  # fmt: skip
    await kept.publish({"1m": windows}, state)
    return kept
