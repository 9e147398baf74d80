"""How the log is, in one look: workers, streams, what waits and what is dead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from consumers.worker.presence import presence
from schemas.names import LANES, POOLS, STAGES

if TYPE_CHECKING:
    from api.services import Services


@dataclass(frozen=True, slots=True)
class Overview:
    """How the log is.

    Attributes:
        moves: Entries ever added to lifecycle.
        dead: Dead letters.
        delayed: Tasks that wait for their time.
    """

    workers: list[dict[str, Any]]
    waiting: int
    moves: int
    dead: int
    delayed: int

    @property
    def in_hand(self) -> int:
        """Entries that workers hold."""
        return sum(int(worker.get("in_hand", 0)) for worker in self.workers)


async def overview(services: Services) -> Overview:
    """Ask for what changes from second to second."""
    workers = await presence(services.client, services.keys)
    pipe = services.client.pipeline(transaction=False)
    for keys in services.keys.all_partitions:
        pipe.xlen(keys.dlq)
        pipe.zcard(keys.timers)
        pipe.xinfo_stream(keys.lifecycle)
        for stage in STAGES:
            for pool in POOLS:
                for lane in LANES:
                    pipe.xlen(keys.stream(stage, pool, lane))
    answers = await pipe.execute(raise_on_error=False)
    size = 3 + len(STAGES) * len(POOLS) * len(LANES)
    dead = delayed = moves = waiting = 0
    for at in range(0, len(answers), size):
        dead += _number(answers[at])
        delayed += _number(answers[at + 1])
        info = answers[at + 2]
        moves += int(info.get("entries-added") or 0) if isinstance(info, dict) else 0
        waiting += sum(map(_number, answers[at + 3 : at + size]))
    held = sum(int(worker.get("in_hand", 0)) for worker in workers)
    return Overview(workers, max(0, waiting - held), moves, dead, delayed)


def _number(answer: Any) -> int:
    return answer if isinstance(answer, int) else 0
