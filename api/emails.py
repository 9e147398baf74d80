"""Mails and suppressed addresses as their users see them, for the routes and the command line alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from consumers.notify.post import CHANNEL
from consumers.store.pages import Page
from schemas.emails import EmailView, SuppressionView

if TYPE_CHECKING:
    from api.services import Services
    from consumers.store.models import Delivery

Shown = Literal["waiting", "sending", "sent", "failed", "may_have_been_sent"]

SENT_WITHIN: Final = timedelta(minutes=2)
"""A mail that was begun so shortly ago is being sent; one begun before has lost its worker."""

_STATUSES: Final[dict[Shown, tuple[Literal["pending", "sent", "failed", "unknown"], ...]]] = {
    "waiting": ("pending",), "sending": ("unknown",), "sent": ("sent",), "failed": ("failed",),
    "may_have_been_sent": ("unknown",),
}  # fmt: skip


async def page_of_emails(
    services: Services, tenant: str, *, status: Shown | None, cursor: str | None, limit: int
) -> Page[EmailView]:
    """A tenant's mails to each addressee, newest first; with a status, a page may have fewer items than `limit`.

    Raises:
        BadCursorError: The cursor is not one that a list gave.
        TransientError: The database is away.
    """
    statuses = _STATUSES[status] if status is not None else ()
    page = await services.store.deliveries.page(
        tenant=tenant, channel=CHANNEL, statuses=statuses, cursor=cursor, limit=limit
    )
    now = datetime.now(UTC)
    views = [email_view(one, now) for one in page.items]
    return Page([view for view in views if status in {None, view.status}], page.next)


def email_view(delivery: Delivery, now: datetime) -> EmailView:
    """A delivery by mail, as it is shown."""
    status: Shown
    match delivery.status:
        case "sent":
            status = "sent"
        case "failed":
            status = "failed"
        case "unknown":
            is_now = delivery.last_error is None and now - delivery.changed_at < SENT_WITHIN
            status = "sending" if is_now else "may_have_been_sent"
        case _:
            status = "waiting"
    return EmailView(
        to=delivery.target, status=status, job_id=delivery.job_id, revision=delivery.revision,
        attempts=delivery.attempts, error=delivery.last_error, created_at=delivery.created_at,
        changed_at=delivery.changed_at,
    )  # fmt: skip


async def page_of_suppressions(
    services: Services, tenant: str, *, cursor: str | None, limit: int
) -> Page[SuppressionView]:
    """A tenant's suppressed addresses.

    Raises:
        BadCursorError: The cursor is not one that a list gave.
    """
    page = await services.store.suppressions.page(tenant=tenant, cursor=cursor, limit=limit)
    return Page(
        [
            SuppressionView(address=one.address, reason=one.reason, detail=one.detail, created_at=one.created_at)
            for one in page.items
        ],
        page.next,
    )
