"""An OpenAI-compatible ``/embeddings`` endpoint.

Source: OpenAI API reference, "Create embeddings"; vLLM, Ollama, LocalAI and Text Embeddings Inference speak the same.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import orjson

from consumers.net.errors import retry_after_s
from streams.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import SecretStr

BATCH: Final = 64
"""Texts of one request."""

TIMEOUT_S: Final = 60.0
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
_LATER: Final = frozenset({408, 409, 425, 429})
_SERVER_ERROR: Final = 500


class EndpointEmbedder:
    """Asks an endpoint, a batch at a time.

    Attributes:
        calls: Requests that were answered.
        tokens: What the endpoint counted.
    """

    def __init__(self, base_url: str, model: str, key: SecretStr | None = None) -> None:
        self.name = model
        self.calls = 0
        self.tokens = 0
        self._url = f"{base_url.rstrip('/')}/embeddings"
        self._key = key

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Vectors of length 1, in order.

        Raises:
            TransientError: ``embedding_endpoint``: it is away, busy or asks to wait.
            PermanentError: ``embedding_endpoint``: it refuses us, or answers what is no answer.
        """
        found: list[list[float]] = []
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        headers = {"Authorization": f"Bearer {self._key.get_secret_value()}"} if self._key else {}
        async with aiohttp.ClientSession(timeout=timeout, headers=headers, trust_env=False) as session:
            for start in range(0, len(texts), BATCH):
                found += await self._ask(session, list(texts[start : start + BATCH]))
        return found

    async def _ask(self, session: aiohttp.ClientSession, texts: list[str]) -> list[list[float]]:
        body = orjson.dumps({"model": self.name, "input": texts, "encoding_format": "float"})
        try:
            async with session.post(
                self._url, data=body, headers={"Content-Type": "application/json"}, allow_redirects=False
            ) as response:
                answer = await response.content.read(MAX_ANSWER_BYTES)
                while len(answer) < MAX_ANSWER_BYTES and (more := await response.content.read(MAX_ANSWER_BYTES)):
                    answer += more
                status, headers = response.status, response.headers
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise TransientError(
                f"the embedding endpoint {self._url} does not answer ({type(error).__name__}); it is asked again",
                reason="embedding_endpoint",
            ) from error
        if status != 200:  # noqa: PLR2004 - HTTP OK
            raise self._refusal(status, headers.get("Retry-After"), answer)
        return self._read(answer, len(texts))

    def _refusal(self, status: int, wait: str | None, answer: bytes) -> TransientError | PermanentError:
        said = answer[:300].decode("utf-8", "replace")
        if status in _LATER or status >= _SERVER_ERROR:
            return TransientError(
                f"the embedding endpoint {self._url} answered HTTP {status}: {said}; it is asked again",
                reason="embedding_endpoint", retry_after_s=retry_after_s(wait, now=datetime.now(UTC)),
            )  # fmt: skip
        return PermanentError(
            f"the embedding endpoint {self._url} answered HTTP {status} for the model {self.name!r}: {said}; check "
            "MILLRACE_EMBEDDING_BASE_URL, _API_KEY and _MODEL",
            reason="embedding_endpoint",
        )

    def _read(self, answer: bytes, count: int) -> list[list[float]]:
        try:
            said: Any = orjson.loads(answer)
            rows = sorted(said["data"], key=lambda row: row["index"])
            vectors = [_normalised([float(x) for x in row["embedding"]]) for row in rows]
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise PermanentError(
                f"the embedding endpoint {self._url} answered what is no list of embeddings ({error!r}); check that "
                "it speaks OpenAI's /v1/embeddings", reason="embedding_endpoint",
            ) from error  # fmt: skip
        if len(vectors) != count or len({len(vector) for vector in vectors}) != 1:
            raise PermanentError(
                f"the embedding endpoint {self._url} answered {len(vectors)} vectors for {count} texts; check "
                "the model",
                reason="embedding_endpoint",
            )
        self.calls += 1
        self.tokens += int((said.get("usage") or {}).get("total_tokens") or 0)
        return vectors


def _normalised(vector: list[float]) -> list[float]:
    length = math.sqrt(sum(x * x for x in vector))
    if not math.isfinite(length):
        raise ValueError("a vector is not finite")
    return [x / length for x in vector] if length else vector
