"""uvicorn that ends its open event streams when it is told to stop, instead of waiting for their clients to go."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import uvicorn

if TYPE_CHECKING:
    import socket

    from fastapi import FastAPI

GOODBYE_S: Final = 0.2


class Server(uvicorn.Server):
    """A server of one application made by `api.app.create_app`.

    Args:
        config: Of uvicorn; its `app` is `app`.
        app: Whose event streams are told to come again later.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, end the streams, let other answers finish."""
        services = getattr(self._app.state, "services", None)
        if services is not None and services.hub.waiters:
            services.hub.close("the server is shutting down; come again")
            # uvicorn closes WebSockets before anything else: let them say why first.
            await asyncio.sleep(GOODBYE_S)
        await super().shutdown(sockets)
