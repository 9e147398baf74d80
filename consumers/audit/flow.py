"""The `audit` flow: a site crawled page by page, judged, scored, compared and reported."""

from __future__ import annotations

from typing import Final

from consumers.audit.frontier import trap_budgets
from consumers.classify.audit import classify
from consumers.compile.audit import compile_audit
from consumers.crawl.audit import LINKS, PAGES, crawl
from consumers.download.audit import download
from consumers.extract.audit import extract
from consumers.flow import Flow
from consumers.net import urls
from consumers.notify import notify
from schemas.audit import AuditSpec, Target

LIMIT_S: Final = 4_000.0
"""Running time of a job, waits not counted."""

LINKS_A_PAGE: Final = 20
MAX_LINKS: Final = 20_000


def _first(spec: AuditSpec) -> Target:
    url = urls.normalise(spec.url) or spec.url
    return Target(url=url, start=url, depth=0, via="start")


def _budgets(spec: AuditSpec) -> dict[str, int]:
    # The page that the job starts from is one of them.
    links = min(MAX_LINKS, LINKS_A_PAGE * spec.max_pages)
    return {PAGES: spec.max_pages - 1, LINKS: links, **trap_budgets(spec.max_pages)}


flow = Flow(
    name="audit",
    spec=AuditSpec,
    stages=(crawl, classify, download, extract, compile_audit, notify),
    first=_first,
    budgets=_budgets,
    limit_s=LIMIT_S,
    about="what is wrong with a website, how bad it is and what to do first",
)
