"""Who links to a site: from Common Crawl's domain graph.

The graph is three files of gzipped lines. Vertices: ``id<TAB>com.example<TAB>hosts``, edges: ``from<TAB>to``, ranks
(optional): ``#harmonicc_pos ... host_rev``. They are read as they come, with flat memory, and from a folder (the whole
graph has some 10 GB) or a web server.

Source: Common Crawl, "Web Graphs", format of the domain-level graph.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from streams.errors import PermanentError

if TYPE_CHECKING:
    from consumers.net.fetch import Fetcher

CHUNK_BYTES: Final = 1 << 20
MAX_FILE_BYTES: Final = 64 * 1024**3
FILE_TIMEOUT_S: Final = 800.0
MAX_NAMED: Final = 1_000
"""Referring domains that are named; all are counted."""

_SUFFIXES: Final = ("vertices.txt.gz", "edges.txt.gz", "ranks.txt.gz")
_GZIP: Final = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class Backlinks:
    """What a graph says of a domain.

    Attributes:
        referring_domains: How many other domains link to it.
        domains: The first `MAX_NAMED` of them, the highest ranked first where ranks are there.
        rank: Its own position by harmonic centrality; None when it is not ranked.
    """

    domain: str
    referring_domains: int = 0
    domains: list[dict[str, Any]] = field(default_factory=list)
    rank: int | None = None


class LinkGraph(Protocol):
    """Something that knows who links to a domain."""

    @property
    def name(self) -> str:
        """Shown beside what it found."""
        ...

    async def backlinks(self, domain: str) -> Backlinks | None:
        """Who links to a domain; None when the graph does not have it."""
        ...


class CommonCrawl:
    """The domain graph's files.

    Args:
        place: Folder or ``http(s)://`` address, with the files' common prefix: ``/data/cc-main-2025-domain-``.
        fetch: For addresses.
    """

    name = "common_crawl"

    def __init__(self, place: str, fetch: Fetcher) -> None:
        self._place = place
        self._fetch = fetch

    async def backlinks(self, domain: str) -> Backlinks | None:
        """Three passes: the domain's number, the numbers that link to it, their names."""
        wanted = reverse(domain)
        number = await self._number_of(wanted)
        if number is None:
            return None
        sources, count = await self._sources_of(number)
        names = await self._names_of(sources)
        ranks = await self._ranks_of({wanted, *names})
        domains: list[dict[str, Any]] = [{"domain": reverse(name), "rank": ranks.get(name)} for name in names]
        domains.sort(key=lambda one: (one["rank"] is None, one["rank"] or 0, one["domain"]))
        return Backlinks(domain, count, domains, ranks.get(wanted))

    async def _number_of(self, wanted: str) -> bytes | None:
        needle = wanted.encode()
        async for lines in self._lines("vertices.txt.gz"):
            found = await asyncio.to_thread(_first_with_name, lines, needle)
            if found is not None:
                return found
        return None

    async def _sources_of(self, number: bytes) -> tuple[set[bytes], int]:
        sources: set[bytes] = set()
        count = 0
        async for lines in self._lines("edges.txt.gz"):
            for source in await asyncio.to_thread(_sources_in, lines, number):
                count += 1
                if len(sources) < MAX_NAMED:
                    sources.add(source)
        return sources, count

    async def _names_of(self, numbers: set[bytes]) -> list[str]:
        names: list[str] = []
        if not numbers:
            return names
        async for lines in self._lines("vertices.txt.gz"):
            names += await asyncio.to_thread(_names_in, lines, numbers)
            if len(names) == len(numbers):
                break
        return names

    async def _ranks_of(self, names: set[str]) -> dict[str, int]:
        ranks: dict[str, int] = {}
        try:
            async for lines in self._lines("ranks.txt.gz"):
                ranks |= await asyncio.to_thread(_ranks_in, lines, names)
                if len(ranks) == len(names):
                    break
        except PermanentError as error:
            if error.reason not in {"graph_missing", "http_404", "http_403"}:
                raise
        return ranks

    async def _lines(self, suffix: str) -> AsyncIterator[bytes]:
        """A file in pieces of whole lines."""
        rest = b""
        decoder = zlib.decompressobj(_GZIP)
        async with self._open(suffix) as chunks:
            async for chunk in chunks:
                data = chunk
                while data:
                    piece = rest + decoder.decompress(data, CHUNK_BYTES)
                    data = decoder.unconsumed_tail
                    if decoder.eof:
                        data, decoder = decoder.unused_data, zlib.decompressobj(_GZIP)
                    whole, newline, rest = piece.rpartition(b"\n")
                    if newline:
                        yield whole + newline
        if rest:
            yield rest + b"\n"

    @asynccontextmanager
    async def _open(self, suffix: str) -> AsyncIterator[AsyncIterator[bytes]]:
        if self._place.startswith(("http://", "https://")):
            async with self._fetch.stream(
                self._place + suffix, max_bytes=MAX_FILE_BYTES, timeout_s=FILE_TIMEOUT_S,
                headers={"Accept-Encoding": "identity"},
            ) as download:  # fmt: skip
                yield download.chunks()
            return
        path = Path(self._place + suffix)
        if not await asyncio.to_thread(path.is_file):
            raise PermanentError(
                f"the link graph has no {path.name}: MILLRACE_BACKLINKS_GRAPH must be the common start of the paths of "
                f"{', '.join(_SUFFIXES)}",
                reason="graph_missing",
            )
        yield _read(path)


async def _read(path: Path) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk
    finally:
        file.close()


def reverse(domain: str) -> str:
    """``www.example.com`` -> ``com.example.www``; twice is the name itself."""
    return ".".join(reversed(domain.split(".")))


def _first_with_name(lines: bytes, name: bytes) -> bytes | None:
    at = lines.find(b"\t" + name + b"\t")
    if at < 0:
        at = lines.find(b"\t" + name + b"\n")
    if at < 0:
        return None
    return lines[lines.rfind(b"\n", 0, at) + 1 : at]


def _sources_in(lines: bytes, number: bytes) -> list[bytes]:
    needle = b"\t" + number + b"\n"
    found = []
    at = lines.find(needle)
    while at >= 0:
        source = lines[lines.rfind(b"\n", 0, at) + 1 : at]
        if source != number:
            found.append(source)
        at = lines.find(needle, at + 1)
    return found


def _names_in(lines: bytes, numbers: set[bytes]) -> list[str]:
    found = []
    for line in lines.splitlines():
        number, _, rest = line.partition(b"\t")
        if number in numbers:
            found.append(rest.partition(b"\t")[0].decode("ascii", "replace"))
    return found


def _ranks_in(lines: bytes, names: set[str]) -> dict[str, int]:
    found = {}
    for line in lines.splitlines():
        fields = line.split(b"\t")
        if len(fields) >= 5 and not line.startswith(b"#"):  # noqa: PLR2004 - as the file's head says
            name = fields[4].decode("ascii", "replace")
            if name in names and fields[0].isdigit():
                found[name] = int(fields[0])
    return found
