"""Companies for routes and commands: made, changed, found, and taken from CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, Final

from pydantic import Field, ValidationError, field_validator, model_validator

from api.problems import Problem
from api.views import API
from consumers.filings.job import company_key
from schemas.filings import Company as CompanyName
from schemas.filings import FilingsSpec
from schemas.jobs import Asked

if TYPE_CHECKING:
    from api.services import Services
    from consumers.store.models import Company

MOST_ROWS: Final = 5_000
"""Lines of one CSV."""

_COLUMNS: Final = {
    "name": "name", "company": "name", "company name": "name", "ticker": "ticker", "symbol": "ticker", "url": "url",
    "ir url": "url", "ir_url": "url", "website": "url", "investor relations": "url",
}  # fmt: skip


class CompanyBody(Asked):
    """A company as it is made.

    Attributes:
        url: Of its investor-relations page.
        name, ticker: Tell it from others on the same site, and which of their reports are its own.
    """

    url: str = Field(max_length=2_000)
    name: str | None = Field(default=None, min_length=1, max_length=200)
    ticker: str | None = Field(default=None, min_length=1, max_length=20)

    @field_validator("url")
    @classmethod
    def _is_site(cls, url: str) -> str:
        return FilingsSpec.model_validate({"url": url}).url

    @property
    def key(self) -> str:
        """What a job that names the same is for."""
        return company_key(FilingsSpec(url=self.url, company=CompanyName(name=self.name, ticker=self.ticker)))


class CompanyChange(Asked):
    """What is to be changed; what is left out stays, null takes a name or ticker away."""

    url: str | None = Field(default=None, max_length=2_000)
    name: str | None = Field(default=None, min_length=1, max_length=200)
    ticker: str | None = Field(default=None, min_length=1, max_length=20)

    @model_validator(mode="after")
    def _is_change(self) -> CompanyChange:
        if not self.model_fields_set:
            raise ValueError("name at least one of url, name, ticker")
        if "url" in self.model_fields_set:
            if self.url is None:
                raise ValueError("url cannot be taken away; give another one")
            FilingsSpec.model_validate({"url": self.url})
        return self


def company_view(company: Company) -> dict[str, Any]:
    """A company as it is shown."""
    at = f"{API}/companies/{company.id}"
    tasks = f"{API}/tasks/companies/{company.id}"
    return {
        "id": company.id, "name": company.name, "ticker": company.ticker, "url": company.url,
        "created_at": company.created_at,
        "links": {
            "self": at, "documents": f"{at}/documents", "statements": f"{at}/statements",
            "corrections": f"{at}/corrections", "watch": f"{at}/watch",
            **{name: f"{tasks}/{name}" for name in ("extract", "scrape", "recompile")},
        },
    }  # fmt: skip


async def company_at(services: Services, company_id: str, tenant: str) -> Company:
    """A company of the tenant.

    Raises:
        Problem: ``not-found``.
    """
    found = await services.store.companies.get(company_id, tenant=tenant)
    if found is None:
        raise Problem(
            "not-found", f"there is no company {company_id[:100]!r}; GET /api/v1/companies lists those that there are"
        )
    return found


async def create(services: Services, tenant: str, asked: CompanyBody) -> tuple[Company, bool]:
    """Make a company; one with the same site, ticker or name is there already: it is answered as it is."""
    company_id, is_new = await services.store.companies.create(
        asked.key, tenant=tenant, name=asked.name, ticker=asked.ticker, url=asked.url
    )
    return await company_at(services, company_id, tenant), is_new


async def take_csv(services: Services, tenant: str, text: str) -> dict[str, Any]:
    """Make a company of each line; a line that is wrong is told of and leaves the others alone.

    Args:
        services: Where to.
        tenant: Whose they will be.
        text: With a heading that names the columns ``url`` and, if wanted, ``name`` and ``ticker``, in any order;
            separated by commas, semicolons or tabs.

    Raises:
        Problem: ``invalid-request``: no such heading, or too many lines.
    """
    lines = text.removeprefix("\ufeff").splitlines(keepends=True)
    first = lines[0] if lines else ""
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO("".join(lines), newline=""), delimiter=separator)
    heading = [_COLUMNS.get(" ".join(name.split()).casefold()) for name in next(reader, [])]
    if "url" not in heading:
        raise Problem(
            "invalid-request", "the CSV needs a heading with the column url; name and ticker are taken too",
            errors=[{"field": "body", "detail": "the first line names no column url"}],
        )  # fmt: skip
    if len(lines) > MOST_ROWS + 1:
        raise Problem("invalid-request", f"the CSV has {len(lines) - 1} lines; at most {MOST_ROWS} are taken at once")
    items: list[dict[str, Any]] = []
    for cells in reader:
        row = {name: cell.strip() for name, cell in zip(heading, cells, strict=False) if name and cell.strip()}
        if not row:
            continue
        items.append({"line": reader.line_num, **await _taken(services, tenant, row)})
    counts = {name: sum(one["status"] == name for one in items) for name in ("created", "known", "invalid")}
    return {**counts, "items": items}


async def _taken(services: Services, tenant: str, row: dict[str, str]) -> dict[str, Any]:
    try:
        asked = CompanyBody.model_validate(row)
    except ValidationError as error:
        said = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg'].removeprefix('Value error, ')}" for one in error.errors()
        )
        return {"status": "invalid", "error": said}
    company, is_new = await create(services, tenant, asked)
    return {"status": "created" if is_new else "known", "id": company.id, "name": company.name, "url": company.url}
