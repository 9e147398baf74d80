"""The `audit` flow without any server, as ``millrace run audit URL --inline`` runs it."""

from __future__ import annotations

from consumers.audit.flow import flow
from consumers.testing import run_inline, settings_for
from schemas.audit import AuditResult
from tests.support.audit_site import page, serve_site


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
