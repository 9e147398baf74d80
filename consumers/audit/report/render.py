"""Markdown to HTML and PDF. Nothing is fetched: images are our own charts, or they are not there."""

from __future__ import annotations

import base64
import re
from html import escape, unescape
from typing import TYPE_CHECKING, Final

from consumers.audit.report import charts
from consumers.audit.report.markdown import report_markdown
from consumers.audit.report.model import Rendered, ReportInput, WhiteLabel
from schemas.audit_result import SEVERITIES
from streams.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_MARKDOWN_CHARS: Final = 1_000_000
_HEADING: Final = re.compile(r"<(h[23])>(.*?)</\1>", re.DOTALL)
_TAG: Final = re.compile(r"<[^>]+>")
_IMAGE: Final = re.compile(r'<img\b[^>]*?\bsrc="([^"]*)"[^>]*>')
_ALT: Final = re.compile(r'\balt="([^"]*)"')
_ALLOWED: Final = frozenset(
    ("h1", "h2", "h3", "h4", "h5", "h6", "p", "br", "hr", "em", "strong", "s", "del", "code", "pre", "blockquote", "ul",
     "ol", "li", "table", "thead", "tbody", "tr", "th", "td", "a", "img")
)  # fmt: skip

STYLE: Final = """
@page { size: A4; margin: 22mm 18mm 20mm 18mm;
  @bottom-right { content: counter(page) " / " counter(pages); font-size: 8pt; color: #667; }
  @bottom-left { content: string(footer); font-size: 8pt; color: #667; } }
@page :first { margin: 0; @bottom-right { content: none; } @bottom-left { content: none; } }
body { font-family: "DejaVu Sans", Arial, sans-serif; font-size: 9.5pt; line-height: 1.45; color: #2b2f36; }
.footer { string-set: footer content(); height: 0; overflow: hidden; font-size: 0; }
.cover { page: cover; break-after: page; background: ACCENT; color: #fff; height: 297mm; padding: 70mm 24mm 0 24mm;
  box-sizing: border-box; }
@page cover { margin: 0; @bottom-right { content: none; } @bottom-left { content: none; } }
.cover h1 { font-size: 30pt; margin: 0 0 6mm 0; color: #fff; border: none; overflow-wrap: anywhere; }
.cover p { font-size: 12pt; margin: 0 0 2mm 0; }
.cover img { max-height: 24mm; max-width: 70mm; margin-bottom: 18mm; }
.contents { break-after: page; }
.contents ul { list-style: none; padding: 0; }
.contents li { margin: 1.2mm 0; }
.contents li.h3 { margin-left: 6mm; font-size: 8.5pt; }
.contents a { color: inherit; text-decoration: none; }
.contents a::after { content: leader(".") target-counter(attr(href), page); }
h1, h2, h3 { color: ACCENT; line-height: 1.2; break-after: avoid; overflow-wrap: anywhere; }
h2 { font-size: 16pt; border-bottom: 0.6pt solid #ccd; padding-bottom: 1.5mm; margin-top: 9mm; }
h3 { font-size: 11pt; margin-top: 6mm; margin-bottom: 1.5mm; }
table { border-collapse: collapse; width: 100%; font-size: 8pt; margin: 3mm 0; }
thead { display: table-header-group; }
th { text-align: left; background: #f1f3f7; white-space: nowrap; }
th, td { border-bottom: 0.4pt solid #d9dde5; padding: 1.2mm 1.6mm; vertical-align: top; overflow-wrap: break-word; }
tr { break-inside: avoid; }
code { font-family: "DejaVu Sans Mono", monospace; font-size: 7.6pt; background: #f4f5f8; }
p, li { overflow-wrap: anywhere; }
img { max-width: 100%; }
@media screen { body { max-width: 60rem; margin: 0 auto; padding: 0 1rem 4rem; }
  .cover { height: auto; padding: 3rem; } }
"""


def render_report(given: ReportInput) -> Rendered:
    """A report in all its forms; runs in a subprocess, takes about a second.

    Raises:
        PermanentError: ``missing_extra``: the extra `audit` is not installed.
    """
    return _rendered(report_markdown(given), given.name, given.made_on, given.label, charts_of(given))


def render_supplied(markdown: str, name: str, made_on: str, label: WhiteLabel) -> Rendered:
    """A report from Markdown that somebody wrote; runs in a subprocess. Its images and markup are left out."""
    return _rendered(markdown[:MAX_MARKDOWN_CHARS], name, made_on, label, {})


def charts_of(given: ReportInput) -> dict[str, str]:
    """The report's charts by the names that its Markdown has for them."""
    result = given.result
    counts = {name: float(sum(one.count for one in result.issues if one.severity == name)) for name in SEVERITIES}
    counts = {name: count for name, count in counts.items() if count}
    found = {
        "chart:overall": charts.score_ring(result.scores.overall),
        "chart:categories": charts.bars(dict(sorted(result.scores.categories.items(), key=lambda one: one[1]))),
        "chart:severities": charts.bars(counts, most=max(counts.values(), default=1), colours=charts.SEVERITY_COLOURS),
    }
    if len(given.history) > 1:
        found["chart:history"] = charts.line(given.history, given.label.accent)
    return found


def _rendered(markdown: str, name: str, made_on: str, label: WhiteLabel, drawn: Mapping[str, str]) -> Rendered:
    html = report_html(markdown, name, made_on, label, drawn)
    return Rendered(markdown=markdown, html=html, pdf=base64.b64encode(pdf_bytes(html)).decode())


def report_html(markdown: str, name: str, made_on: str, label: WhiteLabel, drawn: Mapping[str, str]) -> str:
    """A whole page: cover, contents, body; every image within it.

    Raises:
        PermanentError: ``missing_extra``.
    """
    body, entries = _with_ids(_body(markdown, drawn))
    links = "".join(f'<li class="{tag}"><a href="#{anchor}">{text}</a></li>' for tag, anchor, text in entries)
    title = escape(name)
    logo = f'<img alt="" src="data:image/png;base64,{"".join(label.logo.split())}">' if label.logo else ""
    who = "".join(
        f"<p>{escape(line)}</p>"
        for line in (
            f"for {label.client}" if label.client else "",
            f"by {label.agency}" if label.agency else "",
            made_on,
        )
        if line
    )
    footer = escape(label.footer or " · ".join(one for one in (label.agency, name, made_on) if one))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Website audit: {title}</title>'
        f"<style>{STYLE.replace('ACCENT', label.accent)}</style></head><body>"
        f'<section class="cover">{logo}<h1>{title}</h1><p>Website audit</p>{who}</section>'
        f'<div class="footer">{footer}</div>'
        f'<nav class="contents"><h2>Contents</h2><ul>{links}</ul></nav>{body}</body></html>'
    )


def pdf_bytes(html: str) -> bytes:
    """A page that `report_html` made, as PDF; whatever address is in it is refused.

    Raises:
        PermanentError: ``missing_extra``.
    """
    try:
        from weasyprint import HTML  # noqa: PLC0415 - an extra, and slow to import
        from weasyprint.urls import URLFetcher  # noqa: PLC0415 - as above
    except ImportError as error:
        raise _missing(error) from error
    # Neither the web nor files: only what the page itself holds.
    nothing = URLFetcher(allowed_protocols=("data",), allow_redirects=False)
    written: bytes = HTML(string=html, base_url=None, url_fetcher=nothing).write_pdf()
    return written


def _body(markdown: str, drawn: Mapping[str, str]) -> str:
    try:
        import nh3  # noqa: PLC0415 - an extra
        from markdown_it import MarkdownIt  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise _missing(error) from error
    reader = MarkdownIt("commonmark", {"html": False}).enable("table").enable("strikethrough")
    # Not linkify, and no address that a scheme of its own could do something with.
    html = reader.render(markdown)
    html = nh3.clean(
        html,
        tags=set(_ALLOWED),
        attributes={"a": {"href"}, "img": {"src", "alt"}},
        url_schemes={"http", "https", "mailto", "chart"},
        link_rel="noopener noreferrer nofollow",
    )
    html = _IMAGE.sub(lambda found: _image(found, drawn), html)
    first = re.match(r"\s*<h1>.*?</h1>", html, re.DOTALL)
    return html[first.end() :] if first else html


def _image(found: re.Match[str], drawn: Mapping[str, str]) -> str:
    chart = drawn.get(unescape(found[1]))
    alt = _ALT.search(found[0])
    if chart is None:
        return f"<em>{alt[1]}</em>" if alt else ""
    data = base64.b64encode(chart.encode()).decode()
    return f'<img alt="{alt[1] if alt else ""}" src="data:image/svg+xml;base64,{data}">'


def _with_ids(html: str) -> tuple[str, list[tuple[str, str, str]]]:
    """Headings with ids, and the contents that lead to them."""
    entries: list[tuple[str, str, str]] = []

    def named(found: re.Match[str]) -> str:
        anchor = f"s{len(entries)}"
        entries.append((found[1], anchor, _TAG.sub("", found[2])))
        return f'<{found[1]} id="{anchor}">{found[2]}</{found[1]}>'

    return _HEADING.sub(named, html), entries


def _missing(error: ImportError) -> PermanentError:
    return PermanentError(
        f"reports need the extra `audit`, which is not installed ({error.name}): pip install -e '.[audit]'",
        reason="missing_extra",
    )
