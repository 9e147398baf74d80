"""A browser's side of the dashboard without a browser: cookies, forms and their tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import unescape
from typing import TYPE_CHECKING, Any

from api.sessions import COOKIE

if TYPE_CHECKING:
    from tests.support.api_place import ApiPlace

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
