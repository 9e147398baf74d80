"""The `leads` flow: a listing of businesses becomes leads."""

from __future__ import annotations

from typing import Final

from consumers.classify.leads import classify
from consumers.compile.leads import compile_leads
from consumers.crawl.leads import BUSINESS_PAGES, BUSINESSES, MAX_LISTING_PAGES, PAGES, crawl
from consumers.download.leads import download
from consumers.extract.leads import extract
from consumers.flow import Flow
from consumers.notify.leads import notify_leads
from schemas.leads import LeadsSpec, Listing

LIMIT_S: Final = 12 * 3_600.0
"""Running time of a job, waits not counted."""


def _first(_: LeadsSpec) -> Listing:
    return Listing()


def _budgets(spec: LeadsSpec) -> dict[str, int]:
    return {BUSINESSES: spec.limit, BUSINESS_PAGES: spec.limit, PAGES: MAX_LISTING_PAGES}


flow = Flow(
    name="leads",
    spec=LeadsSpec,
    stages=(crawl, classify, download, extract, compile_leads, notify_leads),
    first=_first,
    budgets=_budgets,
    limit_s=LIMIT_S,
    about="businesses of a listing as qualified leads",
)
