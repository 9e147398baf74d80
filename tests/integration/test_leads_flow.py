"""Businesses of a listing become leads: through a real worker, Valkey, PostgreSQL and Chromium."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from consumers.flow import Flows
from consumers.leads import listing
from consumers.leads.flow import flow
from consumers.net.browser import chromium
from consumers.store import Store
from consumers.store.leads import LeadFilter
from consumers.store.models import Lead
from consumers.submit import submit
from consumers.testing import serve
from schemas.jobs import JobRequest
from schemas.leads import FoundLead, LeadsResult
from streams.connect import connect
from streams.errors import PermanentError
from streams.keys import Keys
from streams.log import Log
from streams.states import ENDED
from tests.support.api_place import until
from tests.support.flow_place import TENANT, Place, place
from tests.support.listing_site import RECIPE, ListingSite, invented, shared_listing

CSV = """name;phone;website;address;rating;reviews
=Sleepy Coffee;+30 21 0261 9999;https://www.vrisko.gr/details/1;Eakou 74, Ilion;4,8;48
Sleepy Coffee Ilion;+302102619999;;Eakou Street 74;4.9;50
Low Coffee;+30 21 2121 2540;;Antheon 24, Peristeri;2.0;130
Blocked Coffee;+30 21 0501 2345;;Elsewhere 1;5;10
"""


def has_chromium() -> bool:
    try:
        chromium.find(None)
    except PermanentError:
        return False
    return True


@pytest.fixture
async def here(valkey_url: str, store_url: str, namespace: str, tmp_path: Path) -> AsyncIterator[Place]:
    async with place(
        valkey_url, store_url, tmp_path, flow=flow, namespace=namespace, allow_hosts=("127.0.0.0/8",)
    ) as running:
        yield running


async def result(here: Place, job_id: str) -> LeadsResult:
    kept = await here.store.results.get(job_id, tenant=TENANT)
    assert kept is not None
    return LeadsResult.model_validate(kept.payload)


async def found_by(here: Place, job_id: str) -> list[Lead]:
    return (await here.store.leads.page(LeadFilter(job_id=job_id), tenant=TENANT, limit=200)).items


@pytest.mark.skipif(not has_chromium(), reason="no Chromium")
@pytest.mark.parametrize("listed", [invented(20), shared_listing()], ids=["invented", "shared"])
async def test_every_business_of_a_listing_is_found_once(here: Place, listed: list[dict[str, Any]] | None) -> None:
    if listed is None:
        pytest.skip("the shared listing is not here")
    is_real = not listed[0]["place_id"].startswith("place-")
    businesses = [{**one, "website": None} if is_real else one for one in listed]

    async def crash() -> None:
        (await here.worker.resources.browser()).kill()

    async with ListingSite(businesses) as site:
        if not is_real:  # Chromium is killed in the middle of the listing: nobody is lost, nobody comes twice
            site.at_second_batch = crash
        record = await here.run(source="browser", url=site.url, recipe=RECIPE)
    assert await here.errors(record.job_id) == []
    if not is_real:
        assert site.asked.count("/listing") == 2
        assert (await here.worker.resources.browser()).starts == 2
    done = await result(here, record.job_id)
    leads = await found_by(here, record.job_id)
    assert done.businesses == len(businesses)
    if is_real:
        assert record.status == "succeeded"
        return
    assert sorted(lead.name for lead in leads) == sorted(one["title"] for one in businesses)
    first = FoundLead.model_validate(next(lead for lead in leads if lead.name == "Mill 1").payload)
    assert [one.value for one in first.phones] == ["+302102615001"]
    assert [one.value for one in first.emails] == ["hello@mill1.gr"]
    assert (first.address, first.rating, first.reviews) == ("1 Weir Street, Lower Town", 3.9, 3)
    assert (first.builder, set(first.problems)) == ("WordPress", {"no_https", "not_mobile", "old"})


@pytest.mark.skipif(not has_chromium(), reason="no Chromium")
async def test_cards_that_never_fill_or_open_are_told_and_a_page_that_hangs_is_ended(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "ANSWER_S", 1.5)
    businesses = invented(12)
    businesses[4] |= {"never": True}
    businesses[5] |= {"blank": True}
    businesses[10] |= {"hangs": True}
    async with ListingSite(businesses) as site:
        recipe = {**RECIPE, "settle_s": 1.0, "detail_s": 0.5}
        record = await here.run(source="browser", url=site.url, recipe=recipe, website="none")
        assert site.asked.count("/listing") == 2
        gone = await here.run(source="browser", url=f"{site.url}/gone", recipe=RECIPE)
    assert gone.status == "failed"
    (picture,) = await here.store.artifacts.of(gone.job_id, tenant=TENANT)
    assert (picture.name, picture.content_type) == ("failed-listing-1-1.png", "image/png")
    assert (await here.artifact(gone.job_id, picture.name)).startswith(b"\x89PNG")
    assert await here.errors(record.job_id) == []
    assert (record.status, record.number("missing")) == ("partial", 2)
    done = await result(here, record.job_id)
    assert (done.businesses, len(done.leads)) == (11, 4)


@pytest.mark.skipif(not has_chromium(), reason="no Chromium")
async def test_a_worker_killed_in_the_middle_of_a_listing_loses_and_repeats_nobody(
    valkey_url: str, store_url: str, namespace: str, tmp_path: Path
) -> None:
    async def started() -> asyncio.subprocess.Process:
        program = [sys.executable, "-m", "tests.support.leads_worker", valkey_url, store_url, namespace, str(tmp_path)]
        return await asyncio.create_subprocess_exec(*program, cwd=Path(__file__).parents[2])

    client = connect(valkey_url, single=True)
    log = Log(client, Keys(namespace), Flows([flow]), record_ttl_s=3_600)
    workers = [await started()]

    async def kill() -> None:
        workers[0].kill()
        await workers[0].wait()
        workers.append(await started())

    businesses = [
        {**one, "title": f"Killed {one['title']}", "place_id": f"k-{n}", "phone": f"+30 21 0263 {5000 + n}"}
        for n, one in enumerate(invented(40))
    ]
    async with ListingSite(businesses) as site:
        site.at_second_batch = kill
        spec = {"source": "browser", "url": site.url, "recipe": RECIPE}
        job_id = (await submit(log, Flows([flow]), JobRequest(flow="leads", spec=spec))).job_id

        async def is_over() -> bool:
            record = await log.job(job_id)
            return record is not None and record.status in ENDED and not record.number("tail")

        try:
            await until(is_over, 120)
        finally:
            for worker in workers:
                if worker.returncode is None:
                    worker.terminate()
                await worker.wait()
        record = await log.job(job_id)
        await client.aclose()
        assert site.asked.count("/listing") == 2
    assert record is not None
    assert (len(workers), record.status, record.number("dead")) == (2, "succeeded", 0)
    async with Store.connect(store_url) as store:
        kept = await store.results.get(job_id, tenant=TENANT)
        assert kept is not None
        told = LeadsResult.model_validate(kept.payload)
        assert (told.businesses, told.duplicates, told.new, told.qualified) == (40, 0, 40, 40)
        leads = (await store.leads.page(LeadFilter(job_id=job_id), tenant=TENANT, limit=200)).items
        assert sorted(lead.name for lead in leads) == sorted(one["title"] for one in businesses)


async def test_from_a_file_to_the_book_and_out_of_it_for_good(here: Place) -> None:
    await here.store.lead_lists.block("phone", "+302105012345", "a customer", tenant=TENANT)
    async with serve({"/list.csv": CSV}) as url:
        asked: dict[str, Any] = {"source": "csv", "url": f"{url}list.csv", "min_rating": 4.0}
        record = await here.run(**asked)
        done = await result(here, record.job_id)
        assert (done.businesses, done.duplicates, done.new) == (4, 1, 1)
        assert done.left_out == {"rating": 1, "blacklisted": 1}
        (lead,) = await found_by(here, record.job_id)
        assert (lead.name, lead.rating, lead.reviews, lead.status) == ("Sleepy Coffee Ilion", 4.9, 50, "new")
        assert {one["code"] for one in lead.reasons} == {"no_website", "phone", "liked"}
        again = await result(here, (await here.run(**asked)).job_id)
        assert (again.new, [one.lead_id for one in again.leads]) == (0, [lead.id])
        seal = await here.store.lead_suppressions.seal(here.worker.settings, here.worker.resources.blobs)
        gone = await here.store.lead_erasure.leads([lead.id], tenant=TENANT, seal=seal)
        assert (gone.leads, gone.digests) == ((lead.id,), frozenset())
        assert await here.store.leads.get(lead.id, tenant=TENANT) is None
        here_again = await here.run(**asked)
        erased = await result(here, here_again.job_id)
        assert (erased.suppressed, erased.leads, erased.businesses) == (2, (), 4)
        collected = [one async for one in here.store.contributions.of(here_again.job_id, tenant=TENANT)]
    assert all("Sleepy" not in str(one) and "102619999" not in str(one) for one in collected)
