"""An audit of a loopback site of 400 pages beside Scrapy's plain crawl of the same site, in one run.

    .venv/bin/python bench/audit_crawl.py --scrapy path/to/a/python/with/scrapy
    .venv/bin/python bench/audit_crawl.py --memory 10000

The second reads and audits as many pages and tells the worker's resident memory on the way.

The audit crawls, judges, stores every page durably (fsync always) and compiles; Scrapy parses links and keeps nothing.
Politeness is off in both: the audit's worker is given none, Scrapy runs with its own defaults and robots.txt obeyed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import uvloop
from aiohttp import web

from consumers.audit.flow import flow as audit
from consumers.flow import Flows
from consumers.net.politeness import Politeness, PolitenessPolicy
from consumers.resources import SharedResources
from consumers.store import upgrade
from consumers.submit import submit
from consumers.worker.worker import Worker
from schemas.jobs import JobRequest
from schemas.settings import Settings
from streams.embedded import EmbeddedServers

WORDS = [
    *("coffee", "roast", "bean", "water", "grinder", "filter", "espresso", "cup", "aroma", "morning", "harvest"),
    *("farmer", "altitude", "washed", "natural", "blend", "origin", "flavour", "caramel", "citrus", "chocolate"),
    *("body", "acidity", "finish", "brew", "pour", "kettle", "scale", "timer", "ratio", "extraction", "crema"),
]

SPIDER = """
import scrapy
class Plain(scrapy.Spider):
    name = "plain"
    custom_settings = {"ROBOTSTXT_OBEY": True, "LOG_LEVEL": "ERROR", "TELNETCONSOLE_ENABLED": False,
                       "DOWNLOAD_DELAY": 0, "COOKIES_ENABLED": False}
    def __init__(self, url=None, **kw):
        super().__init__(**kw)
        self.start_urls = [url]
        self.pages = 0
    def parse(self, response):
        self.pages += 1
        for href in response.css("a::attr(href)").getall():
            yield response.follow(href, self.parse)
    def closed(self, reason):
        print(self.pages)
"""


def page(n: int, pages: int) -> str:
    """A page of some 8 kB: navigation to ten sections, links to neighbours, 500 words that differ from page to page."""
    nav = "".join(f'<li><a href="/page/{k * (pages // 10)}">Section {k}</a></li>' for k in range(10))
    near = "".join(
        f'<p><a href="/page/{(n * 7 + k) % pages}">More about {WORDS[(n + k) % 32]}</a></p>' for k in range(12)
    )
    text = "".join(
        "<p>" + " ".join(WORDS[(n * 13 + k * (p + 3) + k * k) % 32] for k in range(50)) + ".</p>" for p in range(10)
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Page {n} about {WORDS[n % 32]}</title>'
        f'<meta name="description" content="Page {n} is about {WORDS[n % 32]} and {WORDS[(n + 5) % 32]}, at length.">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"></head><body><header><nav><ul>'
        f"{nav}</ul></nav></header><main><h1>Page {n}</h1>{text}{near}</main><footer>Beans</footer></body></html>"
    )


async def serve(pages: int, port_file: str) -> None:
    """The site, in a process of its own."""
    bodies = {f"/page/{n}": page(n, pages).encode() for n in range(pages)}
    bodies["/"] = bodies["/page/0"]
    bodies["/robots.txt"] = b"User-agent: *\nAllow: /\n"

    async def answer(request: web.Request) -> web.Response:
        body = bodies.get(request.path)
        if body is None:
            return web.Response(status=404)
        return web.Response(body=body, content_type="text/plain" if request.path.endswith(".txt") else "text/html")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    Path(port_file).write_text(str(runner.addresses[0][1]))  # noqa: ASYNC240 - before anybody asks
    await asyncio.Event().wait()


@contextlib.contextmanager
def site_process(pages: int, folder: Path) -> Iterator[str]:
    """The site for as long as the block runs; yields its address."""
    port_file = folder / "port"
    process = subprocess.Popen([sys.executable, __file__, "--serve", str(pages), "--port-file", str(port_file)])  # noqa: S603
    try:
        while not (port_file.exists() and port_file.read_text()):
            if process.poll() is not None:
                raise SystemExit("the site did not start")
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port_file.read_text()}/page/0"
    finally:
        process.kill()
        process.wait()


@contextlib.asynccontextmanager
async def worker_of(servers: Any, folder: Path, place: str) -> AsyncIterator[Worker]:
    """A worker as it ships (on uvloop), but for politeness and the rate at which audits begin."""
    settings = Settings(home=folder, artifacts_url=str(folder / "artifacts"), allow_hosts=(place,), namespace="bench")
    resources = SharedResources(settings, servers.database_url)
    resources.politeness = Politeness(PolitenessPolicy(delay_s=0.0, max_concurrent=16))
    stages = tuple(replace(one, policy=replace(one.policy, limits=())) for one in audit.by_name.values())
    async with resources:
        worker = Worker(
            settings, redis_url=servers.redis_url, flows=Flows([replace(audit, stages=stages)]), resources=resources
        )
        await worker.start()
        try:
            yield worker
        finally:
            await worker.drain(5.0)


async def audited(worker: Worker, url: str, pages: int) -> dict[str, Any]:
    """Audit the site; seconds from submission to the end, with the result stored."""
    spec = {
        "url": url, "max_pages": pages + 10, "pagespeed": False, "geo": False, "external_intel": False, "report": False,
    }  # fmt: skip
    began = time.perf_counter()
    job = await submit(worker.jobs, worker.flows, JobRequest(flow="audit", spec=spec))
    key = worker.jobs.keys.of_job(job.job_id).job(job.job_id)
    while not await worker.jobs.client.hexists(key, "finished_at"):  # noqa: ASYNC110 - as a client would
        await asyncio.sleep(0.02)
    seconds = time.perf_counter() - began
    kept = await worker.resources.store.results.get(job.job_id, tenant="default")
    crawled = kept.payload["pages"]["crawled"] if kept is not None else 0
    rss_mb = psutil.Process().memory_info().rss >> 20
    return {"seconds": round(seconds, 2), "pages": crawled, "worker_rss_mb": rss_mb}


MARKS = (100, 1_000, 2_000, 5_000, 10_000, 20_000)


async def remembered(worker: Worker, url: str, pages: int) -> dict[str, Any]:
    """Audit a large site; the worker's resident memory, MiB, after so many pages, at its highest, and at the end."""
    spec = {
        "url": url, "max_pages": pages, "pagespeed": False, "geo": False, "external_intel": False, "report": False,
    }  # fmt: skip
    process = psutil.Process()
    began = time.perf_counter()
    job = await submit(worker.jobs, worker.flows, JobRequest(flow="audit", spec=spec))
    key = worker.jobs.keys.of_job(job.job_id).job(job.job_id)
    rss_mb: dict[str, int] = {"at the start": process.memory_info().rss >> 20}
    crawled_s = peak = 0.0
    while not await worker.jobs.client.hexists(key, "finished_at"):
        await asyncio.sleep(0.1)
        record = await worker.jobs.job(job.job_id)
        assert record is not None  # noqa: S101 - it runs
        now_mb = process.memory_info().rss >> 20
        peak = max(peak, now_mb)
        for mark in MARKS:
            if record.number("extract.done") >= mark:
                rss_mb.setdefault(f"{mark} pages", now_mb)
        if record.number("compile.open") and not crawled_s:
            crawled_s = time.perf_counter() - began
            rss_mb["all pages read"] = now_mb
    rss_mb |= {"highest": int(peak), "at the end": process.memory_info().rss >> 20}
    kept = await worker.resources.store.results.get(job.job_id, tenant="default")
    return {
        "pages": kept.payload["pages"]["crawled"] if kept is not None else 0,
        "crawl_s": round(crawled_s, 1), "seconds": round(time.perf_counter() - began, 1), "worker_rss_mb": rss_mb,
    }  # fmt: skip


def scrapy_crawl(python: str, url: str, folder: Path) -> dict[str, Any]:
    """Scrapy's plain crawl, start of the process included, as the audit's worker has its own behind it."""
    spider = folder / "plain.py"
    spider.write_text(SPIDER)
    began = time.perf_counter()
    command = [python, "-m", "scrapy", "runspider", str(spider), "-a", f"url={url}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)  # noqa: S603
    return {"seconds": round(time.perf_counter() - began, 2), "pages": int(done.stdout.strip().splitlines()[-1])}


async def measure(pages: int, rounds: int, scrapy: str | None, memory: int | None) -> dict[str, Any]:
    """Take turns, so that what else the machine does meets both."""
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as name:
        folder = Path(name)
        os.chmod(folder, 0o755)  # noqa: PTH101, S103 - PostgreSQL runs as a user of its own
        with site_process(memory or pages, folder) as url, EmbeddedServers.start(folder / "home") as servers:
            await upgrade(servers.database_url)
            place = url.removeprefix("http://").partition("/")[0]
            ours: list[dict[str, Any]] = []
            theirs: list[dict[str, Any]] = []
            async with worker_of(servers, folder, place) as worker:
                ours.append(await audited(worker, url, 20))  # the CPU subprocesses start and import
                if memory:
                    return await remembered(worker, url, memory)
                for _ in range(rounds):
                    ours.append(await audited(worker, url, pages))
                    if scrapy:
                        theirs.append(await asyncio.to_thread(scrapy_crawl, scrapy, url, folder))
    return {"pages": pages, "warm_up": ours[0], "audit": ours[1:], "scrapy": theirs, "cores": os.cpu_count()}


def main() -> None:
    """Print both, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scrapy", help="a Python that has Scrapy; without it only the audit is measured")
    parser.add_argument("--memory", type=int, help="pages of a site to audit for its memory instead")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--port-file", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve(given.serve, given.port_file))
        return
    print(json.dumps(uvloop.run(measure(given.pages, given.rounds, given.scrapy, given.memory)), indent=1))


if __name__ == "__main__":
    main()
