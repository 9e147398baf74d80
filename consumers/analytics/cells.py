"""What is counted of a (tenant, stage, flow, host) in a window, and how lifecycle entries are counted. Pure.

What a window says is a function of the entries in it and of those up to `MEMORY_MS` before: so who begins to read that
much earlier comes to the same numbers as who has read all along.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import orjson

from consumers.analytics.sketch import Sketch
from streams.codec import host_of

PANE_MS: Final = 60_000
"""Entries are counted together for so long; the bounds of every window are multiples of it."""

MEMORY_MS: Final = 15 * 60_000
"""How long before its end a task's opening may lie for the host and the wait to be known."""

MOST_HOSTS: Final = 200
"""Hosts that a tenant's stage of a flow has in a pane; the others are counted together."""

OTHER: Final = "other"
_ENDED: Final = frozenset({"completed", "retried", "snoozed", "dead_lettered", "released"})
_CLOSED: Final = frozenset({"completed", "dead_lettered", "dropped", "cancelled", "expired"})
_COUNTED: Final = {"completed": "done", "dead_lettered": "failed", "retried": "retried", "reclaimed": "reclaimed"}
_TOLD: Final = _ENDED | _CLOSED | {"reclaimed"}


class Place(NamedTuple):
    """What is told apart."""

    tenant: str
    stage: str
    flow: str
    host: str


@dataclass(slots=True)
class Cell:
    """What was counted.

    Attributes:
        opened: Tasks that came in; `redriven` of them from the dead letters.
        done, failed: Tasks that closed well, and in a dead letter.
        retried, reclaimed: Deliveries that end in another attempt; that were found without a worker.
        run: How long deliveries took, from their start to their end.
        whole: How long tasks took, from their opening to their close, waits included.
    """

    opened: int = 0
    redriven: int = 0
    done: int = 0
    failed: int = 0
    retried: int = 0
    reclaimed: int = 0
    run: Sketch = field(default_factory=Sketch)
    whole: Sketch = field(default_factory=Sketch)

    def merge(self, other: Cell) -> Cell:
        """Count all that another has counted; answers itself."""
        self.opened += other.opened
        self.redriven += other.redriven
        self.done += other.done
        self.failed += other.failed
        self.retried += other.retried
        self.reclaimed += other.reclaimed
        self.run.merge(other.run)
        self.whole.merge(other.whole)
        return self


@dataclass(slots=True)
class OpenTask:
    """A task that was opened and has not closed."""

    opened_ms: int
    place: Place


Panes = dict[tuple[int, Place], Cell]
"""(start of the pane in ms, place) -> what was counted since it was taken."""


class Counter:
    """Counts lifecycle entries into panes.

    Attributes:
        panes: What was counted and not taken.
        open: (job, task) -> what is known of an open task.
        newest_ms: The time of the newest entry.
        finished_ms: When a task was completed last.
    """

    def __init__(self) -> None:
        self.panes: Panes = {}
        self.open: dict[tuple[str, str], OpenTask] = {}
        self.newest_ms = 0
        self.finished_ms = 0
        self._hosts: dict[tuple[int, Place], set[str]] = {}
        self._expired: list[tuple[str, str]] = []

    def count(self, ms: int, fields: Mapping[bytes, bytes]) -> None:
        """Count an entry.

        Args:
            ms: When it happened, of its id.
            fields: As they came from Redis; what is not a move of ours counts nothing.
        """
        get = fields.get
        tenant = get(b"tenant", b"").decode("utf-8", "replace")
        if not tenant:
            return  # a stray, which never was a job's, or a note about groups
        self.newest_ms = max(self.newest_ms, ms)
        job, flow = get(b"job", b"").decode(), get(b"flow", b"").decode()
        task, stage, move = get(b"task", b"").decode(), get(b"stage", b"").decode(), get(b"type", b"").decode()
        if task and stage:
            self._task(ms, move, (job, task), Place(tenant, stage, flow, ""), fields)
        emitted = get(b"emitted")
        if emitted is not None:
            self._emitted(ms, job, tenant, flow, emitted)

    def take(self) -> Panes:
        """What was counted since the last time."""
        taken, self.panes = self.panes, {}
        return taken

    def forget(self, before_ms: int) -> None:
        """Forget the hosts of panes that began before."""
        for key in [key for key in self._hosts if key[0] < before_ms]:
            del self._hosts[key]

    def expire(self, before_ms: int) -> None:
        """Forget the tasks that were opened before."""
        for key, task in self.open.items():
            if task.opened_ms >= before_ms:
                break
            self._expired.append(key)
        for key in self._expired:
            del self.open[key]
        self._expired.clear()

    def oldest_ms(self) -> dict[Place, tuple[int, int]]:
        """Open tasks by place: how many, and when the oldest was opened."""
        found: dict[Place, tuple[int, int]] = {}
        for task in self.open.values():
            count, oldest_ms = found.get(task.place, (0, task.opened_ms))
            found[task.place] = (count + 1, min(oldest_ms, task.opened_ms))
        return found

    def _task(self, ms: int, move: str, key: tuple[str, str], place: Place, fields: Mapping[bytes, bytes]) -> None:
        if move in {"submitted", "adopted"}:
            self._open(ms, key, place._replace(host=_host(fields.get(b"data", b""))))
            return
        known = self.open.get(key)
        if known is not None and ms - known.opened_ms > MEMORY_MS:
            known = None
        if known is not None:
            place = known.place
        if move == "redriven":
            place = place._replace(host=_host(fields.get(b"data", b"")) or place.host)
            self._open(ms, key, place)
            self._cell(ms, place).redriven += 1
        elif move in _TOLD:
            self._ended(ms, move, key, place, known, fields.get(b"started_at"))

    def _ended(
        self, ms: int, move: str, key: tuple[str, str], place: Place, known: OpenTask | None, started: bytes | None
    ) -> None:
        cell = self._cell(ms, place)
        if move in _ENDED and started:
            cell.run.add(ms - int(started))
        counted = _COUNTED.get(move)
        if counted is not None:
            setattr(cell, counted, getattr(cell, counted) + 1)
        if move == "completed":
            self.finished_ms = max(self.finished_ms, ms)
        if move in _CLOSED:
            self.open.pop(key, None)
            if known is not None and move != "dropped":
                cell.whole.add(ms - known.opened_ms)

    def _emitted(self, ms: int, job: str, tenant: str, flow: str, emitted: bytes) -> None:
        try:
            opened = orjson.loads(emitted)
        except orjson.JSONDecodeError:
            return
        for one in opened:
            data = one.get("data")
            host = _host(orjson.dumps(data)) if isinstance(data, dict) and _may_have_host(data) else ""
            self._open(ms, (job, str(one["task"])), Place(tenant, one["stage"], flow, host))

    def _open(self, ms: int, key: tuple[str, str], place: Place) -> None:
        self.open.pop(key, None)  # in the order of opening
        self.open[key] = OpenTask(ms, place)
        self._cell(ms, place).opened += 1

    def _cell(self, ms: int, place: Place) -> Cell:
        pane_ms = ms - ms % PANE_MS
        cell = self.panes.get((pane_ms, place))
        if cell is not None:
            return cell
        if place.host:
            hosts = self._hosts.setdefault((pane_ms, place._replace(host="")), set())
            if place.host not in hosts:
                if len(hosts) >= MOST_HOSTS:
                    place = place._replace(host=OTHER)
                else:
                    hosts.add(place.host)
        return self.panes.setdefault((pane_ms, place), Cell())


def _may_have_host(data: dict[str, object]) -> bool:
    return "url" in data or "site" in data or "urls" in data or "$claim" in data


def _host(data: bytes) -> str:
    return host_of(data).lower() if data else ""
