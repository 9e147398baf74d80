"""How long the doctor takes over a full log, and how long it holds the server up.

    python bench/doctor.py [JOBS [ENTRIES_A_JOB]]        default: 20,000 jobs of 50 entries, 1,000,000 in all

Fills a Valkey of its own (no fsync: filling is not what is measured) and looks through it once.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from streams.connect import connect
from streams.doctor import survey
from streams.embedded.valkey import ValkeyServer
from streams.keys import Keys

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
DATA = b'{"v":1,"url":"https://example.com/%s"}' % (b"x" * 60)
TOGETHER = 100


async def fill(url: str, jobs: int, entries: int) -> None:
    """Open tasks, each with its entry."""
    client, keys = connect(url, timeout_s=60), Keys("bench").partition(0)
    stream = keys.stream("download")
    for first in range(0, jobs, TOGETHER):
        pipe = client.pipeline(transaction=False)
        for job in range(first, min(first + TOGETHER, jobs)):
            record = {
                "status": "running", "revision": 1, "next": entries + 1, "work": entries, "tail": 0, "flow": "noop",
                "download.open": entries, "tenant": "default", "lane": "normal", "spec": DATA, "created_at": 1,
            }  # fmt: skip
            for task in range(1, entries + 1):
                entry_id = f"1-{job * entries + task}"
                fields = ("job", f"0-{job}", "task", task, "flow", "noop", "attempt", 1)
                pipe.execute_command("XADD", stream, entry_id, *fields, "traceparent", TRACEPARENT, "data", DATA)
                record[f"task.{task}"] = f"download {entry_id}"
            pipe.hset(keys.job(f"0-{job}"), mapping=record)
        await pipe.execute()
    await client.aclose()


async def look(url: str) -> None:
    """Look through it; what took the server longer than half a millisecond is in its slow log."""
    client = connect(url, timeout_s=60)
    await client.config_set("slowlog-log-slower-than", 500)
    await client.config_set("slowlog-max-len", 100_000)
    await client.slowlog_reset()
    began_s = time.perf_counter()
    found = await survey(client, Keys("bench"))
    took_s = time.perf_counter() - began_s
    calls = sorted((one["duration"] / 1_000 for one in await client.slowlog_get(100_000)), reverse=True)
    print(f"{found.entries:,} entries of {found.jobs:,} jobs in {took_s:.1f} s, {len(found.suspects)} suspects")
    if calls:
        print(f"longest calls: {', '.join(f'{one:.2f}' for one in calls[:5])} ms; {len(calls):,} above 0.5 ms")
    await client.aclose()


def main() -> None:
    """Run it."""
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    entries = int(sys.argv[2]) if len(sys.argv) > 2 else 50  # noqa: PLR2004 - the second argument
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as home:
        server = ValkeyServer(Path(home), {"appendonly": "no"})
        server.start()
        try:
            asyncio.run(fill(server.url, jobs, entries))
            asyncio.run(look(server.url))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
