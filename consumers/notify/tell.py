"""Telling of a job's end. Whatever becomes of it, the job's status stays as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from consumers.notify.event import cloud_event, message_id, outcome_of
from consumers.notify.mail import MaybeSent, send_mail
from consumers.notify.news import is_silent, news_in
from consumers.notify.webhook import send_webhook
from consumers.outcome import Done, Outcome
from consumers.stage import stage
from schemas.jobs import NotifySpec
from schemas.stages import Ending
from streams.errors import PermanentError, TransientError
from streams.policy import RetryPolicy, StagePolicy

if TYPE_CHECKING:
    from consumers.context import StageContext
    from schemas.outcomes import JobOutcome

POLICY: Final = StagePolicy(
    soft_timeout_s=60,
    timeout_s=70,
    concurrency=10,
    pool="mail",
    retry=RetryPolicy(max_attempts=6, base_s=10, cap_s=600),
)

GIVE_UP_AFTER: Final = timedelta(hours=1)
"""From the first try to tell an addressee."""

AT_ONCE: Final = 4
"""Addressees told at a time."""


@dataclass(frozen=True, slots=True)
class _Addressee:
    """Who is to be told.

    Attributes:
        is_repeatable: Whether the receiver recognises a repeat, so that a try of unknown end may be made again.
    """

    channel: str
    target: str
    is_repeatable: bool
    send: Callable[[], Awaitable[None]]


@stage(name="notify", accepts=Ending, policy=POLICY)
async def notify(ending: Ending, ctx: StageContext) -> Outcome:
    """Publish the outcome, then tell whom the job names."""
    record = await ctx.job()
    outcome = outcome_of(ending, ctx.job_id, ctx.flow, ctx.tenant, record, now=datetime.now(UTC))
    if ctx.checkpointed is None:
        event = cloud_event(outcome, namespace=ctx.settings.namespace, traceparent=ctx.traceparent)
        await ctx.publish_outcome(event)
    told = record.fields.get("notify") if record is not None else None
    if not told or record is None:
        return Done()
    kept = await ctx.store.results.get(ctx.job_id, tenant=ctx.tenant, revision=outcome.revision)
    payload = kept.payload if kept is not None else None
    if is_silent(record, payload):
        ctx.log.info("nothing is new, so nobody is told")
        return Done()
    outcome = outcome.model_copy(update={"news": tuple(news_in(payload))})
    gate = asyncio.Semaphore(AT_ONCE)
    addressees = _addressees(NotifySpec.model_validate_json(told), outcome, await _details(outcome, ctx), ctx)
    ends = await asyncio.gather(*(_tell(one, outcome, gate, ctx) for one in addressees), return_exceptions=True)
    errors = [end for end in ends if end is not None]
    if errors:
        await ctx.checkpoint({"published": True})
        raise errors[0]
    return Done()


def _addressees(spec: NotifySpec, outcome: JobOutcome, details: list[str], ctx: StageContext) -> list[_Addressee]:
    settings = ctx.settings
    found = [
        _Addressee("mail", address, is_repeatable=False, send=partial(send_mail, settings, address, outcome, details))
        for address in dict.fromkeys(spec.email)
    ]
    if spec.webhook is not None:
        url = str(spec.webhook)
        send = partial(
            send_webhook, ctx.fetch, url, outcome, secret=settings.webhook_secret, traceparent=ctx.traceparent,
            now=datetime.now(UTC),
        )  # fmt: skip
        found.append(_Addressee("webhook", url, is_repeatable=True, send=send))
    return found


async def _details(outcome: JobOutcome, ctx: StageContext) -> list[str]:
    """What is missing or went wrong, from the result, else from the dead letters."""
    kept = await ctx.store.results.get(ctx.job_id, tenant=ctx.tenant, revision=outcome.revision)
    payload = kept.payload if kept is not None and isinstance(kept.payload, dict) else {}
    if lines := news_in(payload) + [_line(one) for one in payload.get("missing") or ()]:
        return lines
    return [f"{one.stage}: {one.error or one.reason}" for one in await ctx.failures()]


def _line(missing: object) -> str:
    if not isinstance(missing, dict):
        return str(missing)
    return ": ".join(str(missing[name]) for name in ("what", "reason", "url") if missing.get(name))


async def _tell(
    one: _Addressee, outcome: JobOutcome, gate: asyncio.Semaphore, ctx: StageContext
) -> TransientError | None:
    """Try to tell one addressee; answers the error when it is worth another try."""
    deliveries, key = (
        ctx.store.deliveries,
        f"{ctx.job_id}/{outcome.revision}/{message_id(outcome, one.channel, one.target)}",
    )
    async with gate:
        delivery = await deliveries.begin(
            key, tenant=ctx.tenant, job_id=ctx.job_id, revision=outcome.revision, channel=one.channel,
            target=one.target, deadline_at=datetime.now(UTC) + GIVE_UP_AFTER,
        )  # fmt: skip
        if delivery.status in {"sent", "failed"}:
            return None
        if delivery.status == "unknown" and not one.is_repeatable:
            ctx.log.warning("%s to %s may have been sent before; it is not sent again", one.channel, one.target)
            return None
        try:
            await one.send()
        except MaybeSent as error:
            await deliveries.end(key, "unknown", tenant=ctx.tenant, error=str(error))
            ctx.log.warning("%s", error)
        except PermanentError as error:
            await deliveries.end(key, "failed", tenant=ctx.tenant, error=str(error))
            ctx.log.error("%s to %s failed: %s", one.channel, one.target, error)  # noqa: TRY400 - it is no surprise
        except TransientError as error:
            is_last = ctx.attempt >= POLICY.retry.max_attempts or _is_over(delivery.deadline_at)
            await deliveries.end(key, "failed" if is_last else "pending", tenant=ctx.tenant, error=str(error))
            ctx.log.warning("%s to %s: attempt %d: %s", one.channel, one.target, ctx.attempt, error)
            return None if is_last else error
        else:
            await deliveries.end(key, "sent", tenant=ctx.tenant)
            ctx.log.info("%s to %s was sent", one.channel, one.target)
    return None


def _is_over(deadline_at: datetime | None) -> bool:
    return deadline_at is not None and deadline_at <= datetime.now(UTC)
