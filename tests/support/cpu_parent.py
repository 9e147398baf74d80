"""A process with a CPU child that hangs in C code and has descendants: ``cpu_parent.py asyncio|uvloop FIFO``."""

from __future__ import annotations

import asyncio
import sys

import uvloop

from consumers.cpu.pool import CpuPool
from tests.support import cpu_tasks


async def main(fifo: str) -> None:
    async with CpuPool(2, owner="cpu-parent") as pool:
        await pool.run(cpu_tasks.with_grandchildren, fifo, timeout_s=60, memory_mb=512)


if __name__ == "__main__":
    {"asyncio": asyncio.run, "uvloop": uvloop.run}[sys.argv[1]](main(sys.argv[2]))
