"""What a chore is given, and what it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from consumers.flow import Flows, installed
from schemas.maintenance import Order, Report
from streams.errors import PermanentError

if TYPE_CHECKING:
    from consumers.store import Store
    from schemas.settings import Settings
    from streams.blobs import Blobs
    from streams.keys import Keys
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
    def client(self) -> Any:
        """Of Redis."""
        return self.log.client

    @property
    def keys(self) -> Keys:
        """Of the namespace."""
        return self.log.keys

    @property
    def flows(self) -> Flows:
        """Those installed here."""
        return installed()

    @property
    def database(self) -> Store | None:
        """PostgreSQL; None when none is known."""
        try:
            return self._store()
        except PermanentError:
            return None

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
