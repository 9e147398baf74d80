"""The address of a page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from consumers.audit.rules.guards import answered, headers
from consumers.audit.rules.model import Context, Evidence, Skip, applies_not
from consumers.audit.rules.registry import page_rule

if TYPE_CHECKING:
    from consumers.audit.page import Page

_OK: Final = 200
_TYPES: Final = {
    "html": ("text/html", "application/xhtml+xml"), "htm": ("text/html", "application/xhtml+xml"),
    "xhtml": ("application/xhtml+xml", "text/html"), "css": ("text/css",), "json": ("application/json",
    "application/ld+json", "text/json", "application/manifest+json"),
    "js": ("text/javascript", "application/javascript", "application/x-javascript"),
    "mjs": ("text/javascript", "application/javascript"), "xml": ("application/xml", "text/xml",
    "application/rss+xml", "application/atom+xml"),
    "txt": ("text/plain", "text/markdown"), "pdf": ("application/pdf",), "png": ("image/png",),
    "jpg": ("image/jpeg", "image/jpg"),
    "jpeg": ("image/jpeg", "image/jpg"), "gif": ("image/gif",), "webp": ("image/webp",), "avif": ("image/avif",),
    "svg": ("image/svg+xml",), "ico": ("image/x-icon", "image/vnd.microsoft.icon"), "woff": ("font/woff",
    "application/font-woff", "application/x-font-woff"),
    "woff2": ("font/woff2", "application/font-woff2"), "mp4": ("video/mp4", "audio/mp4"), "webm": ("video/webm",
    "audio/webm"), "mp3": ("audio/mpeg", "audio/mp3"),
    "zip": ("application/zip", "application/x-zip-compressed"), "csv": ("text/csv", "application/csv"),
}  # fmt: skip


def path_of(url: str) -> str:
    """The path of a URL as it is written."""
    return urlsplit(url).path


@page_rule(
    "url-too-long",
    "url",
    "low",
    "extended",
    "page",
    "crawl",
    answered,
    threshold="> 115 characters",
    fix="Shorten the path.",
)
def url_too_long(page: Page, context: Context) -> Iterator[Evidence]:
    """The URL is longer than the threshold."""
    if len(page.url) > context.thresholds.url_max:
        yield Evidence(page.url, f"{len(page.url)} characters, more than {context.thresholds.url_max}")


@page_rule(
    "url-uppercase",
    "url",
    "low",
    "extended",
    "page",
    "crawl",
    answered,
    fix="Use lower case and redirect the old form.",
)
def url_uppercase(page: Page, _: Context) -> Iterator[Evidence]:
    """The path has upper-case letters."""
    if re.search("[A-Z]", re.sub("%[0-9A-Fa-f]{2}", "", path_of(page.url))):
        yield Evidence(page.url, "upper-case letters in the path", path_of(page.url)[:200])


@page_rule("url-underscore", "url", "info", "extended", "page", "crawl", answered, fix="Use hyphens in new URLs.")
def url_underscore(page: Page, _: Context) -> Iterator[Evidence]:
    """The path has an underscore."""
    if "_" in path_of(page.url):
        yield Evidence(page.url, "an underscore in the path", path_of(page.url)[:200])


@page_rule("url-spaces", "url", "low", "extended", "page", "crawl", answered, fix="Use hyphens instead of spaces.")
def url_spaces(page: Page, _: Context) -> Iterator[Evidence]:
    """The path has a space, as it is or as %20."""
    path = path_of(page.url)
    if " " in path or "%20" in path:
        yield Evidence(page.url, "a space in the path", path[:200])


@page_rule(
    "url-double-slash",
    "url",
    "low",
    "extended",
    "page",
    "crawl",
    answered,
    fix="Write the path with single slashes and redirect.",
)
def url_double_slash(page: Page, _: Context) -> Iterator[Evidence]:
    """The path has two slashes in a row."""
    if "//" in path_of(page.url):
        yield Evidence(page.url, "two slashes in a row", path_of(page.url)[:200])


@page_rule(
    "url-non-ascii",
    "url",
    "info",
    "extended",
    "page",
    "crawl",
    answered,
    fix="Percent-encode the link target as UTF-8.",
)
def url_non_ascii(page: Page, _: Context) -> Iterator[Evidence]:
    """A link target has characters outside ASCII that are not escaped."""
    for link in page.links:
        if link.url is not None and link.href and not link.href.isascii():
            yield Evidence(page.url, "characters outside ASCII are not escaped", link.snippet, link.url)


def _has_type(page: Page, context: Context) -> Skip | None:
    if skip := answered(page, context) or headers(page, context):
        return skip
    return applies_not("the answer has no body") if not page.size_bytes else None


@page_rule(
    "media-type-mismatch",
    "url",
    "medium",
    "core",
    "resource",
    "headers",
    _has_type,
    fix="Send the Content-Type that the file is of.",
)
def media_type_mismatch(page: Page, context: Context) -> Iterator[Evidence]:
    """Content-Type is missing, or contradicts the file's extension or its content."""
    if not page.content_type:
        yield Evidence(page.url, "no Content-Type is sent")
    elif (
        page.looks_html
        and page.is_ok
        and not page.content_type.endswith(("html", "html+xml", "/xml", "+xml"))
        and not page.content_type.startswith(("text/", "multipart/"))
    ) or (page.looks_html and page.is_ok and page.content_type in {"text/plain", "text/css", "text/javascript"}):
        yield Evidence(page.url, "HTML is sent under another type", f"Content-Type: {page.content_type}")
    elif (detail := contradiction(page.url, page.content_type, page.status)) is not None:
        yield Evidence(page.url, detail, f"Content-Type: {page.content_type}")
    elif page.content_type in {"text/html", "application/xhtml+xml"} and page.is_ok and page.sniffed:
        yield Evidence(page.url, f"the content is {page.sniffed}, not HTML", f"Content-Type: {page.content_type}")
    for url, fetched in context.resources.items():
        if not fetched.is_error and not fetched.content_type and fetched.size_bytes:
            yield Evidence(page.url, "a resource is sent without Content-Type", target=url)
        elif fetched.content_type and (detail := contradiction(url, fetched.content_type, fetched.status)) is not None:
            yield Evidence(page.url, detail, f"Content-Type: {fetched.content_type}", url)


def contradiction(url: str, content_type: str, status: int) -> str | None:
    """How a type contradicts the extension of a URL; None when it does not."""
    extension = path_of(url).rsplit("/", 1)[-1].rpartition(".")
    wanted = _TYPES.get(extension[2].lower()) if extension[1] else None
    extension_name = extension[2].lower()
    is_opaque = content_type.endswith("/octet-stream") and extension_name in {"woff", "woff2", "zip"}
    if status != _OK or wanted is None or content_type in wanted or is_opaque:
        return None
    return f"a .{extension_name} file is sent as {content_type}"
