"""A job's events as they happen: Server-Sent Events and WebSocket.

Source: WHATWG HTML, "Server-sent events"; RFC 6455, section 7.4.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Header, Query, Request, WebSocket
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from api.auth import Follower, identify_follower
from api.live import Hub, LiveEntry, place_of
from api.look import Dropped, Found, find, follow
from api.problems import Problem, problem_of, unforeseen
from api.services import Services, services_of
from api.views import event_view

logger = logging.getLogger(__name__)

router = APIRouter(prefix="/jobs/{job_id}", tags=["jobs"])
root = APIRouter()

SEND_S: Final = 30.0
"""A client that takes nothing for so long is dropped."""
RETRY_MS: Final = 1_000
NORMAL, TRY_AGAIN, NOT_FOUND, UNAUTHENTICATED, FORBIDDEN, FAILED = 1000, 1013, 4404, 4401, 4403, 1011
_CLOSE_CODES: Final = {"not-found": NOT_FOUND, "unauthenticated": UNAUTHENTICATED, "forbidden": FORBIDDEN}


class EventStream(Response):
    """A response that is written as its events come, and ends when the client goes or takes nothing any more."""

    media_type = "text/event-stream"

    def __init__(self, chunks: AsyncGenerator[bytes], hub: Hub) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._chunks = chunks
        self._hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - of ASGI
        """Write until it ends, the client goes, or it takes nothing any more."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        tasks = {asyncio.create_task(self._write(send)), asyncio.create_task(_client_gone(receive))}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def _write(self, send: Send) -> None:
        async with aclosing(self._chunks) as chunks:
            async for chunk in chunks:
                try:
                    async with asyncio.timeout(SEND_S):
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
                except TimeoutError:
                    self._hub.slow_clients += 1
                    logger.info("an event stream was dropped: the client took nothing for %g s", SEND_S)
                    return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


@router.get("/events")
async def job_events(
    request: Request,
    caller: Follower,
    job_id: str,
    last_event_id: Annotated[str | None, Header()] = None,
    after: Annotated[str | None, Query(description="as Last-Event-ID")] = None,
) -> Response:
    """The job's events from its beginning, or after `Last-Event-ID`, until it and its notifications are done.

    Each has the id of its lifecycle entry. The last one is `end`, with the job; `disconnect` tells to come again.
    """
    services = services_of(request)
    found = await find(services, job_id, caller.tenant)
    return EventStream(_written(services, found, _place(last_event_id or after)), services.hub)


@root.websocket("/ws/jobs/{job_id}")
async def job_socket(socket: WebSocket, job_id: str, after: str | None = None) -> None:
    """As the event stream, a JSON message an event. Closes with 1000 at the end, 1013 when the client is too slow."""
    services = services_of(socket)
    await socket.accept()
    try:
        caller = await identify_follower(socket)
        found = await find(services, job_id, caller.tenant)
        place = _place(after)
    except Exception as error:  # noqa: BLE001 - whatever it is, the client is told
        problem = problem_of(error) or unforeseen(error)
        await _close(socket, _CLOSE_CODES.get(problem.name, FAILED), problem.body())
        return
    talk = asyncio.create_task(_talk(services, socket, found, place))
    listen = asyncio.create_task(_socket_gone(socket))
    try:
        await asyncio.wait({talk, listen}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (talk, listen):
            task.cancel()
        await asyncio.gather(talk, listen, return_exceptions=True)


async def _talk(services: Services, socket: WebSocket, found: Found, after: tuple[int, int]) -> None:
    try:
        async with aclosing(follow(services, found, after)) as entries:
            async for entry in entries:
                message = {"type": "heartbeat"} if entry is None else event_view(entry.entry_id, entry.fields)
                async with asyncio.timeout(SEND_S):
                    await socket.send_text(orjson.dumps(message).decode())
        view = (await find(services, found.job_id, found.tenant)).view
        await _close(socket, NORMAL, {"type": "end", "job": view.model_dump(mode="json")})
    except TimeoutError:
        services.hub.slow_clients += 1
        await socket.close(TRY_AGAIN, "the client takes nothing")
    except Dropped as error:
        await _close(socket, TRY_AGAIN, {"type": "disconnect", "reason": str(error)})
    except WebSocketDisconnect:
        pass
    except Exception as error:  # noqa: BLE001 - whatever it is, the client is told
        await _close(socket, FAILED, (problem_of(error) or unforeseen(error)).body())


async def _written(services: Services, found: Found, after: tuple[int, int]) -> AsyncGenerator[bytes]:
    """The events as text, the last of them saying how it ended."""
    yield b"retry: %d\n: events of job %b\n\n" % (RETRY_MS, found.job_id.encode())
    try:
        async with aclosing(follow(services, found, after)) as entries:
            async for entry in entries:
                yield b": still here\n\n" if entry is None else _event(entry)
        view = (await find(services, found.job_id, found.tenant)).view
        yield b"event: end\ndata: %b\n\n" % view.model_dump_json().encode()
    except Dropped as error:
        yield b"event: disconnect\ndata: %b\n\n" % orjson.dumps({"reason": str(error)})
    except Exception as error:  # noqa: BLE001 - the status is sent already: what is left is an event
        problem = problem_of(error) or unforeseen(error)
        yield b"event: problem\ndata: %b\n\n" % orjson.dumps(problem.body())


def _event(entry: LiveEntry) -> bytes:
    kind = entry.fields.get("type", "message")
    data = orjson.dumps(event_view(entry.entry_id, entry.fields))
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (entry.entry_id.encode(), kind.encode(), data)


def _place(entry_id: str | None) -> tuple[int, int]:
    if not entry_id:
        return (0, 0)
    try:
        return place_of(entry_id)
    except ValueError as error:
        raise Problem(
            "invalid-request", str(error), errors=[{"field": "Last-Event-ID", "detail": str(error)}]
        ) from None


async def _close(socket: WebSocket, code: int, last: dict[str, Any]) -> None:
    async with asyncio.timeout(SEND_S):
        await socket.send_text(orjson.dumps(last).decode())
        await socket.close(code)


async def _client_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _socket_gone(socket: WebSocket) -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
