"""The flows that follow an audit: parts measured again, and articles."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from schemas.audit import PartKind, Words
from schemas.jobs import Asked
from schemas.stages import Payload

ArticleKind = Literal["outline", "draft"]


class PartsSpec(Asked):
    """What an `audit_parts` job is asked: measure parts of a finished audit (again), then write its report anew."""

    audit_id: Annotated[str, Field(min_length=3, max_length=120)]
    parts: tuple[PartKind, ...] = ()


class ArticlesSpec(Asked):
    """What an `articles` job is asked.

    Attributes:
        audit_id: A finished audit: figures, sources and keyword gaps come from it alone.
        keywords: One article each; the audit's keyword gaps when none are named.
        count: How many of those.
        kind: An outline, or a whole draft.
    """

    audit_id: Annotated[str, Field(min_length=3, max_length=120)]
    keywords: tuple[Words, ...] = Field(default=(), max_length=20)
    count: Annotated[int, Field(ge=1, le=20)] = 3
    kind: ArticleKind = "draft"


class PartsStart(Payload):
    """Into crawl of `audit_parts`: what to measure."""

    audit_id: str
    parts: tuple[PartKind, ...] = ()


class PartErrand(Payload):
    """Into download of `audit_parts`: one part."""

    audit_id: str
    part: PartKind


class KeptPart(Payload):
    """Collected by it: the part as it was measured."""

    part: PartKind
    data: dict[str, Any]


class PartsResult(BaseModel):
    """The result of an `audit_parts` job: version of each part, and the report's revision."""

    audit_id: str
    versions: dict[str, int]
    report_revision: int


class ArticlesStart(Payload):
    """Into crawl of `articles`."""

    audit_id: str


class ArticleOrder(Payload):
    """Into extract of `articles`: one article to write."""

    audit_id: str
    keyword: str
    kind: ArticleKind


class Article(Payload):
    """An article as it was written.

    Attributes:
        unsupported: Sentences with figures or addresses that are not in the audit.
        sources: Pages of the site that it was written from.
        json_ld: schema.org markup for it.
    """

    keyword: str
    kind: ArticleKind
    title: str
    markdown: str
    sources: tuple[str, ...]
    unsupported: tuple[str, ...]
    json_ld: dict[str, Any]
    model: str


class ArticlesResult(BaseModel):
    """The result of an `articles` job."""

    audit_id: str
    articles: tuple[Article, ...]
