"""Asking a JSON service that the operator has named: its errors told by kind, its key never in a text."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import orjson

from consumers.net import urls
from consumers.net.errors import retry_after_s
from consumers.net.fetch import Fetcher, FetcherConfig
from streams.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from consumers.net.responses import Response

MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
MAX_SAID_CHARS: Final = 300
_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500
_CLIENT_ERROR: Final = 400
_QUOTA: Final = re.compile(
    r"quota|rate.?limit|run out of searches|not enough credits|credits? exhausted", re.IGNORECASE
)


class ServiceRefused(PermanentError):  # noqa: N818 - it says what happened
    """A service will not answer: a wrong key, a used-up quota, a request it does not take."""


class ServiceAway(TransientError):  # noqa: N818 - it says what happened
    """A service may answer later."""


@asynccontextmanager
async def reaching(url: str, fetch: Fetcher) -> AsyncIterator[Fetcher]:
    """A fetcher that may reach one address more: that of a service which the operator, not a job, has named.

    Args:
        url: Of the service; loopback and private addresses are as good as any.
        fetch: Whose limits hold otherwise.
    """
    parsed = urls.parse(url)
    allowed = (*fetch.config.allow_hosts, f"{parsed.hostname}:{urls.port_of(parsed)}")
    async with Fetcher(FetcherConfig(allow_hosts=allowed, user_agent=fetch.config.user_agent)) as opened:
        yield opened


class Service:
    """A JSON service.

    Args:
        name: For errors: ``SearXNG``.
        base: Its address.
        fetch: The way to it.
        headers: Sent with every request: keys belong here.
        timeout_s: For one request.
    """

    def __init__(
        self, name: str, base: str, fetch: Fetcher, *, headers: Mapping[str, str] | None = None, timeout_s: float = 30.0
    ) -> None:
        self.name = name
        self.base = base
        self._fetch = fetch
        self._headers = {"Accept": "application/json", **(headers or {})}
        self._timeout_s = timeout_s

    async def get(self, path: str = "", **query: Any) -> Any:
        """The JSON that a GET answers.

        Raises:
            ServiceRefused: ``quota_exceeded``, ``service_refused`` or ``bad_answer``.
            ServiceAway: It may answer later.
        """
        asked = urlencode({name: value for name, value in query.items() if value is not None}, doseq=True)
        url = f"{self.base.rstrip('/')}{path}" if path else self.base
        answer = await self._fetch.get(
            f"{url}?{asked}" if asked else url, headers=self._headers, timeout_s=self._timeout_s,
            max_bytes=MAX_ANSWER_BYTES, any_status=True,
        )  # fmt: skip
        return self._read(answer)

    async def post(self, path: str, body: Any) -> Any:
        """The JSON that a POST answers; errors as `get`."""
        headers = {**self._headers, "Content-Type": "application/json"}
        url = f"{self.base.rstrip('/')}{path}" if path else self.base
        answer = await self._fetch.post(
            url, orjson.dumps(body), headers=headers, timeout_s=self._timeout_s, any_status=True
        )
        return self._read(answer)

    def _read(self, answer: Response) -> Any:
        said = self._said(answer.body)
        status = answer.status
        if status == _TOO_MANY or (status >= _CLIENT_ERROR and status < _SERVER_ERROR and _QUOTA.search(said)):
            wait_s = retry_after_s(answer.headers.get("Retry-After"), now=datetime.now(UTC))
            if wait_s is not None:
                raise ServiceAway(
                    f"{self.name} asks to wait {wait_s:.0f} s: {said}", reason="quota_exceeded", retry_after_s=wait_s
                )
            raise ServiceRefused(
                f"{self.name} says that the quota is used up: {said}; raise it or wait for the next period",
                reason="quota_exceeded",
            )
        if status >= _SERVER_ERROR:
            raise ServiceAway(f"{self.name} answered HTTP {status}: {said}; asked again later", reason="service_away")
        if status >= _CLIENT_ERROR:
            raise ServiceRefused(
                f"{self.name} answered HTTP {status}: {said}; check its key and address in the settings",
                reason="service_refused",
            )
        try:
            return orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            raise ServiceRefused(
                f"{self.name} answered something that is no JSON: {said!r}; check its address", reason="bad_answer"
            ) from None

    def _said(self, body: bytes) -> str:
        """What an error body says, shortened; every service has its own place for it."""
        text = body[:4_096].decode("utf-8", "replace")
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            return " ".join(text.split())[:MAX_SAID_CHARS]
        found = value
        for name in ("error", "message", "detail"):
            if isinstance(found, dict) and found.get(name):
                found = found[name]
        return " ".join(str(found).split())[:MAX_SAID_CHARS]
