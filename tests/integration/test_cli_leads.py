"""``millrace leads`` on a book with leads in it."""

from __future__ import annotations

import asyncio
import csv
from datetime import UTC, datetime
from pathlib import Path

import pytest

from consumers.leads.identity import Seal
from consumers.store import Store
from schemas.leads import FoundLead, Origin, Reached
from tests.support.commands import Home


@pytest.fixture
def home(valkey_url: str, store_url: str, namespace: str, tmp_path: Path) -> Home:
    return Home(tmp_path, MILLRACE_REDIS_URL=valkey_url, MILLRACE_DATABASE_URL=store_url, MILLRACE_NAMESPACE=namespace)


def lead(name: str, job: str, *, email: str = "", rating: float = 4.8) -> FoundLead:
    return FoundLead(
        key=name, name=name, rating=rating, reviews=40, address=f"{name} Street 1",
        phones=(Reached(value=f"+3021026170{len(name):02}", source="listing"),),
        emails=(Reached(value=email, source="schema.org"),) if email else (),
        origins=(Origin(job_id=job, key=name, source="csv"),),
    )  # fmt: skip


async def filled(store_url: str, namespace: str) -> tuple[str, str]:
    """Two runs, the second with one more lead."""
    first, second = f"0-{namespace}a", f"0-{namespace}b"
    known = [lead("=Mill", first, email="ida@mill.gr"), lead("Weir", first, rating=3.0)]
    async with Store.connect(store_url) as store:
        for job, found in ((first, known), (second, [*known, lead("Sluice", second)])):
            await store.leads.keep(found, job_id=job, tenant="default", seal=Seal(b"x"))
            ms = int(datetime.now(UTC).timestamp() * 1_000)
            common = {"job": job, "flow": "leads", "tenant": "default", "revision": "1"}
            entries = [
                (
                    f"{ms}-0",
                    {"type": "submitted", **common, "task": "1", "stage": "crawl", "status": "queued", "spec": "{}"},
                ),
                (f"{ms}-1", {"type": "completed", **common, "task": "1", "stage": "compile", "status": "succeeded"}),
            ]
            await store.jobs.project(0, entries)
    return first, second


def test_the_book_is_listed_changed_exported_and_erased(
    home: Home, store_url: str, namespace: str, tmp_path: Path
) -> None:
    first, second = asyncio.run(filled(store_url, namespace))

    def names(*asked: str) -> list[str]:
        return [one["name"] for one in home.lines("leads", "list", *asked)]

    assert names("--job", second) == names("--new") == ["Sluice"]
    assert names("--sort", "name", "--source", "csv") == ["=Mill", "Sluice", "Weir"]
    assert names("--search", "EIR") == ["Weir"]
    assert home.done("leads", "list", "--sort", "luck").returncode == 2
    (mill,) = home.lines("leads", "list", "--job", first, "--min-score", "90")
    changed = home.json("leads", "set", mill["id"], "--status", "called", "--owner", "Ann", "--follow-up", "2030-01-02")
    assert (changed["status"], changed["owner"], changed["follow_up_on"]) == ("called", "Ann", "2030-01-02")
    assert names("--owner", "Ann", "--follow-up", "2030-01-02", "--status", "called") == ["=Mill"]
    assert names("--follow-up", "2030-01-01") == []
    assert {one["kind"] for one in home.json("leads", "show", mill["id"])["timeline"]} == {
        "status",
        "owner",
        "follow_up_on",
    }
    told = home.json("leads", "statistics")
    assert (told["total"], told["by_status"], told["by_source"]) == (3, {"called": 1, "new": 2}, {"csv": 3})
    assert "0% of those called were converted" in home.run("leads", "statistics")
    home.run("leads", "export", str(tmp_path / "leads.csv"))
    rows = list(csv.DictReader((tmp_path / "leads.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert [row["name"] for row in rows if "Mill" in row["name"]] == ["'=Mill"]
    added = home.lines("leads", "blacklist", "--add", "phone=+30 210 261 7099", "--reason", "a customer")
    assert added == [{"kind": "phone", "value": "+302102617099", "reason": "a customer"}]
    assert home.done("leads", "blacklist", "--add", "phone=12").returncode == 2
    assert "empty" in home.run("leads", "blacklist", "--remove", "phone=+302102617099")
    assert home.json("leads", "erase", "--email", "IDA@mill.gr")["erased"] == [mill["id"]]
    assert home.done("leads", "erase").returncode == 2
    assert home.done("leads", "show", mill["id"]).returncode == 1
