"""An entry of a stage stream: its fields in their fixed order, and how they are read.

``job task flow attempt traceparent data``; `data` is JSON with a schema version ``v``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import orjson

from streams.keys import PartitionKeys, StreamName

MAX_DATA_BYTES = 64 * 1024
"""Larger payloads go to the artifact store and leave a claim check in `data`."""


@dataclass(slots=True, eq=False)
class Delivery:
    """One entry in hand: what was read and the lease it is held by.

    Attributes:
        stream: The stream's whole key.
        delivery: Redis's delivery count; with the consumer's name it is the lease.
        data: The payload as it stands in the entry, JSON.
        fields: All of its fields, as they came: a dict, or name and value in turn.
    """

    keys: PartitionKeys
    stream: str
    name: StreamName
    entry_id: str
    delivery: int
    job: str
    task: str
    flow: str
    attempt: int
    traceparent: str
    data: bytes
    fields: dict[bytes, bytes] | list[bytes] = field(repr=False)
    tenant: str = "default"
    revision: int = 1
    crashes: int = 0
    checkpoint: bytes = b""
    started_ms: int = 0

    @property
    def enqueued_ms(self) -> int:
        """When the entry was added, milliseconds since the epoch by the server's clock."""
        return int(self.entry_id.partition("-")[0])

    @property
    def is_adoptable(self) -> bool:
        """Whether the entry was put into the stream by someone who named no job."""
        return not self.job


_ORDER: Final = [b"job", b"task", b"flow", b"attempt", b"traceparent", b"data"]


def deliver(
    keys: PartitionKeys, stream: str, entry_id: bytes, raw: dict[bytes, bytes] | list[bytes], count: int
) -> Delivery:
    """An entry as it came from Redis, not yet vetted. `raw` has its fields, as a dict or as Redis's flat list."""
    if isinstance(raw, list) and raw[::2] == _ORDER:
        job, task, flow, attempt, traceparent, data = raw[1::2]
    else:
        get = (raw if isinstance(raw, dict) else dict(zip(raw[::2], raw[1::2], strict=True))).get
        job, task, flow, attempt, traceparent, data = (get(name, b"") for name in _ORDER)
    return Delivery(
        keys, stream, StreamName.parse(stream[len(keys.prefix) :]), entry_id.decode(), count,
        job.decode("utf-8", "replace"), task.decode("utf-8", "replace"), flow.decode("utf-8", "replace"),
        int(attempt) if attempt.isdigit() and len(attempt) < 10 else 1,  # noqa: PLR2004
        traceparent.decode("utf-8", "replace"), data, raw,
    )  # fmt: skip


def host_of(data: bytes) -> str:
    """The host of the address that a payload is about (its ``url``, ``site`` or first of ``urls``), else empty.

    For sorting and pausing, not for security. A claim check carries the host of what it stands for.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(value, dict):
        return ""
    if "$claim" in value:
        return str(value.get("host", ""))
    urls = value.get("urls")
    for address in (value.get("url"), value.get("site"), urls[0] if isinstance(urls, list) and urls else None):
        if isinstance(address, str) and address:
            try:
                return (urlsplit(address).hostname or "").rstrip(".")
            except ValueError:
                return ""
    return ""
