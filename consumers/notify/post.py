"""A mail on its way: counted against the limit, never to a suppressed address, sent at most once.

A delivery record is written before and after. Should a worker die between sending and recording, the record stays as
begun: whoever comes next reports that it may have been sent, and neither sends it again nor drops it in silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from consumers.notify.mail import MAIL_LIMIT, Mail, MaybeSent, RecipientRefused, sender_of
from streams.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from consumers.context import StageContext
    from consumers.store.models import Delivery

CHANNEL: Final = "mail"
GIVE_UP_AFTER: Final = timedelta(hours=1)
"""From the first try to tell an addressee."""

Ended = Literal["sent", "maybe_sent", "suppressed", "refused", "wait"]


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of a mail.

    Attributes:
        ended: ``wait``: the limit says when, `wait_s`; nothing was begun.
        said: For people, when it was not plainly sent.
    """

    ended: Ended
    said: str = ""
    wait_s: float = 0.0


async def post(ctx: StageContext, mail: Mail, *, again: bool = False) -> Posted:
    """Send a mail once.

    Args:
        again: Try one that failed before; else that is answered as it was.

    Raises:
        TransientError: Nothing was sent, it may be tried again.
        PermanentError: Nothing was sent, and trying again cannot help.
    """
    suppressed = await ctx.store.suppressions.find(mail.to, tenant=ctx.tenant)
    before = await ctx.store.deliveries.find(mail.key, tenant=ctx.tenant)
    if suppressed is None and (before is None or _known(before, mail, again=again) is None):
        wait_s = await ctx.reserve(MAIL_LIMIT, mail.message_id)
        if wait_s > 0:
            return Posted("wait", wait_s=wait_s)
    delivery = await ctx.store.deliveries.begin(
        mail.key, tenant=ctx.tenant, job_id=ctx.job_id, revision=ctx.revision, channel=CHANNEL, target=mail.to,
        deadline_at=datetime.now(UTC) + GIVE_UP_AFTER, again=again,
    )  # fmt: skip
    known = _known(delivery, mail, again=again)
    if known is not None:
        if known.ended == "maybe_sent":
            await ctx.store.deliveries.end(mail.key, "unknown", tenant=ctx.tenant, error=known.said)
        return known
    if suppressed is not None:
        said = f"{mail.to} is suppressed ({suppressed.reason}); `millrace suppressions remove {mail.to}` lifts it"
        await ctx.store.deliveries.end(mail.key, "failed", tenant=ctx.tenant, error=said)
        return Posted("suppressed", said)
    return await _send(
        ctx, mail, is_over=delivery.deadline_at is not None and delivery.deadline_at <= datetime.now(UTC)
    )


async def _send(ctx: StageContext, mail: Mail, *, is_over: bool) -> Posted:
    """Send a mail whose delivery has begun, and record how that ended."""
    deliveries = ctx.store.deliveries
    try:
        await sender_of(ctx.settings, ctx.fetch).send(mail)
    except MaybeSent as error:
        await deliveries.end(mail.key, "unknown", tenant=ctx.tenant, error=str(error))
        return Posted("maybe_sent", str(error))
    except PermanentError as error:
        await deliveries.end(mail.key, "failed", tenant=ctx.tenant, error=str(error))
        if isinstance(error, RecipientRefused):
            await ctx.store.suppressions.add(mail.to, tenant=ctx.tenant, reason="bounced", detail=str(error))
            return Posted("refused", str(error))
        raise
    except TransientError as error:
        await deliveries.end(mail.key, "failed" if is_over else "pending", tenant=ctx.tenant, error=str(error))
        if is_over:
            raise PermanentError(f"{error}; it is given up after {GIVE_UP_AFTER}", reason="mail_given_up") from error
        raise
    await deliveries.end(mail.key, "sent", tenant=ctx.tenant)
    return Posted("sent")


def _known(delivery: Delivery, mail: Mail, *, again: bool) -> Posted | None:
    """How an earlier try ended; None when there is to be one."""
    if delivery.status == "sent":
        return Posted("sent")
    if delivery.status == "unknown":
        return Posted("maybe_sent", f"the mail to {mail.to} may have been sent before; it is not sent again")
    return Posted("refused", delivery.last_error or "") if delivery.status == "failed" and not again else None
