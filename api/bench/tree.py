"""The real command in a process tree of its own, on the benchmark's server and a home that is thrown away."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from api.bench.ground import Ground
from api.bench.processes import ROOT, python
from streams.log import Log

STARTS_WITHIN_S = 60.0
ENDS_WITHIN_S = 60.0
_COMMAND = "from api.cli import main; main()"


@asynccontextmanager
async def tree(ground: Ground, log: Log, *arguments: str) -> AsyncIterator[dict[str, Any]]:
    """Run a command that stays, such as ``worker --processes 2``; yields what it said first. It drains at the end.

    Raises:
        RuntimeError: It did not start.
    """
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as folder:
        home = Path(folder)
        home.chmod(0o755)  # noqa: ASYNC240 - PostgreSQL may run as a user of its own
        with (home / "errors").open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *python("-c", _COMMAND, *arguments, "--json"), cwd=ROOT, env=ground.environment(log, home),
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=errors,
            )  # fmt: skip
            assert process.stdout is not None  # noqa: S101 - it was asked for
            try:
                async with asyncio.timeout(STARTS_WITHIN_S):
                    line = await process.stdout.readline()
                if not line:
                    said = (home / "errors").read_text(errors="replace")[-4_000:]
                    raise RuntimeError(f"millrace {' '.join(arguments)} did not start:\n{said}")
                yield orjson.loads(line)
            finally:
                if process.returncode is None:
                    process.terminate()
                    try:
                        await asyncio.wait_for(process.communicate(), ENDS_WITHIN_S)
                    except TimeoutError:
                        process.kill()
                        await process.communicate()
