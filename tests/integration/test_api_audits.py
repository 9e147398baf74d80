"""Audits over HTTP: submitted, read in all their parts, refreshed, reported, shared; and what tenants do not see."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from openpyxl import load_workbook

from consumers.audit.articles_flow import flow as articles
from consumers.audit.flow import flow as audit
from consumers.audit.parts_flow import flow as parts
from consumers.schedules import Ticker
from streams.keys import Keys
from streams.log import Log
from tests.support.api_place import ApiPlace, api_place, until
from tests.support.audit_services import Service, lighthouse, model, searxng, serve_service
from tests.support.audit_site import AuditSite, page, serve_site
from tests.support.flow_place import without_limits
from tests.support.postbox import open_postbox

TEXT = "Roasted coffee beans from Brazil and Ethiopia. Our coffee beans are roasted every Tuesday. " * 20
ANSWER = "1. Rivals Ltd\n2. Bean House, see https://beanhouse.example\nIn 2019 it sold 7431 bags."
EVIL = '=cmd|"/c calc"!A1 <script>alert(1)</script>'


class Everything:
    """An API with a worker, a site, and every service that an audit may ask."""

    def __init__(self, api: ApiPlace, site: AuditSite, services: dict[str, Service]) -> None:
        self.api = api
        self.site = site
        self.services = services

    async def done(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Ask for a job and wait for its end."""
        answer = await self.api.call(method, path, body)
        assert answer.status == 202, answer.body
        job = await self.api.ended(answer.body["job_id"])
        assert job["status"] in {"succeeded", "partial"}, job
        return job

    async def get(self, path: str) -> Any:
        answer = await self.api.call("GET", path)
        assert answer.status == 200, answer.body
        return answer.body


@pytest.fixture
async def everything(valkey_url: str, store_url: str, namespace: str, tmp_path: Path) -> AsyncIterator[Everything]:
    pages = {
        "/": page("Bean House | Coffee", f'<p>{TEXT}</p><a href="/beans">beans</a><a href="/gone">x</a>'
                  '<script type="application/ld+json">{"@context":"https://schema.org","@type":"Organization",'
                  '"name":"Bean House"}</script>'),
        "/beans": page(EVIL.replace("<", "&lt;"), f'<p>{TEXT}</p><img src="/no.png"><a href="/">home</a>'),
    }  # fmt: skip
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        site = await enter(serve_site(pages))
        services = {
            "speed": await enter(serve_service(lighthouse)),
            "search": await enter(serve_service(searxng(site.url))),
            "model": await enter(serve_service(model(ANSWER))),
        }
        api = await enter(
            api_place(
                valkey_url, store_url, namespace, tmp_path, more=[without_limits(audit), parts, articles],
                allow_hosts=(site.place,), pagespeed_key="AIza-secret", pagespeed_url=services["speed"].url,
                search_provider="searxng", search_url=services["search"].url,
                llm_base_url=services["model"].url, llm_model="small",
            )
        )  # fmt: skip
        await api.become(namespace)
        await enter(api.worker(is_polite=False))
        yield Everything(api, site, services)


async def test_an_audit_from_submission_to_a_shared_report(everything: Everything, namespace: str) -> None:
    api, site, get = everything.api, everything.site, everything.get
    asked = {"url": site.url, "login_with": {"username": "ann", "password": "pass-word"}, "category": "coffee beans"}
    job = await everything.done("POST", "audits", asked)
    here = f"audits/{job['job_id']}"

    shown = await get(here)
    assert shown["status"] == "succeeded"
    assert shown["result"]["pages"]["html"] == 2
    assert 0 < shown["score"] < 100
    assert shown["progress"]["percent"] == 100
    assert [one["audit_id"] for one in (await get("audits"))["items"]] == [job["job_id"]]

    # The login opened the site, and nothing that the API or the log keeps of the job has it.
    assert site.headers["/beans"][0]["Authorization"].startswith("Basic ")
    trace = str([await get(f"jobs/{job['job_id']}{part}") for part in ("", "/trace", "/logs", "/result")])
    websites = (await get("websites"))["items"]
    record = await api.services.client.hgetall(api.services.keys.of_job(job["job_id"]).job(job["job_id"]))
    assert "pass-word" not in trace + str(websites) + str(record)
    assert "YW5uOnBhc3Mtd29yZA" not in trace + str(websites) + str(record)
    assert websites[0]["has_login"]

    pages = (await get(f"{here}/pages"))["items"]
    assert [(one["url"], one["status"]) for one in pages] == [
        (site.url, 200), (f"{site.url}beans", 200), (f"{site.url}gone", 404),
    ]  # fmt: skip
    whole = (await get(f"{here}/pages?url={site.url}beans"))["items"][0]
    assert whole["links"][0]["url"] == site.url
    assert (await get(f"{here}/pages?limit=1"))["next"]

    issues = (await get(f"{here}/issues?rule=link-broken-internal"))["items"]
    assert [(one["url"], one["severity"]) for one in issues] == [(site.url, "high")]
    assert (await get(f"{here}/fix_plan"))["items"][0]["change"]

    speed = await get(f"{here}/pagespeed")
    assert (speed["mobile"]["scores"]["performance"], speed["desktop"]["scores"]["performance"]) == (55, 93)
    assert speed["mobile"]["field"] == {"lcp_ms": 2400.0, "cls": 0.12}
    assert everything.services["speed"].asked[0][1]["X-Goog-Api-Key"] == "AIza-secret"
    keywords = await get(f"{here}/keywords")
    assert (keywords["brand"], keywords["category"]) == ("Bean House", "coffee beans")
    assert "coffee beans" in [one["term"] for one in keywords["terms"]]
    ranked = await get(f"{here}/rankings")
    assert {one["position"] for one in ranked["keywords"]} == {12}
    seen = await get(f"{here}/visibility")
    assert (seen["answers"], seen["mentions"], seen["citations"]) == (15, 15, 0)
    assert seen["questions"][0]["first_position"] == 2
    assert seen["interval"][0] > 0.7
    assert len(seen["raw"]) == 15
    assert not any("Bean House" in one["messages"][-1]["content"] for one, _ in everything.services["model"].asked)
    assert (await get(f"{here}/backlinks"))["status"] == "not_measured"

    await _files(everything, here)
    await _reports(everything, here, namespace)
    await _another_tenant(everything, here, namespace)


async def _files(everything: Everything, here: str) -> None:
    answer = await everything.api.call("GET", f"{here}/pages?format=csv")
    rows = list(csv.DictReader(io.StringIO(answer.body.removeprefix("\ufeff"))))
    assert rows[1]["title"] == "'" + EVIL
    assert "attachment" in answer.headers["content-disposition"]
    headers = {"Authorization": f"Bearer {everything.api.key}"}
    async with everything.api.session.get(
        f"{everything.api.url}/api/v1/{here}/issues?format=xlsx", headers=headers
    ) as got:
        sheet = load_workbook(io.BytesIO(await got.read())).active
    assert sheet is not None
    assert sheet.max_row > 5
    assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)


async def _reports(everything: Everything, here: str, tenant: str) -> None:
    api, get = everything.api, everything.get
    first = (await get(f"{here}/reports"))["items"]
    assert [(one["revision"], one["made_by"]) for one in first] == [(1, "millrace")]
    assert (await get(f"{here}/report.md")).startswith("# Website audit")

    await everything.done("POST", f"{here}/pagespeed")
    speed = await get(f"{here}/pagespeed")
    assert (speed["version"], len(speed["history"])) == (2, 2)

    put = await api.call(
        "PUT", f"{here}/report.md", {"markdown": "# Ours\n\n## Hello\n\n<script>alert(1)</script> *you*"}
    )
    assert put.body["made_by"] == "caller"
    html = await api.call("GET", f"{here}/report.html")
    assert "<script" not in html.body
    assert "<em>you</em>" in html.body
    assert html.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert "attachment" in html.headers["content-disposition"]

    link = (await api.call("POST", f"{here}/share", {"expires_in_s": 60})).body
    async with api.session.get(api.url + link["url"]) as got:
        assert got.status == 200
        assert "sandbox" in got.headers["Content-Security-Policy"]
    async with api.session.get(api.url + link["pdf"]) as got:
        assert (await got.read()).startswith(b"%PDF")

    reports, audit_id = api.services.store.audit_reports, here.removeprefix("audits/")
    past = datetime.now(UTC) - timedelta(seconds=1)
    over = await reports.share(audit_id, tenant=tenant, expires_at=past)
    for path in (f"shared/{over}", f"shared/{over}/report.pdf"):
        assert (await api.call("GET", path)).status == 404

    written = await everything.done("POST", f"{here}/articles", {"count": 2, "kind": "outline"})
    result = (await get(f"jobs/{written['job_id']}/result"))["result"]
    assert len(result["articles"]) == 2
    assert result["articles"][0]["json_ld"]["@type"] == "Article"
    assert any("7431" in one for one in result["articles"][0]["unsupported"])

    everything.services["model"].refuses = [(401, {"error": {"message": "no such key"}})]
    await everything.done("POST", f"{here}/geo", {"parts": ["visibility"]})
    refused = await get(f"{here}/visibility")
    assert refused["status"] == "not_measured"
    assert "llm_http_401" in refused["reason"]
    result = (await get(here))["result"]
    assert "geo-brand-not-mentioned" in {one["rule"] for one in result["not_measured"]}
    assert result["outcomes"]["geo-brand-not-mentioned"] == {"not_measured": 1}


async def test_what_is_measured_later_is_judged_as_if_it_had_been_measured_at_once(everything: Everything) -> None:
    get, speed = everything.get, everything.services["speed"]
    asked = {"url": everything.site.url, "geo": False, "external_intel": False, "report": False}

    async def of(here: str) -> tuple[Any, ...]:
        shown = (await get(here))["result"]
        issues = {
            (one["rule"], one["url"], one["evidence"]) for one in (await get(f"{here}/issues?limit=200"))["items"]
        }
        start = (await get(f"{here}/pages"))["items"][0]
        told = [(one["rule"], one["count"], one["pages"]) for one in shown["issues"]]
        plan = [(one["rule"], one["effect"], one["change"]) for one in shown["fix_plan"]]
        not_measured = sorted(one["rule"] for one in shown["not_measured"])
        sums = (shown["issue_count"], shown["rules"], shown["outcomes"], shown["scores"], start["issues"])
        return (issues, told, plan, not_measured, *sums)

    at_once = f"audits/{(await everything.done('POST', 'audits', asked))['job_id']}"
    here = f"audits/{(await everything.done('POST', 'audits', asked | {'pagespeed': False}))['job_id']}"
    before = await of(here)
    assert "perf-lcp" in before[3]
    assert "perf-lcp" not in {one[0] for one in before[0]}

    await everything.done("POST", f"{here}/pagespeed")
    measured = await of(here)
    assert measured == await of(at_once)
    assert {one[1:] for one in measured[0] if one[0] == "perf-lcp"} == {
        (everything.site.url, f"{run}: 4,100 ms, more than 2,500 ms (poor)") for run in ("mobile", "desktop")
    }
    shown = await get(here)
    assert shown["score"] == shown["result"]["scores"]["overall"]
    assert shown["result"]["comparison"]["new"] == 0
    assert "Largest Contentful Paint" in await get(f"{here}/report.md")

    speed.refuses = [(403, {"error": {"message": "The daily rate limit is used up"}})]
    await everything.done("POST", f"{here}/pagespeed")
    assert await of(here) == before


async def test_a_scheduled_audit_ends_with_a_mail_that_names_its_score(
    valkey_url: str, store_url: str, namespace: str, tmp_path: Path
) -> None:
    pages = {"/": page("Beans", f"<p>{TEXT}</p><a href='/gone'>beans</a>")}
    async with serve_site(pages) as site, open_postbox() as postbox:
        place = api_place(
            valkey_url, store_url, namespace, tmp_path, more=[without_limits(audit)], allow_hosts=(site.place,),
            **postbox.settings,
        )  # fmt: skip
        spec = {"url": site.url, "pagespeed": False, "geo": False, "report": False}
        notify = {"email": ["ann@example.com"]}
        async with place as api, AsyncExitStack() as stack:
            await api.become(namespace)
            await stack.enter_async_context(api.worker(is_polite=False))

            async def told(job_id: str, mails: int) -> dict[str, Any]:
                await api.ended(job_id)
                shown: dict[str, Any] = (await api.call("GET", f"audits/{job_id}")).body
                await until(has(mails))
                return shown

            def has(mails: int) -> Callable[[], Awaitable[bool]]:
                async def is_so() -> bool:
                    return len(postbox.mails) == mails

                return is_so

            first = (await api.call("POST", "audits", {**spec, "notify": notify})).body["job_id"]
            shown = await told(first, 1)
            assert f"audit job {first} is done" in postbox.mails[0]["Subject"]
            assert f"{site.url}: score {shown['score']:g} of 100" in postbox.text()
            for kind in ("plain", "html"):
                assert f"/api/v1/audits/{first}" in postbox.text(kind=kind)

            job = {"flow": "audit", "spec": spec, "notify": notify}
            made = await api.call("POST", "schedules", {"name": "nightly", "every_s": 3_600, "job": job})
            assert made.status == 201, made.body
            log = Log(api.services.client, Keys(namespace), api.services.flows, record_ttl_s=600)
            ticker = Ticker(log, api.services.flows)
            assert await ticker.run_due(datetime.now(UTC) + timedelta(seconds=3_601)) == 1
            ticked = (await api.call("GET", "schedules/nightly")).body["last_job_id"]
            again = await told(ticked, 2)
            assert again["result"]["comparison"]["previous"] == first
            assert f"score {again['score']:g} of 100" in postbox.text()
            assert "since the last audit: 0 new, 0 fixed" in postbox.text()


async def _another_tenant(everything: Everything, here: str, namespace: str) -> None:
    website = (await everything.get("websites"))["items"][0]["website_id"]
    await everything.api.become(f"{namespace}-other")
    for path in (here, f"{here}/pages", f"{here}/report.pdf", f"{here}/keywords", f"websites/{website}"):
        assert (await everything.api.call("GET", path)).status == 404
    assert (await everything.get("audits"))["items"] == []
    assert (await everything.api.call("POST", f"{here}/geo", {})).status == 404
    assert (await everything.api.call("DELETE", f"websites/{website}")).status == 404


async def test_an_audit_is_cancelled_while_it_reads(everything: Everything) -> None:
    reached, never = asyncio.Event(), asyncio.Event()

    async def hang(_: web.Request) -> str:
        reached.set()
        await never.wait()
        return "too late"

    everything.site.pages["/beans"] = hang
    asked = {"url": everything.site.url, "pagespeed": False, "geo": False, "report": False}
    job = (await everything.api.call("POST", "audits", asked)).body["job_id"]
    await asyncio.wait_for(reached.wait(), 30)
    assert (await everything.api.call("POST", f"audits/{job}/cancel")).status == 202
    ended = await everything.api.ended(job)
    never.set()
    assert ended["status"] == "cancelled"
    assert (await everything.get(f"audits/{job}"))["result"] is None
    assert (await everything.api.call("GET", f"audits/{job}/report.pdf")).status in {404, 409}


async def test_a_website_its_options_and_what_is_not_to_be_fixed(everything: Everything) -> None:
    api, site, get = everything.api, everything.site, everything.get
    made = await api.call("POST", "websites", {"url": site.url, "name": "Beans", "options": {"max_pages": 2}})
    assert made.status == 201
    here = f"websites/{made.body['website_id']}"
    assert (await api.call("POST", "websites", {"url": "http://10.0.0.1/"})).status == 422
    assert (await api.call("PUT", here, {"url": "https://elsewhere.example/"})).status == 422
    changed = await api.call("PUT", here, {"url": site.url, "name": "Bean House", "options": {"brand": "Beans"}})
    assert changed.body["options"] == {"brand": "Beans"}

    wont = {"rule": "link-broken-internal", "reason": "known"}
    assert (await api.call("PUT", f"{here}/wont_fix", wont)).status == 200
    assert (await api.call("PUT", f"{here}/wont_fix", {"rule": "no-such"})).fields == ["rule"]
    first = await everything.done("POST", f"{here}/crawl", {"fast": True})
    ignored = (await get(f"audits/{first['job_id']}/issues?rule=link-broken-internal"))["items"]
    assert [one["wont_fix"] for one in ignored] == [True]

    site.pages["/gone"] = page("Back again", f"<p>{TEXT}</p>")
    second = await everything.done("POST", f"{here}/crawl", {"fast": True})
    compared = (await get(f"audits/{second['job_id']}"))["result"]["comparison"]
    assert compared["previous"] == first["job_id"]
    assert compared["fixed"] > 0
    assert compared["persisting"] > 0
    fixed = (await get(f"audits/{second['job_id']}/issues?state=fixed"))["items"]
    assert "http-4xx" in {one["rule"] for one in fixed}
    assert [one["audit_id"] for one in (await get(f"{here}/history"))["items"]] == [second["job_id"], first["job_id"]]

    assert (await api.call("DELETE", f"{here}/wont_fix?rule=link-broken-internal")).status == 204
    assert (await get(f"{here}/wont_fix"))["items"] == []
    assert (await api.call("DELETE", here)).status == 204
    assert (await api.call("GET", f"audits/{first['job_id']}/pages")).status == 404
