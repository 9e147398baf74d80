"""The audit log over its two homes: PostgreSQL, and a capped stream while there is none or it is away.

The stream is ``<namespace>:audit``; its newest `CAPPED` entries are kept. What went there stays there, and lists show
both in one order.
"""

from __future__ import annotations

import getpass
import logging
import os
import socket
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

from api.keys import DEFAULT_TENANT
from consumers.store.pages import Page, read_cursor, write_cursor
from streams.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from api.services import Services

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Told:
    """Whether what is done now was written down."""

    is_told: bool = False


_told: ContextVar[Told | None] = ContextVar("told", default=None)


@contextmanager
def watched() -> Iterator[Told]:
    """See whether `record` is called inside."""
    told = Told()
    token = _told.set(told)
    try:
        yield told
    finally:
        _told.reset(token)


CAPPED: Final = 10_000
PAGE: Final = 200


def cli_actor() -> str:
    """Who sits at the command line, as far as this machine knows."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no such user in the container
        user = str(os.getuid())
    return f"cli:{user}@{socket.gethostname()}"


async def record(
    services: Services,
    actor: str,
    action: str,
    target: str,
    detail: Mapping[str, Any] | None = None,
    *,
    tenant: str = DEFAULT_TENANT,
) -> None:
    """Write down what an operator changed; `consumers.store.audit` explains the arguments."""
    if (told := _told.get()) is not None:
        told.is_told = True
    if services.database is not None:
        try:
            await services.database.audit.record(actor, action, target, detail, tenant=tenant)
        except TransientError as error:
            logger.warning("PostgreSQL is away, %s %s by %s goes to the audit stream: %s", action, target, actor, error)
        else:
            return
    fields = {
        "tenant": tenant, "actor": actor, "action": action, "target": target, "detail": orjson.dumps(detail or {}),
    }  # fmt: skip
    await services.client.xadd(services.keys.audit, fields, maxlen=CAPPED, approximate=True)


async def page(
    services: Services,
    *,
    tenant: str | None,
    actor: str = "",
    action: str = "",
    target: str = "",
    since: datetime | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[dict[str, Any]]:
    """What was done, newest first, from both homes.

    Args:
        tenant: Whose; None for all.
        action: A name, or its first part: ``dlq``.

    Raises:
        BadCursorError: The cursor is not one that this gave.
        TransientError: PostgreSQL is away.
    """
    row_before, entry_before = 0, "+"
    if cursor is not None:
        one, other = read_cursor(cursor, int, str)
        row_before, entry_before = int(str(one)), str(other)
    found: list[tuple[datetime, int, str, dict[str, Any]]] = []
    if services.database is not None:
        rows = await services.database.audit.page(
            tenant=tenant, actor=actor, action=action, target=target, since=since, before=row_before or None,
            limit=limit + 1,
        )  # fmt: skip
        for row in rows:
            view = {"actor": row.actor, "action": row.action, "target": row.target, "detail": row.detail}
            found.append((row.at, row.id, "", {"id": str(row.id), "at": row.at, "tenant": row.tenant, **view}))
    async for at, entry_id, fields in _kept(services, entry_before):
        is_meant = (
            tenant in {None, fields["tenant"]}
            and actor in {"", fields["actor"]}
            and (not action or fields["action"] == action or fields["action"].startswith(f"{action}."))
            and target in {"", fields["target"]}
            and (since is None or at >= since)
        )
        if is_meant:
            view = {**fields, "detail": orjson.loads(fields["detail"])}
            found.append((at, 0, entry_id, {"id": entry_id, "at": at, **view}))
            if sum(not row_id for _, row_id, *_ in found) > limit:
                break
    found.sort(key=lambda one: (one[0], one[1], one[2]), reverse=True)
    shown = found[:limit]
    for _, row_id, entry_id, _ in shown:
        if row_id:
            row_before = row_id
        else:
            entry_before = f"({entry_id}"
    return Page([view for *_, view in shown], write_cursor(row_before, entry_before) if len(found) > limit else None)


async def _kept(services: Services, before: str) -> AsyncIterator[tuple[datetime, str, dict[str, str]]]:
    """What is in the stream, newest first."""
    while True:
        rows = await services.client.xrevrange(services.keys.audit, before, "-", count=PAGE)
        for raw_id, raw in rows:
            entry_id = raw_id.decode()
            at = datetime.fromtimestamp(int(entry_id.partition("-")[0]) / 1_000, UTC)
            yield at, entry_id, {name.decode(): value.decode("utf-8", "replace") for name, value in raw.items()}
        if len(rows) < PAGE:
            return
        before = "(" + rows[-1][0].decode()
