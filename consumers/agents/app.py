"""A Faust application without a broker: no producer, no consumer, no changelog; tables live in memory.

What Faust starts for Kafka is switched off in the boot strategy. What its streams look up at a consumer all the same
(the set of unacknowledged messages) is there and does nothing. Source: `faust.app.base.BootStrategy`,
`faust.transport.base.Transport` and `faust.tables.base.Collection` of faust-streaming 0.15.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

import faust
from faust.app.base import BootStrategy
from faust.transport.base import Consumer, Producer, Transport
from mode import Service
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_NO_BROKER: Final = URL("redis://")
"""Faust wants the address of a broker; nobody is asked there."""


class NoBrokerError(RuntimeError):
    """Something was asked of a broker, and there is none: use channels (`stream_channel`, `app.channel`)."""


class BrokerlessBoot(BootStrategy):
    """What a process starts: sensors, tables, agents. Nothing of Kafka, no web server."""

    enable_kafka = False
    enable_kafka_consumer = False
    enable_kafka_producer = False
    enable_web = False

    def tables(self) -> Iterable[Any]:
        """The tables themselves, which else a rebalance of Kafka's starts."""
        return list(self.app.tables.values())

    def server(self) -> Iterable[Any]:
        """The services in the order of their start: an agent may use a table from its first event on."""
        return self._chain(self.sensors(), self.tables(), self.agents())


def _refusing(name: str) -> Callable[..., NoReturn]:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise NoBrokerError(f"{name} was asked of a broker, and this application has none: use a channel")

    return refuse


_REFUSED: Final = {name: _refusing(name) for name in sorted(Consumer.__abstractmethods__)}

NoConsumer: Final = type("NoConsumer", (Consumer,), {**_REFUSED, "assignment": lambda _: set()})
"""Holds what streams look up, has no partitions, and refuses the rest."""


class NoProducer(Producer):
    """Refuses."""

    send = _refusing("send")
    send_and_wait = _refusing("send_and_wait")
    create_topic = _refusing("create_topic")


class NoTransport(Transport):
    """Leads nowhere."""

    Consumer = NoConsumer
    Producer = NoProducer
    driver_version = "none"


class LocalTable(faust.Table[Any, Any]):
    """A table in memory, without a changelog: its state is made anew from the stream when a process starts.

    Attributes:
        by_window: Of a windowed table: when a window begins, in seconds -> the keys that have something in it.
        touched: Windows that something was set in, by their begin; whoever looks clears it.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.by_window: dict[float, set[Any]] = {}
        self.touched: set[float] = set()
        super().__init__(*arguments, **options)

    async def on_start(self) -> None:
        """Start the storage."""
        await self.add_runtime_dependency(self.data)

    def send_changelog(self, partition: int | None, *_: Any, **__: Any) -> Any:
        """Send nothing, and answer as though it was sent."""
        return SimpleNamespace(message=SimpleNamespace(partition=partition or 0))

    def partition_for_key(self, _: Any) -> int:
        """All is in one place."""
        return 0

    def on_key_set(self, key: Any, value: Any) -> None:
        """Remember what a window has."""
        if self.window is not None:
            begin_s = key[1][0]
            self.by_window.setdefault(begin_s, set()).add(key)
            self.touched.add(begin_s)
        super().on_key_set(key, value)

    def on_key_del(self, key: Any) -> None:
        """Forget it."""
        if self.window is not None:
            self.by_window.get(key[1][0], set()).discard(key)
        super().on_key_del(key)

    def forget_before(self, end_s: float) -> None:
        """Let go of the windows that end before an instant."""
        size_s: float = cast("Any", self.window).size
        for begin_s in [begin_s for begin_s in self.by_window if begin_s + size_s <= end_s]:
            for key in self.by_window.pop(begin_s):
                self.data.pop(key, None)


class BrokerlessApp(faust.App):
    """Faust without a broker; start it with ``await app.start()``, stop it with ``await app.stop()``.

    Args:
        app_id: Its name.
        redis_url: Where `stream_channel` finds streams; None: it must be told there.
        options: As of `faust.App`.
    """

    BootStrategy = BrokerlessBoot

    def __init__(self, app_id: str, *, redis_url: str | None = None, **options: Any) -> None:
        self.redis_url = redis_url
        options = {"Table": LocalTable, "autodiscover": False, "store": "memory://", **options}
        super().__init__(app_id, broker=str(_NO_BROKER), **options)
        self.transport = NoTransport([_NO_BROKER], self)
        self.producer_transport = self.transport

    def also_start(self, service: Service) -> None:
        """Start and stop a service with the application."""
        self._extra_services.append(service)  # type: ignore[arg-type]  # it takes instances too

    async def on_start(self) -> None:
        """Let streams flow: Faust has them wait for Kafka to assign partitions."""
        await super().on_start()
        self.flow_control.resume()

    async def _wait_for_table_recovery_completed(self) -> bool:
        return False  # nothing is recovered, and nothing has stopped
