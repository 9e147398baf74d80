"""A loopback proxy before a server: it cuts connections off after the server acted, or before it could."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(slots=True)
class Proxy:
    """Passes everything on, but for what it is told.

    Attributes:
        cut_answer: Asked with each request; True: the server gets it, its answer is dropped with the connection.
        mute: Asked with each request; True: the server gets it, and nothing comes back on that connection any more.
        hold_request: Asked with each request; True: it is kept back with all that follows on that connection.
        cuts, muted: How many answers were dropped by either.
        held: Set when a request was kept back.
    """

    server_port: int
    cut_answer: Callable[[bytes], bool] = lambda _: False
    mute: Callable[[bytes], bool] = lambda _: False
    hold_request: Callable[[bytes], bool] = lambda _: False
    cuts: int = 0
    muted: int = 0
    held: asyncio.Event = field(default_factory=asyncio.Event)
    _listener: asyncio.Server | None = None
    _links: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where to connect instead."""
        assert self._listener is not None
        return f"redis://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}/0"

    def _connected(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._link(from_client, to_client))
        self._links.add(task)
        task.add_done_callback(self._links.discard)

    async def _connection(self, to_client: asyncio.StreamWriter) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """To the server; when there is none, the client's is ended."""
        try:
            return await asyncio.open_connection("127.0.0.1", self.server_port)
        except BaseException:
            to_client.transport.abort()
            raise

    async def _link(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        from_server, to_server = await self._connection(to_client)
        is_cut = is_muted = False

        async def requests() -> None:
            nonlocal is_cut, is_muted
            while chunk := await from_client.read(1 << 20):
                if self.hold_request(chunk):
                    self.held.set()
                    await asyncio.Event().wait()
                is_cut = is_cut or self.cut_answer(chunk)
                is_muted = is_muted or self.mute(chunk)
                to_server.write(chunk)
                await to_server.drain()

        async def answers() -> None:
            while chunk := await from_server.read(1 << 20):
                if is_cut:
                    self.cuts += 1
                    return
                if is_muted:
                    self.muted += 1
                    continue
                to_client.write(chunk)
                await to_client.drain()

        both = [asyncio.create_task(requests()), asyncio.create_task(answers())]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for half in both:
                half.cancel()
            for writer in (to_client, to_server):
                writer.transport.abort()
            await asyncio.gather(*both, return_exceptions=True)


@asynccontextmanager
async def proxied(server_url: str) -> AsyncIterator[Proxy]:
    """A proxy before a server."""
    port = urlsplit(server_url).port
    assert port is not None
    proxy = Proxy(port)
    proxy._listener = await asyncio.start_server(proxy._connected, "127.0.0.1", 0)
    try:
        yield proxy
    finally:
        proxy._listener.close()
        await asyncio.sleep(0)  # what was accepted already becomes a link
        while links := list(proxy._links):
            for link in links:
                link.cancel()
            await asyncio.gather(*links, return_exceptions=True)
