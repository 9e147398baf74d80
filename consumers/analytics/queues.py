"""What waits in the stages' streams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from schemas.names import LANES, POOLS, STAGES
from streams.keys import StreamName
from streams.reader import GROUP

if TYPE_CHECKING:
    from streams.keys import Keys


@dataclass(slots=True)
class Queue:
    """What a stage's streams have, over all pools, lanes and partitions.

    Attributes:
        waiting: Entries that nobody was given.
        held: Entries that workers have.
        oldest_ms: When the oldest was added, milliseconds since the epoch; 0 for none.
    """

    waiting: int = 0
    held: int = 0
    oldest_ms: int = 0


async def queues(client: Any, keys: Keys) -> dict[str, Queue]:
    """Each stage's queue."""
    places = [
        (stage, partition.named(str(StreamName(stage, pool, lane))))
        for stage in STAGES for pool in POOLS for lane in LANES for partition in keys.all_partitions
    ]  # fmt: skip
    pipe = client.pipeline(transaction=False)
    for _, key in places:
        pipe.xlen(key)
    found = {str(stage): Queue() for stage in STAGES}
    filled = [(*place, length) for place, length in zip(places, await pipe.execute(), strict=True) if length]
    if not filled:
        return found
    pipe = client.pipeline(transaction=False)
    for _, key, _ in filled:
        pipe.xpending(key, GROUP)
        pipe.xrange(key, count=1)
    answers = await pipe.execute(raise_on_error=False)
    for at, (stage, _, length) in enumerate(filled):
        pending, first = answers[2 * at : 2 * at + 2]
        held = 0 if isinstance(pending, Exception) else int(pending["pending"])  # no group yet: held by nobody
        queue = found[stage]
        queue.waiting += max(0, length - held)
        queue.held += held
        if first and not isinstance(first, Exception):
            oldest_ms = int(first[0][0].partition(b"-")[0])
            queue.oldest_ms = min(queue.oldest_ms or oldest_ms, oldest_ms)
    return found
