"""Who asks to be erased is found nowhere any more, and the next crawl does not bring them back."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard
from aiohttp import FormData
from sqlalchemy import Text, cast, select

from consumers.leads.flow import flow as leads
from consumers.maintenance.erase import erase as chore
from consumers.maintenance.yard import Yard
from consumers.outcome import Outcome
from consumers.store.models import Base
from consumers.testing import serve
from consumers.worker.worker import Worker
from schemas.leads import VisitedSite
from schemas.maintenance import Order
from streams.archiver import Archiver, raw_ranges
from streams.connect import connect
from streams.erase import AGAIN_MS
from streams.errors import PermanentError
from tests.support.api_place import ApiPlace, api_place, until

EMAIL = "anna.weir@cafe-weir.gr"
PHONE = "+302102617441"
HOME = """<html lang="el"><body><a href="contact">Contact</a> © 2026
<a href="tel:+30 210 261 7441">call</a></body></html>"""
CONTACT = f"""<html><body><a href="mailto:{EMAIL}?subject=hi">Anna</a> or 0030-210-2617441 or 210 2617 441
<script type="application/ld+json">{{"@context": "https://schema.org", "@type": "Cafe", "name": "Weir",
"telephone": "+30 (210) 261.7441", "email": "{EMAIL.upper()}"}}</script></body></html>"""
SHARING = f"<html><body>made by {EMAIL}, write to <a href='mailto:hello@mill-two.gr'>us</a></body></html>"
TRACES = re.compile(rb"anna\.weir@cafe-weir|210\D{0,3}261\D{0,3}7\D{0,2}441|2102617441", re.IGNORECASE)

_extract = leads.by_name["extract"]


async def _extract_or_die(visited: VisitedSite, ctx: Any) -> Outcome:
    if visited.business.name == "Dead Weir":
        raise PermanentError(f"nobody can read what {EMAIL} wrote", reason="unreadable")
    return await _extract.handler(visited, ctx)


FLOW = replace(
    leads,
    stages=tuple(
        replace(one, handler=_extract_or_die) if one.name == "extract" else one for one in leads.by_name.values()
    ),
)


@pytest.fixture
async def place(
    valkey_url: str, store_url: str, namespace: str, tmp_path: Path, tenant: str
) -> AsyncIterator[ApiPlace]:
    async with api_place(
        valkey_url, store_url, namespace, tmp_path, more=(FLOW,), allow_hosts=("127.0.0.0/8",)
    ) as running:
        await running.become(tenant)
        yield running


async def test_no_byte_of_them_is_left_anywhere_and_the_next_crawl_brings_none(place: ApiPlace, tmp_path: Path) -> None:
    pages = {"/weir/": HOME, "/weir/contact": CONTACT}
    async with (
        serve(pages) as site, serve({"/": SHARING}) as other,
        place.worker(with_history=True, is_polite=False) as worker,
    ):  # fmt: skip
        listing = (
            "name,phone,website,address\n"
            f"Cafe Weir,210 261 7441,{site}weir/,Weir Street 1\nMill Two,+302102617555,{other},Weir Street 2\n"
            f"Dead Weir,+30 210 2617 441,{site}weir/contact,Weir Street 3\n"
        )
        ended = await _run(place, await _sent(place, listing))
        assert (ended["status"], ended["missing"]) == ("partial", 1)
        (weir,) = (await place.call("GET", "leads?q=weir")).body["items"]
        assert {one["value"] for one in weir["emails"]} == {EMAIL}
        (two,) = (await place.call("GET", "leads?q=two")).body["items"]
        await place.call("PATCH", f"leads/{two['id']}", {"note": f"knows {EMAIL} and 0030 210-261 7441"})
        before = await everything(place, tmp_path)
        assert {"contributions", "leads", "uploads of it", "dlq", "lifecycle", "lead_events", "pages"} <= before

        erased = await place.call("POST", "leads/erasures", {"email": EMAIL})
        assert weir["id"] in erased.body["erased"]
        await carried_out(place, worker)
        assert await everything(place, tmp_path) == set()

        again = await _run(place, await _sent(place, listing))
        assert (again["status"], (await _result(place, again))["suppressed"]) == ("succeeded", 2)
        shown = (await place.call("GET", f"leads/{two['id']}")).body
        assert [one["value"] for one in shown["emails"]] == ["hello@mill-two.gr"]
        # The list was sent anew by who asks; nothing else has them again.
        assert await everything(place, tmp_path) == {"uploads of it"}


async def test_a_number_alone_is_erased_too(place: ApiPlace, tmp_path: Path) -> None:
    async with serve({"/weir/": HOME}) as site, place.worker(is_polite=False):
        upload = await _sent(place, f"name,website\nWeir,{site}weir/\n")
        await _run(place, upload)
        (weir,) = (await place.call("GET", "leads")).body["items"]
        assert [one["value"] for one in weir["phones"]] == [PHONE]
        told = await place.call("POST", "leads/erasures", {"phone": PHONE})
        assert told.body["erased"] == [weir["id"]]
        again = await _run(place, upload)
        assert (await _result(place, again))["leads"] == []
        assert (await place.call("POST", "leads/erasures", {"phone": "123"})).fields == ["phone"]
    assert "pages" not in await everything(place, tmp_path)


async def _sent(place: ApiPlace, listing: str) -> str:
    form = FormData()
    form.add_field("file", listing.encode(), filename="list.csv", content_type="text/csv")
    sent = await place.call("POST", "uploads", data=form)
    upload_id: str = sent.body["items"][0]["upload_id"]
    return upload_id


async def _run(place: ApiPlace, upload: str) -> dict[str, Any]:
    spec = {"source": "csv", "upload": upload, "region": "GR"}
    return await place.ended((await place.call("POST", "jobs", {"flow": "leads", "spec": spec})).body["job_id"])


async def _result(place: ApiPlace, job: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = (await place.call("GET", f"jobs/{job['job_id']}/result")).body
    result: dict[str, Any] = kept.get("result", kept)
    return result


async def carried_out(place: ApiPlace, worker: Worker) -> None:
    """What the chore does every five minutes, until nothing is open; archive and history have read all before."""
    client = raw_ranges(connect(place.redis_url, single=True))
    lifecycle = worker.keys.partition(0).lifecycle

    async def history_has_read() -> bool:
        last = (await worker.client.xrevrange(lifecycle, count=1))[0][0]
        groups = {one["name"]: one for one in await worker.client.xinfo_groups(lifecycle)}
        return bool(groups[b"history"]["last-delivered-id"] == last and not groups[b"history"]["pending"])

    archiver = Archiver(client, place.services.blobs.chunks, worker.keys.namespace, "by hand", max_bytes=1 << 30)
    await archiver.catch_up(worker.keys.partition(0))
    await archiver.let_go(worker.keys.partition(0))
    await client.aclose()
    await until(history_has_read)
    for now in (datetime.now(UTC), datetime.now(UTC) + timedelta(milliseconds=2 * AGAIN_MS)):
        yard = Yard(
            Order(chore="erase"), now, worker.jobs, worker.settings, lambda: place.services.store,
            lambda: place.services.blobs,
        )  # fmt: skip
        report = await chore(yard)
    assert report.counts["open"] == 0, report.said


async def everything(place: ApiPlace, folder: Path) -> set[str]:
    """Where there are traces: keys of Redis, tables, files by kind."""
    found: set[str] = set()
    client = place.services.client
    async for key in client.scan_iter(match=f"{place.settings.namespace}:*"):
        kind = await client.type(key)
        read = {b"stream": "xrange", b"hash": "hgetall", b"set": "smembers", b"string": "get"}.get(kind)
        if kind in {b"list", b"zset"}:
            value = await (client.lrange if kind == b"list" else client.zrange)(key, 0, -1)
        else:
            assert read is not None, kind
            value = await getattr(client, read)(key)
        if TRACES.search(key) or TRACES.search(repr(value).encode()):
            found.add(key.decode().rpartition(":")[2])
    async with place.services.store.database.begin() as session:
        for table in Base.metadata.sorted_tables:
            for column in table.columns:
                values = await session.scalars(select(cast(column, Text)).where(column.is_not(None)))
                if any(TRACES.search(value.encode()) for value in values):
                    found.add(table.name)
    uploads = set()
    async with place.services.store.database.begin() as session:
        uploads |= set(await session.scalars(select(Base.metadata.tables["uploads"].c.sha256)))
    files = await asyncio.to_thread(lambda: {one: one.read_bytes() for one in folder.rglob("*") if one.is_file()})
    for file, body in files.items():
        packed = body.startswith(b"\x28\xb5\x2f\xfd")
        if TRACES.search(zstandard.ZstdDecompressor().decompressobj().decompress(body) if packed else body):
            found.add("archive" if packed else "uploads of it" if file.name in uploads else "pages")
    return found
