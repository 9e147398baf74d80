"""The `audit` flow without any server, as ``millrace run audit URL --inline`` runs it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from consumers.audit.flow import flow
from consumers.net.browser import chromium
from consumers.testing import InlineRun, run_inline, settings_for
from schemas.audit_result import AuditResult
from streams.errors import PermanentError
from tests.support.audit_site import Page, page, serve_site


async def test_a_site_is_audited_and_reported_on_without_servers() -> None:
    pages = {
        "/": page("Lamps of the harbour", '<a href="/ships">Ship lamps</a> <a href="/gone">Old lamps</a>'),
        "/ships": page("Ship lamps", "<p>Ship lamps burn long.</p>" * 30),
    }
    async with serve_site(pages) as site:
        run = await run_inline(flow, {"url": site.url, "pagespeed": False}, settings=settings_for(site.url))
    assert run.status == "succeeded"
    assert isinstance(run.result, AuditResult)
    assert (run.result.pages.crawled, run.result.pages.errors) == (3, 1)
    assert "link-broken-internal" in {one.rule for one in run.result.issues}
    assert run.result.parts["keywords"]["status"] == "measured"
    assert run.result.parts["rankings"]["status"] == "not_measured"
    found = [one async for one in run.store.audits.every_page(run.job_id, tenant=run.tenant)]
    assert sorted(one.url for one in found) == [site.url, f"{site.url}gone", f"{site.url}ships"]
    report = await run.store.audit_reports.get(run.job_id, tenant=run.tenant)
    assert report is not None
    assert report.pdf.startswith(b"%PDF-")
    issues = [one async for one in run.store.audits.every_issue(run.job_id, tenant=run.tenant)]
    assert len(issues) > 3
    assert {one.state for one in issues} == {"first"}


FAST = {"pagespeed": False, "geo": False, "report": False}


async def test_links_beyond_the_page_budget_are_asked() -> None:
    links = "".join(f'<a href="/{name}">{name} lamps</a>' for name in ("a", "b", "gone", "secret"))
    pages = {"/": page("Lamps", links), "/robots.txt": "User-agent: *\nDisallow: /secret\n"}
    pages |= {f"/{name}": page(name, links) for name in ("a", "b", "secret")}
    async with serve_site(pages) as site:
        spec = {"url": site.url, "max_pages": 1, **FAST}
        run = await run_inline(flow, spec, settings=settings_for(site.url))
        alone = await run_inline(flow, {**spec, "check_links": False}, settings=settings_for(site.url))
    assert isinstance(run.result, AuditResult)
    assert isinstance(alone.result, AuditResult)
    assert (run.result.pages.crawled, run.result.pages.dropped) == (1, 4)
    broken = next(one for one in run.result.issues if one.rule == "link-broken-internal")
    assert [(one.url, one.target) for one in broken.examples] == [(site.url, f"{site.url}gone")]
    assert "link-broken-internal" not in {one.rule for one in alone.result.issues}
    assert site.asked["/secret"] == 0


async def start_of(run: InlineRun) -> dict[str, Any]:
    """What was read of the start page, and the rules that fail on it."""
    pages = [one async for one in run.store.audits.every_page(run.job_id, tenant=run.tenant)]
    start = pages[0]
    signals = start.payload["page"]
    return {
        "title": start.title,
        "h1": [one["text"] for one in signals["headings"] if one["level"] == 1],
        "words": signals["prose"]["words"],
        "types": [node["@type"] for block in signals["markup"] for node in block["nodes"]],
        "failed": {one["rule"] for one in start.payload["findings"]},
    }


async def test_a_page_that_scripts_make_is_read_in_chromium() -> None:
    try:
        chromium.find(None)
    except PermanentError as missing:
        pytest.skip(str(missing))
    made = (
        f"<h1>Ship lamps</h1><p>{'Ship lamps burn long. ' * 40}</p><a href='/made'>made by a script</a>"
        '<script type="application/ld+json">{"@context":"https://schema.org","@type":"Organization"}</script>'
    )
    script = f"document.querySelector('main').innerHTML = {json.dumps(made)}; document.title = 'Lamps of the harbour';"
    pages: dict[str, Page] = {
        "/": page("Wait", '<p>Wait.</p><script src="/app.js"></script>'),
        "/made": page("Made", "<p>Only a script links here.</p>"),
        "/app.js": web.Response(text=script, content_type="text/javascript"),
    }
    async with serve_site(pages) as site:
        run = await run_inline(flow, {"url": site.url, **FAST}, settings=settings_for(site.url))
        never = await run_inline(flow, {"url": site.url, "render": "never", **FAST}, settings=settings_for(site.url))
    assert isinstance(run.result, AuditResult)
    assert isinstance(never.result, AuditResult)
    assert (run.result.pages.rendered, run.result.pages.html) == (1, 2)
    assert (never.result.pages.rendered, never.result.pages.html) == (0, 1)
    seen, unseen = await start_of(run), await start_of(never)
    assert (seen["title"], unseen["title"]) == ("Lamps of the harbour", "Wait")
    assert (seen["h1"], unseen["h1"]) == (["Ship lamps"], ["Wait"])
    assert (seen["words"], unseen["words"]) == (162, 2)
    assert (seen["types"], unseen["types"]) == ([["Organization"]], [])
    assert {"title-short", "dead-end-page"} <= unseen["failed"] - seen["failed"]
    assert "geo-js-only-content" in seen["failed"] - unseen["failed"]
