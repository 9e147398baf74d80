"""Worker processes under test: started, watched through a pipe, stopped, killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import orjson
import psutil

from api.chaos.history import check_history
from consumers.submit import submit
from schemas.jobs import JobRequest
from streams.connect import connect
from streams.keys import Keys
from streams.log import Log
from streams.record import JobRecord
from tests.support.chaos_flow import FLOWS
from tests.support.servers import REPOSITORY

Event = dict[str, Any]


def _log_file() -> BinaryIO:
    return tempfile.TemporaryFile("a+b")


@dataclass(slots=True)
class WorkerProcess:
    """A process started from `tests.support.chaos_worker`. `name` is its consumer's, once it is ready."""

    process: subprocess.Popen[bytes]
    name: str = ""

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Its exit code, when it has one."""
        return await asyncio.to_thread(self.process.wait, 60)


@dataclass(slots=True)
class Stage:
    """A namespace, its workers, and all that they told."""

    redis_url: str
    namespace: str
    log: Log
    events: list[Event] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    _workers: list[WorkerProcess] = field(default_factory=list)
    _writer: int = -1
    _logs: BinaryIO = field(default_factory=_log_file)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def start(self, *, redis_url: str | None = None, **config: Any) -> WorkerProcess:
        """Start a worker process (or, with ``supervised=N``, a supervisor) and wait until it reads."""
        given = {"redis_url": redis_url or self.redis_url, "namespace": self.namespace, **config}
        command = [sys.executable, "-m", "tests.support.chaos_worker", str(self._writer), orjson.dumps(given).decode()]
        before = self.count(event="ready")
        process = subprocess.Popen(  # noqa: ASYNC220 - it has to return before anything else goes on
            command, pass_fds=(self._writer,), cwd=REPOSITORY, stdin=subprocess.DEVNULL, stderr=self._logs
        )
        self._workers.append(WorkerProcess(process))
        ready = await self.wait(before + max(1, config.get("supervised", 0)), timeout_s=60, event="ready")
        self._workers[-1].name = ready[-1]["worker"]
        return self._workers[-1]

    async def submit(self, flow: str = "chaos", *, job_id: str | None = None, **spec: Any) -> str:
        """Submit a job; it counts as accepted when the log has answered."""
        submitted = await submit(self.log, FLOWS, JobRequest(flow=flow, spec=spec, job_id=job_id))
        self.accepted.append(submitted.job_id)
        return submitted.job_id

    def count(self, **like: Any) -> int:
        """How many events there were so far with these fields."""
        return len(self.told(**like))

    def told(self, **like: Any) -> list[Event]:
        """The events so far with these fields."""
        return [event for event in self.events if all(event.get(name) == value for name, value in like.items())]

    async def wait(self, count: int = 1, *, timeout_s: float = 30, **like: Any) -> list[Event]:
        """Wait until there were so many events with these fields."""
        await self.until(lambda: self.count(**like) >= count, f"{count} x {like}", timeout_s)
        return self.told(**like)

    async def until(self, is_so: Callable[[], bool], what: str, timeout_s: float = 30) -> None:
        """Wait until the events say so."""
        try:
            async with asyncio.timeout(timeout_s), self._news:
                await self._news.wait_for(is_so)
        except TimeoutError:
            last = "\n".join(str(event) for event in self.events[-20:])
            raise AssertionError(f"waited {timeout_s} s for {what}; the last events:\n{last}\n{self.logs()}") from None

    def logs(self) -> str:
        """The end of what the workers logged."""
        size = self._logs.seek(0, os.SEEK_END)
        self._logs.seek(max(0, size - 10_000))
        return self._logs.read().decode("utf-8", "replace")

    async def ended(self, *job_ids: str, timeout_s: float = 60) -> list[JobRecord]:
        """Wait until jobs have ended and their notifications are out; all accepted ones by default."""
        wanted = set(job_ids or self.accepted)
        await self.until(
            lambda: wanted <= {event["job"] for event in self.told(event="notified")}, "the jobs to end", timeout_s
        )
        # The notification's own settlement is the last move.
        async with asyncio.timeout(timeout_s):
            while True:
                records = [await self.log.job(job_id) for job_id in sorted(wanted)]
                found = [record for record in records if record is not None]
                if len(found) == len(wanted) and all(record.number("tail") == 0 for record in found):
                    return found
                await asyncio.sleep(0.02)

    async def check(self) -> Counter[str]:
        """Hold the history against the log; answers how often each type of move was made."""
        return await check_history(self.log.client, self.log.keys, self.accepted)

    def executions(self) -> dict[tuple[str, int], int]:
        """How often each task's handler began."""
        found: dict[tuple[str, int], int] = {}
        for event in self.told(event="began"):
            place = (event["job"], event["task"])
            found[place] = found.get(place, 0) + 1
        return found

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            async with self._news:
                self.events.append(orjson.loads(line))
                self._news.notify_all()


@asynccontextmanager
async def chaos(redis_url: str, namespace: str) -> AsyncIterator[Stage]:
    """A namespace to be cruel to; whatever still runs afterwards is killed."""
    read_end, write_end = os.pipe()
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb", 0)
    )
    client = connect(redis_url)
    stage = Stage(redis_url, namespace, Log(client, Keys(namespace), FLOWS, record_ttl_s=3_600))
    stage._writer = write_end
    listening = asyncio.create_task(stage._listen(reader))
    try:
        yield stage
    finally:
        for worker in stage._workers:
            if worker.process.poll() is None:
                for process in [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]:
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
                worker.process.wait()
        stage._logs.close()
        os.close(write_end)
        listening.cancel()
        transport.close()
        await client.aclose()
