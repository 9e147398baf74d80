"""A loopback proxy before a server: it cuts connections off after the server acted, or before it could."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

PIECE_BYTES = 1 << 20


@dataclass(slots=True)
class Proxy:
    """Passes everything on, but for what it is told.

    Attributes:
        cut_answer: Asked with each request; True: the server gets it, its answer is dropped with the connection.
        mute: Asked with each request; True: the server gets it, and nothing comes back on that connection any more.
        hold_request: Asked with each request; True: it is kept back with all that follows on that connection.
        cuts, muted: How many answers were dropped by either.
        held: Set when a request was kept back.
        is_cut: No connection comes about, see `cut`.
    """

    server_port: int
    cut_answer: Callable[[bytes], bool] = lambda _: False
    mute: Callable[[bytes], bool] = lambda _: False
    hold_request: Callable[[bytes], bool] = lambda _: False
    cuts: int = 0
    muted: int = 0
    held: asyncio.Event = field(default_factory=asyncio.Event)
    is_cut: bool = False
    _passing: asyncio.Event = field(default_factory=asyncio.Event)
    _listener: asyncio.Server | None = None
    _links: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where to connect instead."""
        if self._listener is None:
            raise RuntimeError("the proxy does not listen: use it within `proxied`")
        return f"redis://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}/0"

    def cut(self) -> None:
        """End every connection and let none come about, as when the cable is pulled and routers say so."""
        self.is_cut = True
        for link in self._links:
            link.cancel()

    def silence(self) -> None:
        """Keep connections, let nothing through either way, as in a network that lost its state."""
        self._passing.clear()

    def mend(self) -> None:
        """Pass everything on again; what a silence kept back is passed on now."""
        self.is_cut = False
        self.cut_answer = lambda _: False
        self._passing.set()

    async def open(self) -> None:
        """Listen on a free port."""
        self._passing.set()
        self._listener = await asyncio.start_server(self._connected, "127.0.0.1", 0)

    async def close(self) -> None:
        """Listen no more, and end every connection."""
        if self._listener is not None:
            self._listener.close()
        await asyncio.sleep(0)  # what was accepted already becomes a link
        while links := list(self._links):
            for link in links:
                link.cancel()
            await asyncio.gather(*links, return_exceptions=True)

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
        if self.is_cut:
            to_client.transport.abort()
            return
        with suppress(OSError):
            await self._pass_on(from_client, to_client, *await self._connection(to_client))

    async def _pass_on(
        self,
        from_client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        from_server: asyncio.StreamReader,
        to_server: asyncio.StreamWriter,
    ) -> None:
        is_cut = is_muted = False

        async def requests() -> None:
            nonlocal is_cut, is_muted
            while chunk := await from_client.read(PIECE_BYTES):
                await self._passing.wait()
                if self.hold_request(chunk):
                    self.held.set()
                    await asyncio.Event().wait()
                is_cut = is_cut or self.cut_answer(chunk)
                is_muted = is_muted or self.mute(chunk)
                to_server.write(chunk)
                await to_server.drain()

        async def answers() -> None:
            while chunk := await from_server.read(PIECE_BYTES):
                await self._passing.wait()
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
    """A proxy before a server.

    Raises:
        ValueError: The URL names no port.
    """
    port = urlsplit(server_url).port
    if port is None:
        msg = f"{server_url!r} names no port to pass on to"
        raise ValueError(msg)
    proxy = Proxy(port)
    await proxy.open()
    try:
        yield proxy
    finally:
        await proxy.close()
