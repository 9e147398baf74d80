"""One document audited on its own: a page, or one of the files beside the pages."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlsplit

from consumers.audit.document import Document
from consumers.audit.page import Page, read_page
from consumers.audit.robots_file import read
from consumers.audit.rules import Context, Status, Verdict, audit_alone, audit_site
from consumers.audit.site import Probes, Site, TextFile
from consumers.audit.sitemap_file import read_sitemap
from consumers.audit.structured import types_of, walk
from consumers.net.robots import MAX_BYTES

_ROBOTS: Final = frozenset(
    ("robots-txt-missing", "robots-txt-error", "robots-txt-invalid", "robots-txt-not-text", "robots-blocks-all",
     "crawl-delay-high", "geo-ai-bots-blocked", "geo-training-bots-policy")
)  # fmt: skip
_LLMS: Final = frozenset(("geo-llms-txt-missing", "geo-llms-txt-invalid"))
_SITEMAP: Final = frozenset(("sitemap-invalid", "sitemap-too-large", "sitemap-lastmod-bad"))
_OK: Final = 200


def audit_document(document: Document, context: Context) -> tuple[Page, tuple[Verdict, ...]]:
    """A document's signals, and what every rule says of it; what takes more than the document is not measured.

    robots.txt, llms.txt and sitemaps are judged as what they are.
    """
    page = read_page(document)
    verdicts = audit_alone(page, context)
    rules, site = _as_file(document, page, context)
    of_file = {one.rule: one for one in audit_site(site) if one.rule in rules} if site is not None else {}
    return page, tuple(of_file.get(one.rule, one) for one in verdicts)


def _as_file(document: Document, page: Page, context: Context) -> tuple[frozenset[str], Site | None]:
    path = urlsplit(page.url).path
    body = document.body
    name = path.rsplit("/", 1)[-1]
    if path == "/robots.txt":
        text = body[:MAX_BYTES].decode("utf-8", "replace")
        file = _file(document, page, text)
        robots = read(text) if page.status == _OK else None
        return _ROBOTS, _site(page, context, Probes(robots_txt=file, robots=robots))
    if path == "/llms.txt":
        return _LLMS, _site(page, context, Probes(llms_txt=_file(document, page, body.decode("utf-8", "replace"))))
    if not page.is_html and (
        re.search(r"sitemap.*\.(?:xml|txt)(?:\.gz)?$", name)
        or re.search(rb"<(?:\w+:)?(?:urlset|sitemapindex)\b", body[:2_048])
    ):
        sitemap = read_sitemap(_file(document, page, ""), body)
        return _SITEMAP, _site(page, context, Probes(sitemaps=(sitemap,)))
    return frozenset(), None


def _file(document: Document, page: Page, text: str) -> TextFile:
    return TextFile(page.url, page.status, page.failure, page.content_type, text, len(document.body))


def _site(page: Page, context: Context, probes: Probes) -> Site:
    parts = urlsplit(page.url)
    return Site(f"{parts.scheme}://{parts.netloc}/", (), probes, thresholds=context.thresholds, on=context.today)


def as_json(page: Page, verdicts: tuple[Verdict, ...]) -> dict[str, Any]:
    """The public form: issues with evidence, and the ids of everything else."""
    from consumers.audit.rules import RULES  # noqa: PLC0415 - the table is filled when the rules are imported

    by_status = {status: [one for one in verdicts if one.status is status] for status in Status}
    return {
        "issues": [
            {
                "id": one.rule,
                "severity": RULES[one.rule].severity.value,
                "evidence": [
                    {"url": each.url, "detail": each.detail, "snippet": each.snippet, "target": each.target}
                    for each in one.evidence
                ],
                "count": one.count,
            }
            for one in by_status[Status.FAILED]
        ],
        "passed": [one.rule for one in by_status[Status.PASSED]],
        "not_applicable": [one.rule for one in by_status[Status.NOT_APPLICABLE]],
        "not_measured": [one.rule for one in by_status[Status.NOT_MEASURED]],
        "signals": signals_of(page),
    }


def signals_of(page: Page) -> dict[str, Any]:
    """What was read of a page, for people and programs."""
    prose, written = page.prose, page.authorship
    return {
        "url": page.url,
        "status": page.status,
        "content_type": page.content_type,
        "size_bytes": page.size_bytes,
        "is_html": page.is_html,
        "is_indexable": page.is_indexable,
        "charset": page.charset.name if page.charset else None,
        "charset_from": page.charset.source if page.charset else None,
        "doctype": page.doctype,
        "lang": page.lang,
        "language": page.language,
        "title": page.title,
        "description": page.description,
        "canonical": page.canonical,
        "robots": [{"agent": one.agent, "name": one.name, "value": one.value,
        "source": one.source} for one in page.directives],
        "hreflang": [{"lang": one.lang, "href": one.href, "source": one.source} for one in page.alternates],
        "headings": [{"level": one.level, "text": one.text} for one in page.headings],
        "links": {
            "internal": sum(one.is_internal for one in page.links),
            "external": sum(one.url is not None and not one.is_internal for one in page.links),
            "nofollow": sum(one.is_nofollow for one in page.links),
        },
        "images": {"count": len(page.images), "without_alt": sum(one.alt is None for one in page.images)},
        "structured_data": {
            "syntaxes": sorted({one.syntax for one in page.markup}),
            "types": list(dict.fromkeys(name for node in walk(page.nodes) for name in types_of(node))),
            "errors": [one.error for one in page.markup if one.error],
        },
        "open_graph": page.open_graph,
        "text": {"words": prose.words, "visible_words": page.visible_words, "simhash": prose.simhash,
        "main": prose.text[:2_000]},
        "authorship": {
            "is_article": written.is_article, "why": written.why, "authors": list(written.authors),
            "byline": written.byline, "dates": [{"date": day, "from": source} for day, source in written.dates],
        },
        "questions": list(prose.questions),
        "elements": page.elements,
        "depth": page.depth,
    }  # fmt: skip
