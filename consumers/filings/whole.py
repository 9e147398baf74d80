"""All documents of a site -> the result: each company's for itself, with a person's corrections in place. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.filings.companies import by_company, is_called
from consumers.filings.compile import compile_filings
from consumers.filings.corrections import CellPlace, corrected
from schemas.filings import Company, ExtractedDocument
from schemas.filings_result import Correction, FilingsResult, Missing

if TYPE_CHECKING:
    from collections.abc import Sequence


def compile_documents(
    documents: list[ExtractedDocument],
    company: Company | None,
    years: int | tuple[int, ...] | None,
    missing: list[Missing],
    corrections: dict[CellPlace, Correction],
) -> FilingsResult:
    """Compile; runs in a subprocess.

    Where the reports are of several companies, each is compiled for itself and its statements carry its name. The one
    that the caller names comes first; when no report bears its name, all are taken for its own, as the caller says.
    """
    groups = _groups(documents, company)
    mine, *others = groups
    results = [compile_filings(mine, company, years)] + [compile_filings(group, None, years) for group in others]
    if len(results) > 1:
        results = [_signed(result) for result in results]
    whole = FilingsResult(
        company=results[0].company,
        statements=tuple(statement for result in results for statement in result.statements),
        restatements=tuple(restatement for result in results for restatement in result.restatements),
        documents=tuple(document for result in results for document in result.documents),
        missing=tuple(dict.fromkeys([*missing, *(gap for result in results for gap in result.missing)])),
    )
    return corrected(whole, corrections)


def _groups(
    documents: Sequence[ExtractedDocument], company: Company | None
) -> tuple[tuple[ExtractedDocument, ...], ...]:
    groups = by_company(documents)
    if company is None or company.name is None or len(groups) == 1:
        return groups
    name = company.name
    mine = [group for group in groups if any(is_called(one, name) for one in group)]
    if not mine:
        return (tuple(documents),)
    return (tuple(one for group in mine for one in group), *(group for group in groups if group not in mine))


def _signed(result: FilingsResult) -> FilingsResult:
    """The result with the company's name on each of its parts."""
    name = result.company.name or result.company.ticker or "not known"
    return result.model_copy(
        update={
            "statements": tuple(one.model_copy(update={"company": name}) for one in result.statements),
            "restatements": tuple(one.model_copy(update={"company": name}) for one in result.restatements),
            "documents": tuple(one.model_copy(update={"company": name}) for one in result.documents),
            "missing": tuple(one.model_copy(update={"what": f"{name}: {one.what}"}) for one in result.missing),
        }
    )
