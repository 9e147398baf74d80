"""Telling of a job's end. Whatever becomes of it, the job's status stays as it is."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from consumers.notify.event import cloud_event, message_id, outcome_of
from consumers.notify.mail import MAIL_LIMIT, Mail
from consumers.notify.news import is_silent, news_in
from consumers.notify.post import CHANNEL, GIVE_UP_AFTER, post
from consumers.notify.webhook import Call, outcome_call, send_webhook
from consumers.notify.words import html_of, subject_of, text_of
from consumers.outcome import Done, Outcome, Snooze
from consumers.stage import stage
from schemas.jobs import NotifySpec
from schemas.stages import Ending
from streams.errors import PermanentError, TransientError
from streams.policy import RetryPolicy, StagePolicy, waiting_for

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from consumers.context import StageContext
    from schemas.outcomes import JobOutcome

POLICY: Final = StagePolicy(
    soft_timeout_s=60,
    timeout_s=70,
    concurrency=10,
    pool="mail",
    retry=RetryPolicy(max_attempts=6, base_s=10, cap_s=600),
    reserves=(MAIL_LIMIT,),
)

AT_ONCE: Final = 4
"""Addressees told at a time."""


Heard = float | None
"""Seconds until the limit lets an addressee be told; None: that has come to an end."""


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
    spec, gate = NotifySpec.model_validate_json(told), asyncio.Semaphore(AT_ONCE)
    details = await _details(outcome, ctx) if spec.email else []
    tries = [send_mail(_mail(to, outcome, details, ctx), gate, ctx) for to in dict.fromkeys(spec.email)]
    if spec.webhook is not None:
        url = str(spec.webhook)
        tries.append(call_webhook(url, _key(outcome, "webhook", url, ctx), outcome_call(outcome, url), gate, ctx))
    return await all_heard(tries, {"published": True}, ctx)


async def all_heard(tries: list[Coroutine[Any, Any, Heard]], published: dict[str, bool], ctx: StageContext) -> Outcome:
    """Make all tries; what is left of them is made again later, and those that were heard are not.

    Args:
        published: Kept for that time, so that nothing is published twice.
    """
    heard = await asyncio.gather(*tries, return_exceptions=True)
    errors = [one for one in heard if isinstance(one, BaseException)]
    waits = [one for one in heard if isinstance(one, float)]
    if errors or waits:
        await ctx.checkpoint(published)
    if errors:
        raise errors[0]
    return Snooze(min(waits), waiting_for("mail")) if waits else Done()


async def _details(outcome: JobOutcome, ctx: StageContext) -> list[str]:
    """What the result says first, its news and what it lacks; without any the dead letters."""
    kept = await ctx.store.results.get(ctx.job_id, tenant=ctx.tenant, revision=outcome.revision)
    payload = kept.payload if kept is not None and isinstance(kept.payload, dict) else {}
    said = [str(line) for line in payload.get("headline") or ()]
    if lines := said + news_in(payload) + [_line(one) for one in payload.get("missing") or ()]:
        return lines
    return [f"{one.stage}: {one.error or one.reason}" for one in await ctx.failures()]


def _line(missing: object) -> str:
    if not isinstance(missing, dict):
        return str(missing)
    return ": ".join(str(missing[name]) for name in ("what", "reason", "url") if missing.get(name))


def _key(outcome: JobOutcome, channel: str, target: str, ctx: StageContext) -> str:
    return f"{ctx.job_id}/{outcome.revision}/{message_id(outcome, channel, target)}"


def _mail(to: str, outcome: JobOutcome, details: list[str], ctx: StageContext) -> Mail:
    return Mail(
        _key(outcome, CHANNEL, to, ctx), to, ctx.settings.mail_from or "", subject_of(outcome),
        text_of(outcome, details), html_of(outcome, details), outcome.finished_at,
    )  # fmt: skip


async def send_mail(mail: Mail, gate: asyncio.Semaphore, ctx: StageContext) -> Heard:
    """Try to mail one addressee."""
    to = mail.to
    async with gate:
        try:
            posted = await post(ctx, mail)
        except PermanentError as error:
            ctx.log.error("mail to %s failed: %s", to, error)  # noqa: TRY400 - it is no surprise
            return None
        except TransientError as error:
            await _again_or_not(error, mail.key, f"mail to {to}", ctx)
            return None
    if posted.ended == "wait":
        return posted.wait_s
    if posted.ended == "sent":
        ctx.log.info("mail to %s was sent", to)
    else:
        ctx.log.warning("%s", posted.said)
    return None


async def call_webhook(url: str, key: str, call: Call, gate: asyncio.Semaphore, ctx: StageContext) -> Heard:
    """Try to call one webhook; the receiver recognises a repeat, so a try of unknown end is made again.

    Args:
        key: Of its delivery record.
    """
    deliveries = ctx.store.deliveries
    async with gate:
        delivery = await deliveries.begin(
            key, tenant=ctx.tenant, job_id=ctx.job_id, revision=ctx.revision, channel="webhook", target=url,
            deadline_at=datetime.now(UTC) + GIVE_UP_AFTER,
        )  # fmt: skip
        if delivery.status in {"sent", "failed"}:
            return None
        try:
            await send_webhook(
                ctx.fetch, url, call, secret=ctx.settings.webhook_secret, traceparent=ctx.traceparent,
                now=datetime.now(UTC),
            )  # fmt: skip
        except PermanentError as error:
            await deliveries.end(key, "failed", tenant=ctx.tenant, error=str(error))
            ctx.log.error("webhook to %s failed: %s", url, error)  # noqa: TRY400 - it is no surprise
            return None
        except TransientError as error:
            await deliveries.end(key, "pending", tenant=ctx.tenant, error=str(error))
            is_over = delivery.deadline_at is not None and delivery.deadline_at <= datetime.now(UTC)
            await _again_or_not(error, key, f"webhook to {url}", ctx, is_over=is_over)
            return None
        await deliveries.end(key, "sent", tenant=ctx.tenant)
    ctx.log.info("webhook to %s was sent", url)
    return None


async def _again_or_not(
    error: TransientError, key: str, what: str, ctx: StageContext, *, is_over: bool = False
) -> None:
    """Raise an error that is worth another try; give up on the last one."""
    ctx.log.warning("%s: attempt %d: %s", what, ctx.attempt, error)
    if not is_over and ctx.attempt < POLICY.retry.max_attempts:
        raise error
    await ctx.store.deliveries.end(key, "failed", tenant=ctx.tenant, error=str(error))
