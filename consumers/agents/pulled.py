"""A Faust channel that is pulled: each event is fetched when an agent asks for it, so nothing piles up before agents.

Faust's own channel is pushed into a queue a subscriber; with an agent on it there is one subscriber more than readers
(the agent's own iterator, which nobody drains), so that it stands still after as many events as a queue holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from faust.channels import Channel
from faust.types import TP, Message

if TYPE_CHECKING:
    from collections.abc import Mapping


class Source(Protocol):
    """Where a pulled channel has its events from."""

    async def next_event(self, channel: PulledChannel) -> Any:
        """The next event for an iterator of the channel; waits for one."""

    async def take_event(self, event: Any) -> None:
        """What an agent or a caller sends to the channel."""


class PulledChannel(Channel[Any]):
    """A channel over a source. Its iterators share the source: each event goes to one of them."""

    def __init__(self, app: Any, *, source: Source, **options: Any) -> None:
        self.source = source
        super().__init__(app, **options)

    def _clone_args(self) -> Mapping[str, Any]:
        return {**super()._clone_args(), "source": self.source}

    async def __anext__(self) -> Any:
        return await self.source.next_event(self)

    async def put(self, value: Any) -> None:
        """Hand an event to the source."""
        await self.source.take_event(value)

    def event(self, key: Any, value: Any, *, topic: str, timestamp_s: float, message: Message | None = None) -> Any:
        """An event of this channel.

        Args:
            timestamp_s: When it happened, seconds since the epoch: what windows go by.
            message: In place of one that is made, to hear of its acknowledgement.
        """
        made = message or Message(topic, 0, 0, timestamp_s, 0, None, key, value, None, tp=TP(topic, 0))
        made.generation_id = self.app.consumer_generation_id  # else it is taken for one from before a rebalance
        return self.app.create_event(key, value, {}, made)
