"""Payloads to entries and back: JSON in the entry, larger ones as a claim check in the artifact store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import BaseModel

from consumers.outcome import Emit
from consumers.stage import Stage
from schemas.stages import Written
from streams.codec import MAX_DATA_BYTES, host_of
from streams.errors import PermanentError
from streams.moves import Emission

if TYPE_CHECKING:
    from streams.blobs import Blobs

CLAIM = b'{"v":1,"$claim":'
"""How the `data` of an entry begins whose payload is kept elsewhere."""


async def encode(emits: Iterable[Emit], stage: Stage, blobs: Blobs, tenant: str) -> tuple[Emission, ...]:
    """What a handler emitted, as entries.

    Raises:
        PermanentError: It emitted to a stage that its declaration does not name.
    """
    emissions = []
    for emit in emits:
        if emit.stage not in stage.emits:
            declared = ", ".join(sorted(stage.emits)) or "nothing"
            msg = f"stage {stage.name!r} emitted to {emit.stage!r} but declares {declared}; add it to `emits`"
            raise PermanentError(msg, reason="undeclared_emission")
        data = emit.payload.__pydantic_serializer__.to_json(emit.payload)
        if len(data) > MAX_DATA_BYTES:
            data = await check_in(data, blobs, tenant)
        emissions.append(Emission(emit.stage, data, emit.once, emit.budget))
    return tuple(emissions)


def json_of(payload: BaseModel | Written) -> Any:
    """A contribution as the store takes it; what is JSON already is not read for that."""
    return orjson.Fragment(payload.data) if isinstance(payload, Written) else payload.model_dump(mode="json")


async def check_in(data: bytes, blobs: Blobs, tenant: str) -> bytes:
    """Keep a payload in the artifact store and leave its claim check."""
    claim = await blobs.chunks.put_claim(data, tenant=tenant)
    host = await asyncio.to_thread(host_of, data)
    return orjson.dumps({"v": 1, "$claim": claim, "size_bytes": len(data), **({"host": host} if host else {})})


async def check_out(data: bytes, blobs: Blobs, tenant: str) -> bytes:
    """The payload behind a claim check; any other data as it is."""
    if not data.startswith(CLAIM):
        return data
    return await blobs.chunks.get_claim(orjson.loads(data)["$claim"], tenant=tenant)
