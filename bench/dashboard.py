"""How soon the dashboard is there: first paint in Chromium on loopback, with a history of many jobs.

    python bench/dashboard.py [--jobs 100000] [--events 3] [--json]

Starts a Valkey and a PostgreSQL of its own, fills history, serves the API, and opens each page five times in a new
browser context. Told are the median and the worst of `first-contentful-paint` (what a person waits for, from the click
on) and of the time to the whole answer; and how far behind the overview's live numbers are: from the moment a job ends
to the moment its entry is counted on the page.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sqlalchemy import text

from consumers.store import Store, upgrade
from tests.support.api_place import ApiPlace, api_place
from tests.support.servers import FAST_VALKEY, fresh_database, running_postgres, running_valkey

if TYPE_CHECKING:
    from playwright.async_api import Browser

TIMES = 5
PAINT_MS = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
ANSWER_MS = "performance.getEntriesByType('navigation')[0].responseEnd"
FILL = """
INSERT INTO jobs (job_id, tenant, flow, status, revision, lane, spec, created_at, started_at, finished_at, trace_id,
                  error, attempts, changed_revision, changed_ms, changed_seq)
SELECT '0-' || md5(n::text), 'default', (ARRAY['filings', 'audit', 'leads', 'documents'])[1 + n % 4],
       (ARRAY['succeeded', 'succeeded', 'succeeded', 'partial', 'failed'])[1 + n % 5], 1, 'normal',
       jsonb_build_object('url', 'https://site' || n % 5000 || '.example/investors/' || n, 'max_pages', n % 200),
       now() - n * interval '7 seconds', now() - n * interval '7 seconds', now() - n * interval '7 seconds',
       md5(n::text), CASE WHEN n % 5 = 4 THEN 'http_503: the site does not answer' END, 1, 1, 0, 0
FROM generate_series(1, :jobs) AS n
"""
FILL_EVENTS = """
INSERT INTO task_events (job_id, entry_ms, entry_seq, tenant, type, revision, task, stage, attempt, delivery, worker)
SELECT '0-' || md5(n::text), (extract(epoch FROM now() - n * interval '7 seconds') * 1000)::bigint, e, 'default',
       'completed', 1, e, 'crawl', 1, 1, 'worker-' || n % 40
FROM generate_series(1, :jobs) AS n, generate_series(1, :events) AS e
"""


async def fill(url: str, jobs: int, events: int) -> None:
    """Write a history."""
    await upgrade(url)
    async with Store.connect(url) as store:
        async with store.database.begin() as session:
            await session.execute(text(FILL), {"jobs": jobs})
            await session.execute(text(FILL_EVENTS), {"jobs": jobs, "events": events})
        async with store.database.engine.connect() as connection:
            plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await plain.execute(text("VACUUM ANALYZE jobs"))
            await plain.execute(text("VACUUM ANALYZE task_events"))


async def timed(browser: Browser, url: str) -> tuple[float, float]:
    """First paint and whole answer, ms."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    page = await context.new_page()
    await page.goto(url, wait_until="load")
    # Not `wait_for_function`: it would need the pages' policy to allow eval.
    while await page.evaluate(PAINT_MS) is None:  # noqa: ASYNC110 - the browser tells nobody
        await asyncio.sleep(0.02)
    paint, answer = await page.evaluate(PAINT_MS), await page.evaluate(ANSWER_MS)
    await context.close()
    return float(paint), float(answer)


async def behind(browser: Browser, place: ApiPlace) -> float:
    """How long after a job's end the page counts it, ms: the worst of some."""
    page = await (await browser.new_context()).new_page()
    await page.goto(place.url)
    await page.wait_for_selector(".live:not(.away)")
    await asyncio.sleep(2)
    worst = 0.0
    bars = "document.querySelectorAll('#minute rect:not([height=\"0.0\"])').length"
    async with place.worker():
        for _ in range(TIMES):
            before = await page.evaluate(bars)
            await place.ended(await place.submit())
            ended = time.monotonic()
            while await page.evaluate(bars) == before:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.005)
            worst = max(worst, (time.monotonic() - ended) * 1_000)
            await asyncio.sleep(2.5)  # so that the next one is a bar of its own
    await page.close()
    return worst


async def measure(redis_url: str, database_url: str, jobs: int, events: int, home: Path) -> dict[str, Any]:
    """Every page, and the lag of the live numbers."""
    from playwright.async_api import async_playwright  # noqa: PLC0415 - an extra

    await fill(database_url, jobs, events)
    found: dict[str, Any] = {"jobs": jobs, "pages": {}}
    async with api_place(redis_url, database_url, "bench", home) as place, async_playwright() as playwright:
        program = shutil.which("chromium") or shutil.which("google-chrome")
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        (job,) = (await place.call("GET", "jobs?limit=1")).body["items"]
        paths = [
            "/", "/jobs", "/jobs?status=failed", "/jobs?q=site77", "/jobs?q=503%20answer", "/jobs?q=nothingofthat",
            "/jobs?worker=worker-7", f"/jobs/{job['job_id']}", "/workers", "/streams", "/dlq", "/limits", "/audit-log",
        ]  # fmt: skip
        await timed(browser, place.url)  # what only the first request of a process pays
        for path in paths:
            times = [await timed(browser, place.url + path) for _ in range(TIMES)]
            paints, answers = [one for one, _ in times], [one for _, one in times]
            found["pages"][path] = {
                "paint_ms": round(statistics.median(paints)), "paint_worst_ms": round(max(paints)),
                "answer_ms": round(statistics.median(answers)),
            }  # fmt: skip
            print(f"  {path} {found['pages'][path]}", file=sys.stderr)
        found["live_behind_ms"] = round(await behind(browser, place))
        await browser.close()
    return found


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--jobs", type=int, default=100_000)
    asked.add_argument("--events", type=int, default=3, help="lifecycle events of each job")
    asked.add_argument("--json", action="store_true")
    given = asked.parse_args()
    with (
        running_valkey(FAST_VALKEY, None) as redis,
        running_postgres() as postgres,
        fresh_database(postgres.url) as database,
        tempfile.TemporaryDirectory() as home,
    ):
        found = asyncio.run(measure(redis.url, database, given.jobs, given.events, Path(home)))
    if given.json:
        print(json.dumps(found, indent=1))
        return
    print(f"{found['jobs']:,} jobs in history")
    print(f"{'page':32} {'first paint':>12} {'worst':>8} {'answer':>8}   ms")
    for path, one in found["pages"].items():
        print(f"{path[:32]:32} {one['paint_ms']:>12} {one['paint_worst_ms']:>8} {one['answer_ms']:>8}")
    print(f"live numbers behind, worst of {TIMES}: {found['live_behind_ms']} ms")


if __name__ == "__main__":
    main()
