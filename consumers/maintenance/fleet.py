"""The workers that are there, from their presence records."""

from __future__ import annotations

from typing import Any

import orjson

from streams.log import Log


async def fleet(log: Log) -> list[dict[str, Any]]:
    """The record of every worker whose presence has not expired."""
    names = sorted(name.decode() for name in await log.client.smembers(log.keys.workers))
    pipe = log.client.pipeline(transaction=False)
    for name in names:
        pipe.get(log.keys.worker(name))
    return [orjson.loads(record) for record in (await pipe.execute() if names else ()) if record]
