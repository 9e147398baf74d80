"""A plain crawl of a site on loopback: every address that its documents name is asked once.

It is not the crawl of the `audit` flow, and cannot be: the reference counted every address of every element, among them
shortlinks, feeds and API endpoints, and read what those answered. An audit of a real site does not follow them, and it
keeps its pace. What is compared, the reading of pages and the rules, is the product's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from selectolax.lexbor import LexborHTMLParser

from consumers.audit import structured
from consumers.audit.document import Document, Hop, headers_of
from consumers.audit.dom import attribute
from consumers.audit.links import candidates
from consumers.audit.page import Page, read_page
from consumers.audit.rules import Fetched
from consumers.audit.site import Probes, TextFile
from consumers.net import robots, urls
from consumers.net.errors import FetchFailedError, FetchRefusedError
from consumers.net.fetch import Fetcher, FetcherConfig

AT_ONCE: Final = 8
MAX_ASKED: Final = 20_000
_ATTRIBUTES: Final = (
    ("a, area, link, embed", "href"),
    ("img, script, iframe, frame, source, audio, video, track, embed, input", "src"),
    ("video", "poster"),
    ("object", "data"),
    ("body", "background"),
    ("html", "manifest"),
    ("blockquote, q, ins, del", "cite"),
)
_MARKUP: Final = ("url", "logo", "image", "contentUrl", "thumbnailUrl")
_SHARED: Final = frozenset(
    (
        "og:url",
        "og:image",
        "og:image:url",
        "og:image:secure_url",
        "og:video",
        "og:audio",
        "twitter:image",
        "twitter:url",
    )
)


@dataclass(slots=True)
class Crawled:
    """What a crawl brought.

    Attributes:
        references: Internal addresses that each page names, in any element.
        fetched: What asking each address came to.
    """

    pages: list[Page] = field(default_factory=list)
    references: dict[str, set[str]] = field(default_factory=dict)
    fetched: dict[str, Fetched] = field(default_factory=dict)
    probes: Probes = field(default_factory=Probes)


async def crawl(start: str) -> Crawled:
    """Crawl a site from its home page, to the end."""
    config = FetcherConfig(allow_hosts=(urls.host_of(start),), page_timeout_s=20.0)
    async with Fetcher(config) as fetcher:
        crawled = Crawled()
        waiting: asyncio.Queue[str] = asyncio.Queue()
        seen = {start}
        waiting.put_nowait(start)

        async def work() -> None:
            while True:
                url = await waiting.get()
                try:
                    for found in await _visit(fetcher, url, start, crawled):
                        if found not in seen and len(seen) < MAX_ASKED:
                            seen.add(found)
                            waiting.put_nowait(found)
                finally:
                    waiting.task_done()

        workers = [asyncio.create_task(work()) for _ in range(AT_ONCE)]
        done = asyncio.create_task(waiting.join())
        try:
            await asyncio.wait([done, *workers], return_when=asyncio.FIRST_COMPLETED)
            for worker in workers:
                if worker.done():
                    worker.result()
        finally:
            for task in (done, *workers):
                task.cancel()
            await asyncio.gather(done, *workers, return_exceptions=True)
        crawled.probes = await _probes(fetcher, start, crawled)
    return crawled


async def _visit(fetcher: Fetcher, url: str, start: str, crawled: Crawled) -> set[str]:
    document = await _document(fetcher, url)
    kind = dict(document.headers or ()).get("content-type", "").split(";")[0]
    crawled.fetched[url] = Fetched(document.status, document.failure, document.url, kind, len(document.body))
    if kind != "text/html" or document.failure:
        if document.status >= 400:  # noqa: PLR2004
            crawled.pages.append(read_page(document))
        return set()
    crawled.pages.append(read_page(document))
    found = {one for one in references(document.body, document.url) if urls.origin_of(one) == urls.origin_of(start)}
    crawled.references[url] = found
    return found


async def _document(fetcher: Fetcher, url: str) -> Document:
    try:
        response = await fetcher.get(url)
    except (FetchFailedError, FetchRefusedError) as error:
        return Document(url=url, status=error.status or 0, failure="" if error.status else error.reason)
    return Document(
        url=response.url,
        status=response.status,
        headers=headers_of(response.headers),
        body=response.body,
        requested_url=url,
        redirects=tuple(Hop(hop.status, hop.url, hop.location) for hop in response.redirects),
    )


async def _probes(fetcher: Fetcher, start: str, crawled: Crawled) -> Probes:
    asked = await _document(fetcher, urls.join(start, "/robots.txt"))
    text = asked.body.decode("utf-8", "replace")
    file = TextFile(asked.url, asked.status, asked.failure, "text/plain", text, len(asked.body))
    return Probes(
        robots_txt=file,
        robots=robots.parse(asked.body, decode_unreserved=True) if asked.status == 200 else None,  # noqa: PLR2004
        fetched=crawled.fetched,
    )


def references(body: bytes, url: str) -> Iterator[str]:
    """Every http(s) address that a document names, whatever the element."""
    tree = LexborHTMLParser(body)
    node = tree.css_first("base[href]")
    base = (urls.resolve(url, attribute(node, "href") or "") or url) if node is not None else url
    for value in _named(tree, base):
        if value and (found := urls.resolve(base, value)):
            yield found


def _named(tree: LexborHTMLParser, base: str) -> Iterator[str]:
    for selector, name in _ATTRIBUTES:
        yield from (attribute(one, name) or "" for one in tree.css(selector))
    for one in tree.css("[srcset], [imagesrcset]"):
        yield from candidates(attribute(one, "srcset") or attribute(one, "imagesrcset") or "")
    items = [item for block in structured.read_markup(tree, base) for item in structured.walk(block.nodes)]
    stated = [value for item in items for name in _MARKUP for value in structured.values_of(item, name)]
    stated += [
        attribute(one, "content")
        for one in tree.css("meta[content]")
        if (attribute(one, "property") or attribute(one, "name") or "").lower() in _SHARED
    ]
    yield from (one for one in stated if isinstance(one, str) and one.startswith(("http://", "https://")))
