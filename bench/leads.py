"""A listing of invented businesses through all six stages on one Chromium: how fast, and how much memory.

    .venv/bin/python bench/leads.py --businesses 500

It starts a Valkey (fsync always) and a PostgreSQL of its own, the listing of the tests on loopback (consent, infinite
scroll, cards by script, detail panels, slow and failing cards, duplicates) and one worker in this process. Two in nine
businesses have a website, of which two pages are read; there is no delay between requests to one host. Printed as
JSON: businesses a minute from the submission to the end of the job, recall and precision, and the worker's memory
(without Chromium, in MiB) at every tenth.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from consumers.leads.flow import flow
from consumers.store import upgrade
from consumers.store.leads import LeadFilter
from schemas.leads import LeadsResult
from streams.embedded import EmbeddedServers
from tests.support.flow_place import TENANT, Place, place
from tests.support.listing_site import RECIPE, ListingSite, invented

MIB = 2**20


async def measured(here: Place, count: int) -> dict[str, Any]:
    """Run one listing and tell of it."""
    me = psutil.Process(os.getpid())
    memory: list[int] = []
    businesses = [
        {**one, "website": None if number % 3 else one["website"]} for number, one in enumerate(invented(count))
    ]
    async with ListingSite(businesses) as site:
        began = time.monotonic()
        job_id = await here.submit(source="browser", url=site.url, recipe=RECIPE, limit=10_000)
        ending = asyncio.create_task(here.ended(job_id, within_s=3_600))
        seen = 0
        while not ending.done():
            await asyncio.sleep(0.2)
            record = await here.worker.jobs.job(job_id)
            done = record.number("classify.done") if record is not None else 0
            if done * 10 // count > seen:
                seen = done * 10 // count
                memory.append(me.memory_info().rss // MIB)
        record = await ending
        took_s = time.monotonic() - began
    kept = await here.store.results.get(job_id, tenant=TENANT)
    if kept is None:
        raise SystemExit(f"job {job_id} ended as {record.status} without a result")
    result = LeadsResult.model_validate(kept.payload)
    names: list[str] = []
    cursor = None
    while True:
        page = await here.store.leads.page(LeadFilter(job_id=job_id), tenant=TENANT, cursor=cursor, limit=200)
        names += [lead.name for lead in page.items]
        cursor = page.next
        if cursor is None:
            break
    wanted = {one["title"] for one in businesses}
    return {
        "businesses": count, "status": record.status, "seconds": round(took_s, 1),
        "a_minute": round(count / took_s * 60), "recall": len(wanted & set(names)) / len(wanted),
        "precision": len(wanted & set(names)) / max(1, len(names)), "new": result.new,
        "chromium_starts": (await here.worker.resources.browser()).starts, "worker_mib": memory,
    }  # fmt: skip


async def main(count: int) -> None:
    """Print one line of JSON."""
    with (
        tempfile.TemporaryDirectory(prefix="millrace-bench-") as folder,
        EmbeddedServers.start(Path(folder)) as servers,
    ):
        await upgrade(servers.database_url)
        async with place(
                servers.redis_url, servers.database_url, Path(folder), flow=flow, namespace="bench",
                allow_hosts=("127.0.0.0/8",),
            ) as here:  # fmt: skip
            print(orjson.dumps(await measured(here, count)).decode())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Leads: speed and memory.")
    parser.add_argument("--businesses", type=int, default=500)
    asyncio.run(main(parser.parse_args().businesses))
