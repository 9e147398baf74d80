"""An embedding endpoint on loopback that speaks OpenAI's ``/v1/embeddings``."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

DIMENSIONS = {"small": 8, "large": 16}


@dataclass
class EmbeddingServer:
    """Answers a vector for each text, the same for the same text.

    Attributes:
        instead: What the next requests get: status, body (a text or JSON), headers.
        holds: Requests for this model, from this count of them on, wait until `released`.
        asked: ``(model, texts)`` of each request that was answered.
    """

    url: str = ""
    instead: list[tuple[int, Any, dict[str, str]]] = field(default_factory=list)
    holds: tuple[str, int] = ("", 0)
    held: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[tuple[str, list[str]]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)

    async def embed(self, request: web.Request) -> web.Response:
        """``POST /v1/embeddings``."""
        body = await request.json()
        self.keys.add(request.headers.get("Authorization", ""))
        if self.instead:
            status, said, headers = self.instead.pop(0)
            if isinstance(said, str):
                return web.Response(status=status, text=said, headers=headers)
            return web.json_response(said, status=status, headers=headers)
        model, texts = body["model"], body["input"]
        if self.holds[0] == model and self.of(model) >= self.holds[1] and not self.released.is_set():
            self.held.set()
            await self.released.wait()
        self.asked.append((model, texts))
        rows = [{"index": at, "embedding": vector(text, DIMENSIONS[model])} for at, text in enumerate(texts)]
        return web.json_response({"data": rows[::-1], "usage": {"total_tokens": sum(map(len, texts))}})

    def of(self, model: str) -> int:
        """Requests for a model so far."""
        return sum(1 for asked, _ in self.asked if asked == model)

    def texts(self, model: str) -> list[str]:
        """All that was asked of a model."""
        return [text for asked, texts in self.asked if asked == model for text in texts]


def vector(text: str, dimension: int) -> list[float]:
    """A vector for a text."""
    return [byte - 127.5 for byte in hashlib.sha256(text.encode()).digest()[:dimension]]


@asynccontextmanager
async def embedding_server() -> AsyncIterator[EmbeddingServer]:
    """The server, for as long as the block runs."""
    server = EmbeddingServer()
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/embeddings", server.embed)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        server.url = f"http://{host}:{port}/v1"
        yield server
    finally:
        server.released.set()
        await runner.cleanup()
