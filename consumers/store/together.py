"""Small writes of many tasks in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

R = TypeVar("R")
Key = tuple[str, int, int]
"""What a write is about; two of one key never go together."""

MOST: Final = 200


class Together(Generic[R]):
    """Gathers writes while one is under way, and does all that are there at once.

    Args:
        write: Writes rows in one transaction; answers each by its key.
    """

    def __init__(self, write: Callable[[dict[Key, dict[str, Any]]], Awaitable[dict[Key, R]]]) -> None:
        self._write = write
        self._waiting: list[tuple[Key, dict[str, Any], asyncio.Future[R]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def do(self, key: Key, row: dict[str, Any]) -> R:
        """Have a row written; raises what writing it alone would raise."""
        answered: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, row, answered))
        if self._writer is None:
            self._writer = asyncio.create_task(self._run())
        return await answered

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch: dict[Key, tuple[dict[str, Any], asyncio.Future[R]]] = {}
                later = []
                for one in self._waiting:
                    if one[0] in batch or len(batch) == MOST:
                        later.append(one)
                    elif not one[2].done():
                        batch[one[0]] = one[1:]
                self._waiting = later
                await self._write_batch(batch)
        finally:
            self._writer = None

    async def _write_batch(self, batch: dict[Key, tuple[dict[str, Any], asyncio.Future[R]]]) -> None:
        try:
            done = await self._write({key: row for key, (row, _) in batch.items()}) if batch else {}
        except Exception as error:  # noqa: BLE001 - handed to who asked
            if len(batch) == 1:
                _fail(*batch.values(), error=error)
                return
            # One of them may be to blame: each for itself.
            for key, one in batch.items():
                await self._write_batch({key: one})
            return
        for key, (_, answered) in batch.items():
            if not answered.done():
                answered.set_result(done[key])


def _fail(one: tuple[dict[str, Any], asyncio.Future[Any]], *, error: Exception) -> None:
    if not one[1].done():
        one[1].set_exception(error)
