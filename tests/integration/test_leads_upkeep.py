"""What is done with a lead book beside filling it: speeds measured, duplicates merged, pages let go, figures taken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from consumers.leads.flow import flow as leads
from consumers.leads.identity import Seal
from consumers.leads.speed_flow import flow as speeds
from consumers.maintenance.built_in import LEADS, built_in
from consumers.maintenance.leads_flow import flow as upkeep
from consumers.store.leads import write_down
from consumers.store.models import Lead
from consumers.testing import serve
from schemas.leads import FoundLead, LeadChange, Origin, Reached
from schemas.settings import Settings
from tests.support.api_place import Answer, ApiPlace, api_place
from tests.support.audit_services import Service, lighthouse, serve_service

SEAL = Seal(b"secret")


def lead(name: str, *phones: str, website: str | None = None, reviews: int = 0, score_of: str = "csv") -> FoundLead:
    return FoundLead(
        key=f"key of {name}", name=name, website=website, address=f"{name} Street", reviews=reviews, rating=4.8,
        phones=tuple(Reached(value=one, source="listing") for one in phones),
        origins=(Origin.model_validate({"job_id": "0-found", "key": f"key of {name}", "source": score_of}),),
    )  # fmt: skip


@pytest.fixture
async def google() -> AsyncIterator[Service]:
    async with serve_service(lighthouse) as service:
        yield service


@pytest.fixture
async def place(
    valkey_url: str, store_url: str, namespace: str, tmp_path: Path, tenant: str, google: Service
) -> AsyncIterator[ApiPlace]:
    async with api_place(
        valkey_url, store_url, namespace, tmp_path, more=(leads, speeds, upkeep), pagespeed_key="key",
        pagespeed_url=f"{google.url}/runPagespeed", allow_hosts=(google.place, "127.0.0.0/8"),
    ) as running:  # fmt: skip
        await running.become(tenant)
        yield running


async def kept(place: ApiPlace, tenant: str, *found: FoundLead) -> list[str]:
    done = await place.services.store.leads.keep(found, job_id="0-found", tenant=tenant, seal=SEAL)
    return [one.lead_id for one in done.leads]


async def result(place: ApiPlace, accepted: Answer) -> dict[str, Any]:
    assert accepted.status == 202, accepted.body
    ended = await place.ended(accepted.body["job_id"])
    assert ended["status"] == "succeeded", ended
    body: dict[str, Any] = (await place.call("GET", f"jobs/{ended['job_id']}/result")).body
    told: dict[str, Any] = body.get("result", body)
    return told


async def test_speeds_stay_with_the_lead_and_count_for_its_score(place: ApiPlace, tenant: str, google: Service) -> None:
    slow, other, none = await kept(
        place, tenant, lead("Slow", website="https://slow.example/"), lead("Other", website="https://b.example/"),
        lead("None"),
    )  # fmt: skip
    async with place.worker():
        google.refuses = [(403, {"error": {"message": "quota"}})]
        refused = await result(place, await place.call("POST", f"/leads/{slow}/pagespeed"))
        assert (refused["measured"], refused["leads"][0]["status"]) == (0, "not_measured")
        told = await result(place, await place.call("POST", f"leads/{slow}/pagespeed"))
        assert told["leads"] == [
            {"v": 1, "lead_id": slow, "status": "measured", "reason": "", "mobile": 55, "desktop": 93}
        ]
        accepted = await place.call("POST", "leads/pagespeed/bulk", {"limit": 10})
        assert (await place.call("GET", f"jobs/{accepted.body['job_id']}")).body["priority"] == "normal"
        assert [one["lead_id"] for one in (await result(place, accepted))["leads"]] == [other]
        again = await place.call("POST", "/leads/pagespeed/bulk")
        assert (again.status, again.body["type"].rpartition("/")[2]) == (404, "not-found")
        named = await result(place, await place.call("POST", "/leads/pagespeed/bulk", {"lead_ids": [none]}))
        assert "no website" in named["leads"][0]["reason"]
    seen = (await place.call("GET", f"leads/{slow}")).body
    assert seen["pagespeed"]["mobile"]["scores"]["performance"] == 55
    kinds = [one["text"] for one in (await place.call("GET", f"leads/{slow}/timeline")).body["items"]]
    assert kinds[0] == "55 of 100 on phones"
    assert (await place.call("POST", "leads/ld-nobody/pagespeed")).status == 404


async def test_a_slow_website_speaks_for_a_lead(place: ApiPlace, tenant: str) -> None:
    (one,) = await kept(place, tenant, lead("Slow", website="https://slow.example/"))
    before = (await place.call("GET", f"leads/{one}")).body["score"]
    speed = {"status": "measured", "mobile": {"scores": {"performance": 20}}}
    await place.services.store.leads.put_speed(one, speed, tenant=tenant, actor="test")
    gone = {"status": "not_measured", "reason": "no_provider"}
    await place.services.store.leads.put_speed(one, gone, tenant=tenant, actor="test")
    after = (await place.call("GET", f"leads/{one}")).body
    assert after["score"] == before + 20
    assert {
        name: reason[name] for reason in after["reasons"] for name in ("code", "points") if reason["code"] == "slow"
    } == {"code": "slow", "points": 20}


async def test_leads_that_became_one_are_merged_with_what_people_did(place: ApiPlace, tenant: str) -> None:
    store = place.services.store
    first, second, apart = await kept(place, tenant, lead("Mill", "+3021"), lead("The Mill", "+3022"), lead("Weir"))
    change = LeadChange(status="called", follow_up_on=date(2030, 1, 2), note="nice")
    await store.leads.change(second, change, tenant=tenant, actor="ann")
    async with store.database.begin() as session:
        row = await session.get(Lead, second)
        assert row is not None
        await write_down(session, row, lead("The Mill", "+3022", "+3021"))
    async with place.worker():
        asked = {"flow": "leads_maintenance", "spec": {"chore": "dedupe", "dry_run": True}, "priority": "low"}
        assert (await result(place, await place.call("POST", "jobs", asked)))["counts"]["merged"] >= 1
        asked["spec"] = {"chore": "dedupe"}
        assert (await result(place, await place.call("POST", "jobs", asked)))["counts"]["merged"] >= 1
        left = {one["id"]: one for one in (await place.call("GET", "leads")).body["items"]}
        assert set(left) == {first, apart}
        assert (left[first]["status"], left[first]["follow_up_on"]) == ("called", "2030-01-02")
        assert {one["value"] for one in left[first]["phones"]} == {"+3021", "+3022"}
        told = (await place.call("GET", f"leads/{first}/timeline")).body["items"]
        assert {"note", "merged"} <= {one["kind"] for one in told}
        figures = await place.call("POST", "jobs", {**asked, "spec": {"chore": "statistics"}})
        assert (await result(place, figures))["facts"]["tenants"][tenant]["by_status"] == {"called": 1, "new": 1}


async def test_old_pages_of_websites_are_let_go(place: ApiPlace, tenant: str) -> None:
    async with serve({"/": "<p>write to hello@mill.gr</p>"}) as site, place.worker(is_polite=False):
        csv = f"name,website\nMill,{site}\n".encode()
        sent = await place.call("POST", "uploads?name=list.csv", data=csv, headers={"Content-Type": "text/csv"})
        spec = {"source": "csv", "upload": sent.body["items"][0]["upload_id"]}
        job = await place.ended((await place.call("POST", "jobs", {"flow": "leads", "spec": spec})).body["job_id"])
        (page,) = (await place.call("GET", f"jobs/{job['job_id']}/artifacts")).body["items"]
        assert (page["name"], page["url"]) == ("website-1.html", site)
        blobs, store = place.services.blobs, place.services.store
        assert await blobs.exists(page["sha256"], tenant=tenant)
        async with store.database.begin() as session:
            old = "UPDATE artifacts SET created_at = now() - interval '40 days' WHERE tenant = :tenant"
            await session.execute(text(old), {"tenant": tenant})
        asked = {"flow": "leads_maintenance", "spec": {"chore": "clean_up"}, "priority": "low"}
        told = await result(place, await place.call("POST", "jobs", asked))
        assert told["counts"]["pages"] >= 1
        assert not await blobs.exists(page["sha256"], tenant=tenant)
        assert (await place.call("GET", f"jobs/{job['job_id']}/artifacts")).body["items"] == []


def test_upkeep_is_scheduled_with_low_priority(tmp_path: Path) -> None:
    plans = {name: plan.job for name, plan in built_in(Settings(home=tmp_path)) if plan.job.flow == LEADS}
    assert {job.spec["chore"] for job in plans.values()} == {"clean_up", "dedupe", "statistics"}
    assert {job.priority for job in plans.values()} == {"low"}
