"""The `filings` flow: a company's statements from the reports on its investor-relations site."""

from __future__ import annotations

from typing import Final

from consumers.classify.filings import UNSURE, classify
from consumers.compile.filings import compile_statements
from consumers.compile.filings_shadow import hooks
from consumers.crawl.filings import PAGES, RENDERS, crawl
from consumers.download.filings import download
from consumers.extract.filings import extract
from consumers.filings.handled import summed_up
from consumers.flow import Flow
from consumers.net import urls
from consumers.notify import notify
from schemas.filings import CrawlPage, FilingsSpec

LIMIT_S: Final = 7_200.0
"""Running time of a job, waits not counted."""

MOST_UNSURE: Final = 40
"""Documents that are downloaded though nothing says what they are."""

MOST_RENDERED: Final = 10
"""Pages that are read in a browser, as their own text links no report."""


def _first(spec: FilingsSpec) -> CrawlPage:
    return CrawlPage(url=urls.normalise(spec.url) or spec.url, depth=0)


def _budgets(spec: FilingsSpec) -> dict[str, int]:
    # The page that the job starts from is one of them.
    return {PAGES: spec.max_pages - 1, UNSURE: MOST_UNSURE, RENDERS: MOST_RENDERED}


flow = Flow(
    name="filings",
    spec=FilingsSpec,
    stages=(crawl, classify, download, extract, compile_statements, notify),
    first=_first,
    budgets=_budgets,
    limit_s=LIMIT_S,
    summary=summed_up,
    shadow=hooks,
    about="the financial statements in a company's annual reports",
)
