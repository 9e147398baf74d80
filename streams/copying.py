"""Entries of any stream again: read page by page, as they are, and added to another stream or handed out."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from streams.connect import transaction
from streams.errors import MillraceError
from streams.log import digest_of
from streams.pace import Pace

if TYPE_CHECKING:
    from streams.keys import Keys

PAGE: Final = 500
KEPT_S: Final = 30 * 86_400
_ID: Final = re.compile(r"\d{1,19}(-\d{1,19})?")
_OURS: Final = re.compile(r"\{\d+\}:(lifecycle|dlq)")

Row = tuple[bytes, dict[bytes, bytes]]


class CannotCopy(MillraceError):  # noqa: N818 - it says what happened
    """The entries cannot be copied like that."""


@dataclass(frozen=True, slots=True)
class Copy:
    """What is copied where, and how far that is.

    Attributes:
        source, into: Keys of streams.
        after: The last entry that was copied, empty for none.
        last: The last entry to copy: the stream's last one when the copy began, if no other was named.
    """

    source: str
    into: str
    from_id: str = "-"
    to_id: str = "+"
    after: str = ""
    last: str = ""
    copied: int = 0

    @property
    def start(self) -> str:
        """Where reading goes on."""
        return f"({self.after}" if self.after else self.from_id


async def pages(client: Any, source: str, from_id: str, last: str, size: int = PAGE) -> AsyncIterator[list[Row]]:
    """Entries of a stream, a page at a time."""
    at = from_id
    while rows := await client.xrange(source, at, last, count=size):
        yield rows
        at = f"({rows[-1][0].decode()}"


async def last_of(client: Any, source: str, from_id: str, to_id: str) -> str:
    """The last entry to read, as things are now.

    Raises:
        CannotCopy: There is no such stream, or an id is none.
    """
    for name, value in (("--from-id", from_id), ("--to-id", to_id)):
        if value not in {"-", "+"} and _ID.fullmatch(value) is None:
            raise CannotCopy(f"{name} {value!r} is no entry id: it looks like 1790000000000-0, or - and + for the ends")
    kind = await client.type(source)
    if kind != b"stream":
        what = "there is no stream" if kind == b"none" else f"it holds a {kind.decode()}, not a stream, at"
        raise CannotCopy(f"{what} {source!r}; `millrace streams` lists Millrace's own")
    rows = await client.xrevrange(source, to_id, from_id, count=1)
    return str(rows[0][0].decode()) if rows else "0-0"


async def begin(client: Any, keys: Keys, copy: Copy, *, resume: bool, force: bool) -> Copy:
    """Where a copy begins, or goes on.

    Raises:
        CannotCopy: It reads what it writes, writes Millrace's own books, or is begun already.
    """
    if not force:
        if copy.into == copy.source:
            raise CannotCopy(f"{copy.source!r} would be read and written at once; --force copies what is in it now")
        if _OURS.fullmatch(copy.into.removeprefix(f"{keys.namespace}:")):
            raise CannotCopy(f"{copy.into!r} is Millrace's own book; entries from elsewhere would confuse its readers")
    if await client.type(copy.into) not in {b"none", b"stream"}:
        raise CannotCopy(f"{copy.into!r} is no stream: name another key")
    known = {name.decode(): value.decode() for name, value in (await client.hgetall(_key(keys, copy))).items()}
    if resume:
        if not known:
            raise CannotCopy(f"no copy of {copy.source!r} into {copy.into!r} with these ids was interrupted")
        return replace(copy, after=known["after"], last=known["last"], copied=int(known["copied"]))
    if known and not force:
        raise CannotCopy(
            f"this copy was interrupted after {known['after']} ({known['copied']} entries): go on with --resume, or "
            "copy all of it again with --force"
        )
    return replace(copy, last=await last_of(client, copy.source, copy.from_id, copy.to_id))


async def carry_out(client: Any, keys: Keys, copy: Copy, *, per_s: float) -> AsyncIterator[Copy]:
    """Copy page by page; answers how far it is after each.

    A page and the note of how far it is are one transaction, so a copy that is resumed adds nothing twice.
    """
    pace, key = Pace(per_s), _key(keys, copy)
    size = max(1, min(PAGE, int(per_s / 10)))
    async for rows in pages(client, copy.source, copy.start, copy.last, size):
        await asyncio.sleep(pace.spend(len(rows), time.monotonic()))
        copy = replace(copy, after=rows[-1][0].decode(), copied=copy.copied + len(rows))
        pipe = await transaction(client)
        for _, fields in rows:
            pipe.xadd(copy.into, fields)
        pipe.hset(key, mapping={"after": copy.after, "last": copy.last, "copied": copy.copied})
        pipe.expire(key, KEPT_S)
        await pipe.execute()
        yield copy
    await client.delete(key)


def _key(keys: Keys, copy: Copy) -> str:
    """In the slot of the stream that is written, so that a Cluster takes both in one transaction."""
    tag = re.search(r"\{([^{}]+)\}", copy.into)
    digest = digest_of(copy.source, copy.into, copy.from_id, copy.to_id)
    return f"{keys.namespace}:copies:{{{tag[1] if tag else copy.into}}}:{digest}"
