"""The Python client, asynchronous and not.

::

    with Millrace("http://127.0.0.1:8000") as millrace:
        job = millrace.submit("filings", {"url": "https://example.com/investors"})
        for event in millrace.stream(job.job_id):
            print(event.type, event.data)
        print(millrace.result(job.job_id)["result"])

Every refusal of the server is an `ApiError`::

    MillraceError
    └── ApiError
        ├── Unauthenticated   401
        ├── Forbidden         403
        ├── NotFound          404, and 410: it was there
        ├── Conflict          409
        ├── Invalid           400, 413, 415, 422; `errors` names the fields
        └── Unavailable       408, 5xx, or no answer at all: may be tried again
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import aiohttp
import orjson

from schemas.jobs import ENDED, JobAccepted, JobView
from streams.errors import MillraceError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Iterator

T = TypeVar("T")

WAIT_S: Final = 30.0
"""How long one request waits for a job's end."""
SILENCE_S: Final = 45.0
"""A stream without even a heartbeat for so long is dead: the server sends one every 15 s."""
AGAIN_S: Final = (0.2, 5.0)
"""First and longest pause before a request is sent again."""


class ApiError(MillraceError):
    """The server refused, or did not answer.

    Attributes:
        status: Of HTTP; 0 when no answer came.
        type: The problem's type, such as ``/problems/unknown-flow``.
        errors: The fields that are wrong, where they are to blame.
        problem: The whole problem object.
    """

    def __init__(self, message: str, *, status: int = 0, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.problem = dict(problem or {})
        self.type = str(self.problem.get("type", ""))
        self.errors: list[dict[str, str]] = self.problem.get("errors", [])


class Unauthenticated(ApiError):  # noqa: N818 - as HTTP calls it
    """No key, or one that is not known."""


class Forbidden(ApiError):  # noqa: N818 - as HTTP calls it
    """The key lacks a scope."""


class NotFound(ApiError):  # noqa: N818 - as HTTP calls it
    """It is not there, or is another tenant's."""


class Conflict(ApiError):  # noqa: N818 - as HTTP calls it
    """The job's state does not allow it."""


class Invalid(ApiError):  # noqa: N818 - it says what the request is
    """The request does not fit."""


class Unavailable(ApiError):  # noqa: N818 - it says what the server is
    """The server, or a part behind it, is away."""


_BY_STATUS: Final[dict[int, type[ApiError]]] = {
    400: Invalid, 401: Unauthenticated, 403: Forbidden, 404: NotFound, 408: Unavailable, 409: Conflict,
    410: NotFound, 413: Invalid, 415: Invalid, 422: Invalid,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something that happened to a job.

    Attributes:
        id: Of its lifecycle entry; a later `stream` may begin after it. Empty for ``end``.
        type: ``submitted``, ``started``, ``completed`` and so on; the last one is ``end``, whose data is the job.
    """

    id: str
    type: str
    data: dict[str, Any]


class AsyncMillrace:
    """A client of one server; an async context manager, or close it with `aclose`.

    Args:
        url: Of the server, without ``/api``.
        api_key: ``mr_...``; none is needed on a loopback without keys.
        timeout_s: For one answer.
        patience_s: How long a request that got no answer is sent again, before `Unavailable` is raised. A submission
            carries an idempotency key, so that two sends are one job; `cancel` and `retry` are sent once.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8000", api_key: str | None = None, *, timeout_s: float = 30.0,
        patience_s: float = 10.0,
    ) -> None:  # fmt: skip
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._timeout_s = timeout_s
        self._patience_s = patience_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def submit(
        self, flow: str, spec: Mapping[str, Any], *, idempotency_key: str | None = None,
        traceparent: str | None = None, **options: Any,
    ) -> JobAccepted:  # fmt: skip
        """Submit a job.

        Args:
            flow: Name of an installed flow.
            spec: What that flow needs.
            idempotency_key: The same key and body within a day is the same job. One is made when none is given.
            traceparent: Of the trace that the job should run in.
            options: What ``POST /jobs`` takes beside: ``job_id priority from_stage until_stage run_at expires_at
                result_ttl_s notify then``.
        """
        headers = {"Idempotency-Key": idempotency_key or ("" if options.get("job_id") else uuid.uuid4().hex)}
        headers = {name: value for name, value in {**headers, "traceparent": traceparent}.items() if value}
        body = orjson.dumps({"flow": flow, "spec": dict(spec), **options})
        return JobAccepted.model_validate(await self._ask("POST", "jobs", body=body, headers=headers))

    async def get(self, job_id: str) -> JobView:
        """A job as it is."""
        return JobView.model_validate(await self._ask("GET", f"jobs/{job_id}"))

    async def wait(self, job_id: str, timeout_s: float | None = None) -> JobView:
        """A job when it has ended.

        Raises:
            TimeoutError: It has not within `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s if timeout_s is not None else None
        while True:
            left_s = WAIT_S if deadline is None else min(WAIT_S, max(0.0, deadline - time.monotonic()))
            job = JobView.model_validate(await self._ask("GET", f"jobs/{job_id}", params={"wait": f"{left_s:.3f}"}))
            if job.status in ENDED:
                return job
            if deadline is not None and time.monotonic() >= deadline:
                msg = f"job {job_id} has not ended within {timeout_s:g} s; it is {job.status}"
                raise TimeoutError(msg)

    async def result(self, job_id: str, revision: int | None = None) -> dict[str, Any]:
        """The result with what is missing from it: ``result``, ``missing``, ``dead_letters``, ``revision``, ``status``.

        Raises:
            NotFound: There is none yet (status 404), or it expired (410).
        """
        params = {"revision": str(revision)} if revision is not None else {}
        found: dict[str, Any] = await self._ask("GET", f"jobs/{job_id}/result", params=params)
        return found

    async def cancel(self, job_id: str, *, force: bool = False) -> JobView:
        """End a job; with `force` running handlers are killed.

        Raises:
            Conflict: It is over.
        """
        body = orjson.dumps({"force": force})
        return JobView.model_validate(await self._ask("POST", f"jobs/{job_id}/cancel", body=body, once=True))

    async def retry(self, job_id: str) -> int:
        """Put all dead letters of a job back to work; answers how many.

        Raises:
            Conflict: It has none.
        """
        return int((await self._ask("POST", f"jobs/{job_id}/retry", once=True))["redriven"])

    async def stream(self, job_id: str, after: str | None = None) -> AsyncGenerator[JobEvent]:
        """A job's events from its beginning, or after the one with this id, until ``end``; each once.

        A connection that breaks is made again where it broke off.

        Raises:
            Unavailable: It could not be made again within the client's patience.
        """
        pauses = _Pauses(self._patience_s)
        while True:
            try:
                async with aclosing(self._connected(job_id, after)) as events:
                    async for event in events:
                        pauses = _Pauses(self._patience_s)
                        if event.type == "disconnect":
                            break
                        if event.type == "problem":
                            raise _error(int(event.data.get("status", 500)), event.data)
                        after = event.id or after
                        yield event
                        if event.type == "end":
                            return
                await pauses.before_next(f"the events of job {job_id} broke off")
            except (aiohttp.ClientError, TimeoutError) as error:
                await pauses.before_next(f"{self._url} does not answer ({type(error).__name__})")
            except Unavailable as error:
                await pauses.before_next(str(error), error)

    async def _connected(self, job_id: str, after: str | None) -> AsyncGenerator[JobEvent]:
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": after} if after else {})}
        timeout = aiohttp.ClientTimeout(sock_connect=self._timeout_s, sock_read=SILENCE_S)
        async with self._open().get(self._at(f"jobs/{job_id}/events"), headers=headers, timeout=timeout) as answer:
            if answer.status != 200:  # noqa: PLR2004 - OK
                raise _error(answer.status, await _problem(answer))
            waiting = b""
            async for piece in answer.content.iter_any():
                *blocks, waiting = (waiting + piece).split(b"\n\n")
                for block in blocks:
                    if (event := _event(block)) is not None:
                        yield event

    async def _ask(
        self, method: str, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None, once: bool = False,
    ) -> Any:  # fmt: skip
        pauses = _Pauses(0 if once else self._patience_s)
        sent = {"Content-Type": "application/json"} if body is not None else {}
        waits_s = float((params or {}).get("wait", 0))
        timeout = aiohttp.ClientTimeout(total=self._timeout_s + waits_s)
        options = {"data": body, "headers": {**sent, **(headers or {})}, "params": params, "timeout": timeout}
        while True:
            try:
                async with self._open().request(method, self._at(path), **options) as answer:  # type: ignore[arg-type]
                    if answer.status < 400:  # noqa: PLR2004 - not an error
                        return orjson.loads(await answer.read())
                    raise _error(answer.status, await _problem(answer))
            except (aiohttp.ClientError, TimeoutError) as error:
                await pauses.before_next(f"{self._url} does not answer ({type(error).__name__})")
            except Unavailable as error:
                await pauses.before_next(str(error), error)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(headers=self._headers)
        return self._session

    def _at(self, path: str) -> str:
        return f"{self._url}/api/v1/{path}"


class Millrace:
    """`AsyncMillrace` for programs without an event loop: the same methods, each until it is done.

    The requests run in a thread of its own; close it, or use it with `with`.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8000", api_key: str | None = None, *, timeout_s: float = 30.0,
        patience_s: float = 10.0,
    ) -> None:  # fmt: skip
        self._client = AsyncMillrace(url, api_key, timeout_s=timeout_s, patience_s=patience_s)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="millrace-client", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections and end the thread."""
        if self._loop.is_closed():
            return
        self._run(self._loop.shutdown_asyncgens())
        self._run(self._client.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def submit(
        self, flow: str, spec: Mapping[str, Any], *, idempotency_key: str | None = None,
        traceparent: str | None = None, **options: Any,
    ) -> JobAccepted:  # fmt: skip
        """As `AsyncMillrace.submit`."""
        return self._run(
            self._client.submit(flow, spec, idempotency_key=idempotency_key, traceparent=traceparent, **options)
        )

    def get(self, job_id: str) -> JobView:
        """As `AsyncMillrace.get`."""
        return self._run(self._client.get(job_id))

    def wait(self, job_id: str, timeout_s: float | None = None) -> JobView:
        """As `AsyncMillrace.wait`."""
        return self._run(self._client.wait(job_id, timeout_s))

    def result(self, job_id: str, revision: int | None = None) -> dict[str, Any]:
        """As `AsyncMillrace.result`."""
        return self._run(self._client.result(job_id, revision))

    def cancel(self, job_id: str, *, force: bool = False) -> JobView:
        """As `AsyncMillrace.cancel`."""
        return self._run(self._client.cancel(job_id, force=force))

    def retry(self, job_id: str) -> int:
        """As `AsyncMillrace.retry`."""
        return self._run(self._client.retry(job_id))

    def stream(self, job_id: str, after: str | None = None) -> Iterator[JobEvent]:
        """As `AsyncMillrace.stream`."""
        events = self._client.stream(job_id, after)
        try:
            while (event := self._run(anext(events, None))) is not None:
                yield event
        finally:
            # Left half way, this may run whenever the garbage collector does: also in the thread, or after `close`.
            if not self._loop.is_closed():
                closing = asyncio.run_coroutine_threadsafe(_awaited(events.aclose()), self._loop)
                if threading.current_thread() is not self._thread:
                    closing.result()

    def _run(self, work: Awaitable[T]) -> T:
        return asyncio.run_coroutine_threadsafe(_awaited(work), self._loop).result()


class _Pauses:
    """Grows the pause between two tries; raises when the patience is at its end."""

    def __init__(self, patience_s: float) -> None:
        self._until = time.monotonic() + patience_s
        self._pause_s = AGAIN_S[0]

    async def before_next(self, why: str, error: ApiError | None = None) -> None:
        if time.monotonic() + self._pause_s > self._until:
            raise error or Unavailable(f"{why}; is the server running, and is this its address?")
        await asyncio.sleep(self._pause_s)
        self._pause_s = min(AGAIN_S[1], self._pause_s * 2)


async def _awaited(work: Awaitable[T]) -> T:
    return await work


async def _problem(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    body = await answer.read()
    try:
        problem = orjson.loads(body)
    except orjson.JSONDecodeError:
        problem = None
    if isinstance(problem, dict):
        return problem
    return {"detail": f"HTTP {answer.status} {answer.reason}, and no problem object: is this a Millrace server?"}


def _error(status: int, problem: Mapping[str, Any]) -> ApiError:
    kind = _BY_STATUS.get(status, Unavailable if status >= 500 else Invalid)  # noqa: PLR2004 - server errors
    return kind(str(problem.get("detail", f"HTTP {status}")), status=status, problem=problem)


def _event(block: bytes) -> JobEvent | None:
    """One block of an event stream; None for a comment. Source: WHATWG HTML, "Server-sent events"."""
    fields: dict[str, str] = {}
    for line in block.decode().split("\n"):
        name, colon, value = line.partition(":")
        if name and colon:
            fields[name] = value.removeprefix(" ")
    if "data" not in fields:
        return None
    return JobEvent(fields.get("id", ""), fields.get("event", "message"), orjson.loads(fields["data"]))
