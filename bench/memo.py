"""What the memo saves: a filings job, and its replay with the same code.

Servers of its own in a temporary folder, the demo's site on loopback (or the PDFs of ``--folder``), one worker with the
shipped flow, in this process. Times are from a job's start to its end, as history has them. It prints one JSON line;
`ratio` is the first run's time over the replay's, `ratio_extract` that without what the first run spent on the site.

    .venv/bin/python bench/memo.py
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

import orjson
import uvloop

from api.demo.build import ensure_site
from api.demo.site import DemoSite
from consumers.filings.flow import flow
from consumers.flow import Flows
from consumers.replays.record import Replays
from consumers.resources import SharedResources
from consumers.store import Store, upgrade
from consumers.submit import submit
from consumers.worker.follow import HistoryFollower
from consumers.worker.replaying import Replayer
from consumers.worker.worker import Worker, WorkerOptions
from schemas.jobs import JobRequest
from schemas.replays import ReplayRequest
from schemas.settings import Settings
from streams.embedded import EmbeddedServers
from streams.states import ENDED

TENANT = "default"
LOOK_S = 0.05


async def ended(store: Store, job_id: str) -> Any:
    """The job's row in history when it has ended."""
    async with asyncio.timeout(300):
        while True:
            job = await store.jobs.get(job_id, tenant=TENANT)
            if job is not None and job.status in ENDED and job.finished_at is not None:
                return job
            await asyncio.sleep(LOOK_S)


async def measure(servers: EmbeddedServers, home: Path, folder: Path, rounds: int) -> dict[str, Any]:
    """The first run, then its replays."""
    async with DemoSite.serve(folder) as site:
        settings = Settings(
            namespace="bench-memo", home=home, artifacts_url=str(home / "artifacts"),
            allow_hosts=(f"127.0.0.1:{site.port}",),
        )  # fmt: skip
        async with SharedResources(settings, servers.database_url) as resources:
            options = WorkerOptions(follows=(HistoryFollower, Replayer), pools=("default", "heavy", "mail"))
            worker = Worker(
                settings, redis_url=servers.redis_url, flows=Flows([flow]), resources=resources, options=options
            )
            await worker.start()
            first_id = (
                await submit(worker.jobs, worker.flows, JobRequest(flow="filings", spec={"url": site.url}))
            ).job_id
            first = await ended(resources.store, first_id)
            replays: list[dict[str, Any]] = []
            for _ in range(rounds):
                asked = ReplayRequest.model_validate(
                    {"select": {"jobs": [first_id]}, "from_stage": "extract", "priority": "normal"}
                )
                record = await Replays(worker.jobs.client, worker.jobs.keys).create(
                    asked, tenant=TENANT, created_by="bench"
                )
                replays.append(await replayed(resources.store, record.replay_id))
            await worker.drain()
    first_s = (first.finished_at - first.started_at).total_seconds()
    best_s = min(one["took_s"] for one in replays)
    saved_s = max(one["saved_s"] for one in replays)
    return {
        "first": {"status": first.status, "took_s": round(first_s, 3)}, "replays": replays,
        "ratio": round(first_s / best_s, 1), "ratio_extract": round(saved_s / best_s, 1),
        "load_average": [round(one, 2) for one in os.getloadavg()],
    }  # fmt: skip


async def replayed(store: Store, replay_id: str) -> dict[str, Any]:
    """The one job of a replay."""
    async with asyncio.timeout(120):
        while True:
            page = await store.jobs.page(tenant=TENANT, replay=replay_id)
            if page.items:
                break
            await asyncio.sleep(LOOK_S)
    job = await ended(store, page.items[0].job_id)
    memo = await store.memos.of_job(job.job_id, tenant=TENANT)
    return {
        "status": job.status, "took_s": round((job.finished_at - job.started_at).total_seconds(), 3),
        "computed": memo.computed, "reused": memo.reused, "saved_s": memo.saved_s,
    }  # fmt: skip


async def main(asked: argparse.Namespace) -> dict[str, Any]:
    """On servers of its own."""
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as name:
        home = Path(name)
        # PostgreSQL that root starts runs as a user of its own, who must get there.
        await asyncio.to_thread(home.chmod, 0o755)
        folder = asked.folder or await asyncio.to_thread(ensure_site, home)
        servers = await asyncio.to_thread(EmbeddedServers.start, home)
        try:
            await upgrade(servers.database_url)
            return await measure(servers, home, folder, asked.rounds)
        finally:
            await asyncio.to_thread(servers.stop)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="replays")
    parser.add_argument("--folder", type=Path, help="a folder with a site of your own")
    print(orjson.dumps(uvloop.run(main(parser.parse_args()))).decode())
