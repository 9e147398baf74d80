"""Settlements: how an entry leaves the hand, and the service that sends them a tick at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mode import Service

from consumers.worker.hand import Hand, InHand
from consumers.worker.signals import Signals
from streams.connect import AWAY
from streams.keys import PartitionKeys
from streams.log import Log
from streams.moves import Completion, Death, Moves, PutBack
from streams.scripts import Code

logger = logging.getLogger(__name__)

BATCH: Final = 128
"""Entries in one script call: about 3 ms of the server's time, one fsync; below the slots, so that both overlap."""


EMISSIONS: Final = 256
"""What the entries of one script call emit together, more than one entry's own share aside: about 3 ms as well."""


@dataclass(frozen=True, slots=True)
class Retried(PutBack):
    """The next attempt waits."""


@dataclass(frozen=True, slots=True)
class Snoozed(PutBack):
    """The same attempt waits."""


@dataclass(frozen=True, slots=True)
class OnHold(PutBack):
    """A pause holds it: it waits, not begun."""


@dataclass(frozen=True, slots=True)
class Released:
    """Given back unfinished."""


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The lease is lost: somebody else runs it, nothing is sent."""


Settlement = Completion | Retried | Snoozed | OnHold | Death | Released | Abandoned
_NAMES: Final[dict[type, str]] = {
    Completion: "completed", Retried: "retried", Snoozed: "snoozed", OnHold: "held", Death: "dead_lettered",
    Released: "released",
}  # fmt: skip


def fitting(settlements: Sequence[Settlement]) -> int:
    """How many of these, from the first on, go into one call: as many as emit no more than `EMISSIONS` together."""
    left = EMISSIONS
    for count, settlement in enumerate(settlements):
        left -= len(settlement.emissions) if isinstance(settlement, Completion) else 0
        if left < 0:
            return max(1, count)
    return len(settlements)


class Committer(Service):
    """Joins a tick's settlements into one call a partition and kind, and re-sends until they are answered."""

    def __init__(self, moves: Moves, log: Log, hand: Hand, signals: Signals) -> None:
        self._moves = moves
        self._log = log
        self._hand = hand
        self._signals = signals
        self._queue: list[tuple[InHand, Settlement]] = []
        self._kick = asyncio.Event()
        self.is_flushed = asyncio.Event()
        self.is_flushed.set()
        self.counts: dict[str, int] = {}
        self.refused: dict[str, int] = {}
        super().__init__()

    def put(self, one: InHand, settlement: Settlement) -> None:
        """Settle an entry; it stays in hand, its lease renewed, until that is answered. Only the first counts."""
        if one.is_settling:
            return
        one.is_settling = True
        if isinstance(settlement, Abandoned):
            if one.span is not None:
                one.span.end("abandoned", "lease_lost")
            self._hand.settled(one)
            self._count("abandoned")
            return
        self._queue.append((one, settlement))
        self.is_flushed.clear()
        self._kick.set()

    @Service.task
    async def _commit(self) -> None:
        while not self.should_stop or self._queue:
            await self._kick.wait()
            self._kick.clear()
            if not self._queue:
                continue
            count = fitting([settlement for _, settlement in self._queue[:BATCH]])
            batch, self._queue = self._queue[:count], self._queue[count:]
            if self._queue:
                self._kick.set()
            await self._send(batch)
            if not self._queue:
                self.is_flushed.set()

    async def on_stop(self) -> None:
        """Let the loop see that it may end."""
        self._kick.set()

    async def _send(self, batch: list[tuple[InHand, Settlement]]) -> None:
        groups: dict[tuple[PartitionKeys, type], list[tuple[InHand, Any]]] = {}
        for one, settlement in batch:
            groups.setdefault((one.entry.keys, type(settlement)), []).append((one, settlement))
        # Partitions at once: they share the server's fsync, and none waits for another's answer.
        await asyncio.gather(*(self._send_group(keys, kind, rows) for (keys, kind), rows in groups.items()))

    async def _send_group(self, keys: PartitionKeys, kind: type, rows: list[tuple[InHand, Any]]) -> None:
        codes = await self._insist(keys, kind, rows)
        name = _NAMES[kind]
        for (one, settlement), code in zip(rows, codes, strict=True):
            self._answered(one, settlement, name, code)

    async def _insist(self, keys: PartitionKeys, kind: type, rows: list[tuple[InHand, Any]]) -> list[Any]:
        """Send until answered; after a while of refusals one by one, so that none holds up the others."""
        move = self._move(kind)
        delay_s = 0.05
        while True:
            try:
                return list(await move(keys, [self._sent(one, settlement) for one, settlement in rows]))
            except AWAY as error:
                logger.warning("the log is away, %d settlements wait: %s", len(rows), error)
            except Exception:
                if len(rows) > 1:
                    return [code for row in rows for code in await self._insist(keys, kind, [row])]
                logger.exception("a settlement was refused by the server; its lease will run out")
                return [Code.NOT_FOUND]
            await asyncio.sleep(delay_s)
            delay_s = min(1.0, delay_s * 2)

    def _move(self, kind: type) -> Callable[[PartitionKeys, Any], Awaitable[list[Any]]]:
        if kind is Completion:
            return self._moves.complete
        if kind is Retried:
            return self._moves.retry
        if kind in {Snoozed, OnHold}:
            return self._moves.snooze
        if kind is Death:
            return self._moves.dead_letter
        return self._moves.release

    @staticmethod
    def _sent(one: InHand, settlement: Any) -> Any:
        return one.entry if isinstance(settlement, Released) else settlement

    def _answered(self, one: InHand, settlement: Settlement, name: str, code: Any) -> None:
        if isinstance(code, bytes) and isinstance(settlement, Completion):
            self._hand.issued.add(one.entry, code)
        refused = isinstance(code, int) and code < 0
        outcome = Code(code).name.lower() if refused else "dropped" if code == Code.DROPPED else name
        if one.span is not None:
            one.span.end(outcome, settlement.reason if isinstance(settlement, Retried | Death) else None)
        if refused:
            self.refused[outcome] = self.refused.get(outcome, 0) + 1
            logger.warning(
                "%s of %s/%s was refused: %s", name, one.entry.job, one.entry.task, outcome,
                extra={"job_id": one.entry.job, "task": one.entry.task},
            )  # fmt: skip
        self._count(outcome)
        self._hand.settled(one)
        self._signals.send("settled", one.entry, outcome)

    def _count(self, outcome: str) -> None:
        self.counts[outcome] = self.counts.get(outcome, 0) + 1
