"""A language model on loopback that speaks OpenAI's chat completions and Anthropic's messages."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Say = Callable[[str], dict[str, Any]]
"""What is asked (all text of the request) -> the answer's fields."""


@dataclass
class LlmServer:
    """Answers by calling the tool that it is offered.

    Attributes:
        say: Makes the answers.
        failures: HTTP statuses that the next requests get instead.
        requests: Bodies as they came, with their headers.
    """

    say: Say
    url: str = ""
    failures: list[int] = field(default_factory=list)
    requests: list[tuple[dict[str, Any], dict[str, str]]] = field(default_factory=list)

    async def openai(self, request: web.Request) -> web.Response:
        """``POST /v1/chat/completions``."""
        body, refusal = await self._take(request)
        if refusal is not None:
            return refusal
        said = self.say(json.dumps(body["messages"]))
        call = {
            "id": "call_1", "type": "function",
            "function": {"name": body["tools"][0]["function"]["name"], "arguments": json.dumps(said)},
        }  # fmt: skip
        return web.json_response({
            "id": "1", "object": "chat.completion", "created": 1, "model": body["model"],
            "choices": [{
                "index": 0, "finish_reason": "tool_calls",
                "message": {"role": "assistant", "content": None, "tool_calls": [call]},
            }],
            "usage": {"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100},
        })  # fmt: skip

    async def anthropic(self, request: web.Request) -> web.Response:
        """``POST /v1/messages``."""
        body, refusal = await self._take(request)
        if refusal is not None:
            return refusal
        said = self.say(json.dumps(body["messages"]))
        return web.json_response({
            "id": "1", "type": "message", "role": "assistant", "model": body["model"], "stop_reason": "tool_use",
            "stop_sequence": None, "usage": {"input_tokens": 1_000, "output_tokens": 100},
            "content": [{"type": "tool_use", "id": "t1", "name": body["tools"][0]["name"], "input": said}],
        })  # fmt: skip

    async def _take(self, request: web.Request) -> tuple[dict[str, Any], web.Response | None]:
        body = await request.json()
        self.requests.append((body, dict(request.headers)))
        if self.failures:
            return body, web.json_response({"error": {"message": "no"}}, status=self.failures.pop(0))
        return body, None


@asynccontextmanager
async def llm_server(say: Say) -> AsyncIterator[LlmServer]:
    """The server, for as long as the block runs."""
    server = LlmServer(say)
    app = web.Application()
    app.router.add_post("/v1/chat/completions", server.openai)
    app.router.add_post("/v1/messages", server.anthropic)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        server.url = f"http://{host}:{port}/v1"
        yield server
    finally:
        await runner.cleanup()
