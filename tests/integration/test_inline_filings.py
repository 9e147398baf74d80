"""The `filings` flow without any server, as ``millrace run filings URL --inline`` runs it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from api.demo.build import ensure_site
from api.demo.company import NAME
from api.demo.site import DemoSite
from api.demo.web_pages import annual_report_path
from consumers.filings.flow import flow
from consumers.testing import run_inline, settings_for
from schemas.filings_result import FilingsResult


async def test_filings_are_compiled_without_servers_and_a_refused_report_makes_it_partial(tmp_path: Path) -> None:
    async with DemoSite.serve(ensure_site(tmp_path), refused=[annual_report_path(2022)]) as site:
        run = await run_inline(
            flow,
            {"url": site.url, "years": [2022, 2023]},
            settings=settings_for(site.url),
            in_subprocesses=True,
            sleep=asyncio.sleep,
        )
    assert run.status == "partial"
    assert isinstance(run.result, FilingsResult)
    assert run.result.company.name == NAME
    assert {one.kind for one in run.result.statements} == {"income_statement", "balance_sheet", "cash_flow"}
    assert [one.reason for one in run.failures] == ["http_403"]
    files = {one.name: one for one in await run.store.artifacts.of(run.job_id, tenant=run.tenant)}
    sheet = await run.blobs.read(files["statements.csv"].sha256, tenant=run.tenant)
    assert sheet.decode("utf-8-sig").startswith("statement,")
