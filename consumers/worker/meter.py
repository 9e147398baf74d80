"""Counting what a worker does, and adding it to what all have counted."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from mode import Service

from streams.connect import NOT_NOW
from streams.meter import Counted, add

if TYPE_CHECKING:
    from consumers.worker.worker import Worker
    from streams.codec import Delivery

logger = logging.getLogger(__name__)

EVERY_S: Final = 2.0
OTHER: Final = "other"
"""Flows that are not installed: whoever adds entries names them, so they are no label."""


class Meter(Service):
    """Listens to the worker's signals; what cannot be added now is added later."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._began_s: dict[Delivery, float] = {}
        self._counted: dict[tuple[str, str, str], Counted] = {}
        worker.signals.listen(self._heard)
        super().__init__()

    @Service.task
    async def _add_now_and_then(self) -> None:
        while not self.should_stop:
            await self.sleep(EVERY_S)
            await self._add()

    async def on_shutdown(self) -> None:
        """Add the last of it."""
        await self._add()

    def _heard(self, name: str, values: tuple[Any, ...]) -> None:
        if name == "started":
            self._handler_began(values[0])
        elif name == "settled":
            self._handler_ended(*values)

    def _handler_began(self, entry: Delivery) -> None:
        self._began_s[entry] = self.loop.time()
        counted = self._of(entry)
        counted.deliveries += 1
        if entry.delivery > 1:
            counted.redeliveries += 1
        if entry.attempt > 1:
            counted.attempts += 1
        counted.waited.observe(max(0, entry.started_ms - entry.enqueued_ms) / 1_000)

    def _handler_ended(self, entry: Delivery, outcome: str) -> None:
        counted = self._of(entry)
        counted.outcomes[outcome] = counted.outcomes.get(outcome, 0) + 1
        began_s = self._began_s.pop(entry, None)
        if began_s is not None:
            counted.ran.observe(self.loop.time() - began_s)

    def _of(self, entry: Delivery) -> Counted:
        name = entry.name
        place = (name.stage, entry.flow if entry.flow in self._worker.flows.by_name else OTHER, name.pool)
        counted = self._counted.get(place)
        if counted is None:
            counted = self._counted[place] = Counted()
        return counted

    async def _add(self) -> None:
        worker = self._worker
        for entry in [one for one in self._began_s if (one.stream, one.entry_id) not in worker.hand.entries]:
            self._handler_ended(entry, "abandoned")  # its lease was lost: nothing settles it here
        counted, self._counted = self._counted, {}
        if not counted:
            return
        try:
            await add(worker.client, worker.keys.metrics, counted)
        except NOT_NOW as error:
            logger.debug("metrics wait: %s", error)
            for place, one in counted.items():
                kept = self._counted.setdefault(place, Counted())
                for name, amount in one.fields():
                    kept.add(name, amount)
