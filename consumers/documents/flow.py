"""The `documents` flow: files and pages become passages that can be searched."""

from __future__ import annotations

from typing import Final

from consumers.classify.documents import classify
from consumers.compile.documents import compile_documents
from consumers.crawl.documents import PAGES, crawl
from consumers.download.documents import download
from consumers.extract.documents import extract
from consumers.flow import Flow
from consumers.notify import notify
from schemas.documents import DocumentsSpec, Sources

LIMIT_S: Final = 4 * 3_600.0
"""Running time of a job, waits not counted."""


def _first(_: DocumentsSpec) -> Sources:
    return Sources()


def _budgets(spec: DocumentsSpec) -> dict[str, int]:
    return {PAGES: spec.max_pages}


flow = Flow(
    name="documents",
    spec=DocumentsSpec,
    stages=(crawl, classify, download, extract, compile_documents, notify),
    first=_first,
    budgets=_budgets,
    limit_s=LIMIT_S,
    about="files, addresses or a site as a collection that can be searched",
)
