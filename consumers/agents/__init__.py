"""Faust on Redis Streams: an application without a broker, and channels over any stream.

::

    from consumers.agents import BrokerlessApp, stream_channel

    app = BrokerlessApp("billing", redis_url="redis://localhost:6379")
    orders = stream_channel(app, "orders", "billing")

    @app.agent(orders)
    async def bill(stream):
        async for order in stream:
            ...

``docs/faust.md`` says what is promised, and what Faust does that is not there.
"""

from consumers.agents.app import BrokerlessApp, LocalTable, NoBrokerError
from consumers.agents.channel import StreamChannel, stream_channel

__all__ = ["BrokerlessApp", "LocalTable", "NoBrokerError", "StreamChannel", "stream_channel"]
