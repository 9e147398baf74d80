"""What went wrong without a job of its own to tell it: ``<namespace>:findings``, a hash that operators read and clear.

Doctor and the daily digest show them. A finding is kept once for each kind and subject; of more than `MOST` the oldest
go.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from typing import Any, Final

import orjson

from streams.keys import Keys

logger = logging.getLogger(__name__)

MOST: Final = 1_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that somebody should look at.

    Attributes:
        kind: A short snake_case code.
        subject: To what it happened: a job's id, a schedule's name.
        said: What happened, in a sentence.
        cure: What to do.
        at_ms: When, milliseconds since the epoch.
    """

    kind: str
    subject: str
    said: str
    cure: str
    at_ms: int


class Findings:
    """A client of the hash. Every method raises redis-py's errors when the server is away."""

    def __init__(self, client: Any, keys: Keys) -> None:
        self._client = client
        self._key = keys.findings

    async def note(self, finding: Finding) -> None:
        """Keep a finding, in place of an earlier one of the same kind and subject."""
        logger.error("%s: %s; %s", finding.kind, finding.said, finding.cure)
        await self._client.hset(self._key, _id(finding.kind, finding.subject), orjson.dumps(asdict(finding)))
        if await self._client.hlen(self._key) > MOST:
            kept = await self.all()
            gone = [_id(one.kind, one.subject) for one in kept[: len(kept) - MOST]]
            if gone:
                await self._client.hdel(self._key, *gone)

    async def all(self) -> list[Finding]:
        """Every finding, the oldest first."""
        rows = await self._client.hvals(self._key)
        return sorted((Finding(**orjson.loads(row)) for row in rows), key=lambda one: (one.at_ms, one.subject))

    async def drop(self, kind: str, subject: str) -> bool:
        """Forget a finding; False when there is none."""
        return bool(await self._client.hdel(self._key, _id(kind, subject)))


def _id(kind: str, subject: str) -> str:
    return f"{kind} {subject}"
