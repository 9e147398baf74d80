"""/metrics as Prometheus reads it, and every query of the dashboard and the alerts against a real scrape."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from streams.meter import BUCKETS_S, Histogram
from streams.policy import AtOnce, RateLimit, StagePolicy
from tests.support.api_place import ApiPlace, api_place, until
from tests.support.chaos_local import flow_of
from tests.support.servers import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DEPLOY = REPOSITORY / "deploy"
UNITS = ("_seconds", "_bytes", "_total", "_entries", "_info")
COUNTS = {
    "millrace_workers", "millrace_pool_workers", "millrace_pool_slots", "millrace_jobs_unfinished",
    "millrace_database_up", "millrace_api_followers", "millrace_backlog_ratio", "millrace_backpressure",
    "millrace_open_circuits", "millrace_findings",
}  # fmt: skip
LABELS = {"stage", "flow", "pool", "lane", "outcome", "partition", "group", "limit", "status", "le"}


async def families(place: ApiPlace) -> dict[str, Any]:
    """The metrics by name, as Prometheus's own parser reads them."""
    body = (await place.call("GET", "/metrics")).body
    return {family.name: family for family in text_string_to_metric_families(body)}


def value(family: Any, **labels: str) -> float:
    """The sum of the samples that carry the family's own name and these labels."""
    return sum(
        float(sample.value) for sample in family.samples
        if sample.name in {family.name, f"{family.name}_total"} and labels.items() <= sample.labels.items()
    )  # fmt: skip


async def test_names_have_units_and_labels_have_no_ids(place: ApiPlace) -> None:
    async with place.worker():
        for act in ("", "die"):
            await place.ended(await place.submit(act))
    found = await families(place)
    for family in found.values():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert name.startswith("millrace_")
        assert name.endswith(UNITS) or name in COUNTS, name
        assert family.documentation
        assert {label for sample in family.samples for label in sample.labels} <= LABELS
    (settled,) = [one for one in found.values() if one.name == "millrace_entries_settled"]
    assert value(settled, flow="probe", stage="extract", outcome="dead_lettered") == 1
    assert value(settled, flow="probe", stage="crawl", outcome="completed") == 2
    assert value(found["millrace_deliveries"], stage="crawl") == 2
    assert value(found["millrace_dlq_entries"]) == 1
    ran = found["millrace_run_duration_seconds"]
    counts = [s.value for s in ran.samples if s.name.endswith("_bucket") and s.labels["stage"] == "crawl"]
    assert counts == sorted(counts)
    assert counts[-1] == 2
    assert len(counts) == len(BUCKETS_S) + 1


async def test_what_was_counted_outlives_its_worker_and_adds_up(place: ApiPlace) -> None:
    for expected in (1, 2):
        async with place.worker():
            await place.ended(await place.submit())
        found = await families(place)
        assert value(found["millrace_deliveries"], stage="crawl", flow="probe") == expected


async def test_flows_that_are_not_installed_are_no_label(place: ApiPlace) -> None:
    keys = place.services.keys.partition(0)
    async with place.worker():
        await place.services.client.xadd(keys.stream("crawl"), {"flow": "invented-by-anyone", "data": '{"v":1}'})

        async def is_dead() -> bool:
            return bool(await place.services.client.xlen(keys.dlq))

        await until(is_dead)
    body = (await place.call("GET", "/metrics")).body
    assert "invented-by-anyone" not in body
    assert 'flow="other"' in body


def test_a_histogram_counts_each_once() -> None:
    histogram = Histogram()
    for seconds in (0.005, 0.006, 50.0, 9_999.0):
        histogram.observe(seconds)
    cumulative = dict(histogram.cumulative())
    assert (cumulative["0.005"], cumulative["0.025"], cumulative["60.0"], cumulative["+Inf"]) == (1, 2, 3, 4)
    assert histogram.sum_us == 10_049_011_000


class Prometheus:
    """A real one, that scrapes a place every 200 ms."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """An instant query's result."""
        async with self._session.get(f"{self._url}/api/v1/query", params={"query": expression}) as answer:
            body = await answer.json()
        assert body["status"] == "success", (expression, body)
        found: list[dict[str, Any]] = body["data"]["result"]
        return found


@asynccontextmanager
async def scraping(target: str, folder: Path) -> AsyncIterator[Prometheus]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    config = {
        "global": {"scrape_interval": "200ms", "scrape_timeout": "200ms", "evaluation_interval": "1s"},
        "rule_files": [str(DEPLOY / "prometheus" / "alerts.yaml")],
        "scrape_configs": [{"job_name": "millrace", "static_configs": [{"targets": [target]}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))
    with (folder / "prometheus.log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            "prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{port}", stdout=log, stderr=log,
        )  # fmt: skip
        try:
            async with aiohttp.ClientSession() as session:
                prometheus = Prometheus(f"http://127.0.0.1:{port}", session)

                async def has_scraped() -> bool:
                    try:
                        return bool(await prometheus.query("millrace_workers"))
                    except aiohttp.ClientError:
                        return False

                await until(has_scraped)
                yield prometheus
        finally:
            process.terminate()
            await process.wait()


def dashboard_queries() -> list[str]:
    panels = json.loads((DEPLOY / "grafana" / "millrace.json").read_text())["panels"]
    found = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    return [re.sub(r"\$(stage|flow|pool)", ".*", one).replace("[5m]", "[1m]") for one in found]


def alert_selectors() -> set[str]:
    """What the alerts look at: their expressions are empty as long as nothing is wrong."""
    rules = YAML(typ="safe").load(DEPLOY / "prometheus" / "alerts.yaml")["groups"][0]["rules"]
    return {one for rule in rules for one in re.findall(r"(?:millrace_\w+|\bup\b)(?:\{[^}]*\})?", rule["expr"])}


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not here")
async def test_every_query_of_the_dashboard_and_the_alerts_returns_data(
    valkey_url: str, store_url: str, namespace: str, tmp_path: Path
) -> None:
    policy = StagePolicy(limits=(RateLimit("often", 10, 60), AtOnce("many", 1)))
    limited = flow_of("limited", policies={"crawl": policy})
    async with api_place(valkey_url, store_url, namespace, tmp_path, more=[limited]) as place:
        await every_query_returns_data(place, tmp_path)


async def every_query_returns_data(place: ApiPlace, folder: Path) -> None:
    async def works_a_little() -> None:
        async with place.worker(with_history=True):
            jobs = [await place.submit(act) for act in ("", "die", "miss")]
            for job in jobs:
                await place.ended(job)

    await works_a_little()
    async with scraping(place.url.removeprefix("http://"), folder) as prometheus:
        await place.submit(run_at="2090-01-01T00:00:00Z")  # one that is unfinished
        await works_a_little()

        async def has_seen_both() -> bool:
            grown = await prometheus.query('sum(increase(millrace_deliveries_total{flow="probe"}[1m]))')
            return bool(
                grown and float(grown[0]["value"][1]) > 0 and await prometheus.query("millrace_jobs_unfinished")
            )

        await until(has_seen_both)
        empty = [one for one in (*dashboard_queries(), *sorted(alert_selectors())) if not await prometheus.query(one)]
        assert empty == []
