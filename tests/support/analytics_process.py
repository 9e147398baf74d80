"""A candidate for the elected process of the analytics. Arguments: URL of Redis, namespace."""

from __future__ import annotations

import asyncio
import signal
import sys

from consumers.analytics.process import run
from consumers.flow import installed
from schemas.settings import Settings


async def main(url: str, namespace: str) -> None:
    """Run until told to stop."""
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    await run(Settings(namespace=namespace), url, installed(), told)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
