"""The reports of the demo's invented company, read, compiled and compared with what was typeset."""

import hashlib
from pathlib import Path
from urllib.parse import urljoin

from api.demo.build import ensure_site
from api.demo.expected import true_values
from consumers.filings.classify import classify
from consumers.filings.compile import compile_filings
from consumers.filings.links import find_links
from consumers.filings.match_rows import normalised
from consumers.filings.report import read_report
from schemas.filings import DownloadedDocument, ExtractedDocument, FoundDocument
from schemas.filings_result import FilingsResult

SITE = "http://127.0.0.1:9/"


def found_on(folder: Path) -> list[FoundDocument]:
    """Every document that the site's pages lead to."""
    queue, seen = [SITE], {SITE}
    documents: dict[str, FoundDocument] = {}
    for url in queue:
        page = folder / url.removeprefix(SITE)
        page = page / "index.html" if page.is_dir() else page
        if not page.is_file():
            continue
        links = find_links(page.read_bytes(), url, SITE)
        documents |= {document.url: document for document in links.documents}
        fresh = [link.url for link in links.pages if link.url not in seen]
        seen.update(fresh)
        queue.extend(fresh)
    return list(documents.values())


def extracted(folder: Path, document: FoundDocument) -> ExtractedDocument:
    data = (folder / document.url.removeprefix(SITE)).read_bytes()
    provisional = classify(document.url, link_text=document.link_text, context=document.context)
    downloaded = DownloadedDocument(
        url=document.url, final_url=document.url, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data),
        content_type="application/pdf", provisional=provisional,
    )  # fmt: skip
    return read_report(data, "application/pdf", document.url, document.link_text).of(downloaded)


def test_every_printed_value_is_compiled(tmp_path: Path) -> None:
    folder = ensure_site(tmp_path)
    documents = [extracted(folder, document) for document in found_on(folder)]
    for document in documents:
        assert document.confirmed is not None
        assert document.confirmed.document_type == document.provisional.document_type, document.url
    result = compile_filings(documents)
    compiled = cells_of(result)
    wrong = [
        (true.statement, true.label, true.period_end)
        for true in true_values()
        if (true.statement, normalised(true.label), true.period_end, true.value, true.restated) not in compiled
    ]
    assert wrong == []
    assert len(result.restatements) == sum(true.restated for true in true_values())
    assert all(check.ok for statement in result.statements for check in statement.checks)
    assert result.missing == ()
    assert urljoin(SITE, "files/") in result.documents[0].url


def cells_of(result: FilingsResult) -> set[tuple[object, ...]]:
    return {
        (
            statement.kind,
            normalised(row.label),
            end,
            cell.value * (statement.unit_multiplier if row.unit == "amount" else 1),
            cell.restated,
        )
        for statement in result.statements
        for row in statement.rows
        for end, cell in zip(statement.period_ends, row.cells, strict=True)
        if cell is not None
    }
