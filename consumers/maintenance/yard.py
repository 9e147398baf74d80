"""What a chore is given, and what it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from schemas.maintenance import Order, Report

if TYPE_CHECKING:
    from consumers.store import Store
    from schemas.settings import Settings
    from streams.blobs import Blobs
    from streams.log import Log


@dataclass(frozen=True, slots=True)
class Yard:
    """Everything of an installation, for one chore.

    Attributes:
        now: When the chore began; chores ask no other clock.
        store: PostgreSQL; raises `PermanentError` where there is none.
    """

    order: Order
    now: datetime
    log: Log
    settings: Settings
    _store: Callable[[], Store]
    _blobs: Callable[[], Blobs]

    @property
    def store(self) -> Store:
        """PostgreSQL."""
        return self._store()

    @property
    def blobs(self) -> Blobs:
        """The artifact store."""
        return self._blobs()

    def report(self, *said: str, counts: dict[str, int] | None = None, **facts: object) -> Report:
        """What the chore answers."""
        return Report(
            chore=self.order.chore, dry_run=self.order.dry_run, counts=counts or {}, said=said, facts=dict(facts)
        )


Chore = Callable[[Yard], Awaitable[Report]]
