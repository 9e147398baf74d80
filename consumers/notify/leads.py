"""Telling of each lead that a job found first, when its `notify` asks for it; the job itself is told of as ever."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

from consumers.notify.mail import Mail
from consumers.notify.post import CHANNEL
from consumers.notify.tell import AT_ONCE, POLICY, all_heard, call_webhook, notify, send_mail
from consumers.notify.webhook import Call
from consumers.notify.words import page_of
from consumers.outcome import Done, Outcome
from consumers.stage import stage
from schemas.jobs import NotifySpec
from schemas.leads import FoundLead, LeadsResult
from schemas.stages import Ending

if TYPE_CHECKING:
    from consumers.context import StageContext
    from consumers.store.models import Lead

EVENT_TYPE: Final = "millrace.lead.qualified"


@stage(name="notify", accepts=Ending, policy=POLICY)
async def notify_leads(ending: Ending, ctx: StageContext) -> Outcome:
    """Tell of the job's end; then of each new lead, once each to everybody."""
    heard = await notify.handler(ending, ctx)
    record = await ctx.job()
    told = record.fields.get("notify") if record is not None else None
    if not isinstance(heard, Done) or not told:
        return heard
    spec = NotifySpec.model_validate_json(told)
    kept = await ctx.store.results.get(ctx.job_id, tenant=ctx.tenant, revision=ending.revision) if spec.leads else None
    if kept is None:
        return heard
    new = [line.lead_id for line in LeadsResult.model_validate(kept.payload).leads if line.is_new]
    # One that was erased meanwhile is not there any more.
    found = [await ctx.store.leads.get(lead_id, tenant=ctx.tenant) for lead_id in new]
    leads = [lead for lead in found if lead is not None]
    if not (ctx.checkpointed or {}).get("leads"):
        for lead in leads:
            await ctx.publish_outcome(lead_event(lead, ctx))
    gate = asyncio.Semaphore(AT_ONCE)
    tries = []
    for lead in leads:
        tries += [send_mail(_mail(to, lead, ctx), gate, ctx) for to in dict.fromkeys(spec.email)]
        if spec.webhook is not None:
            url = str(spec.webhook)
            key = _key(lead, "webhook", url, ctx)
            tries.append(call_webhook(url, key, Call(f"msg_{key[-32:]}", _body(lead)), gate, ctx))
    return await all_heard(tries, {"published": True, "leads": True}, ctx)


def lead_event(lead: Lead, ctx: StageContext) -> dict[str, str]:
    """A lead as the fields of an entry on the outcomes stream: its id and score, and nothing to be erased with it.

    Source: CloudEvents 1.0.
    """
    return {
        "specversion": "1.0",
        "id": f"{ctx.job_id}/{lead.id}",
        "source": f"/{ctx.settings.namespace}",
        "type": EVENT_TYPE,
        "subject": ctx.job_id,
        "time": lead.created_at.isoformat(),
        "datacontenttype": "application/json",
        "traceparent": ctx.traceparent,
        "data": orjson.dumps({"lead_id": lead.id, "score": lead.score, "links": _links(lead)}).decode(),
    }


def _links(lead: Lead) -> dict[str, str]:
    return {"self": f"/api/v1/leads/{lead.id}"}


def _body(lead: Lead) -> bytes:
    found = FoundLead.model_validate(lead.payload)
    data: dict[str, Any] = {
        "lead_id": lead.id, "job_id": lead.job_id, "name": lead.name, "score": lead.score, "reasons": lead.reasons,
        "website": found.website, "address": found.address, "phones": [one.value for one in found.phones],
        "emails": [one.value for one in found.emails], "links": _links(lead),
    }  # fmt: skip
    return orjson.dumps({"type": EVENT_TYPE, "timestamp": lead.created_at.isoformat(), "data": data})


def _mail(to: str, lead: Lead, ctx: StageContext) -> Mail:
    found = FoundLead.model_validate(lead.payload)
    reasons = "\n".join(f"  {one['points']:3} {one['text']}" for one in lead.reasons)
    contacts = [
        *(one.value for one in found.phones),
        *(one.value for one in found.emails),
        found.website,
        found.address,
    ]
    text = (
        f"{lead.name}\n\nScore {lead.score} of 100:\n{reasons}\n\n"
        + "\n".join(one for one in contacts if one)
        + f"\n\nmillrace leads show {lead.id}\n"
    )
    subject = f"Millrace: new lead {' '.join(lead.name.split())[:100]}, score {lead.score}"
    sender = ctx.settings.mail_from or ""
    return Mail(_key(lead, CHANNEL, to, ctx), to, sender, subject, text, page_of(text), datetime.now(UTC))


def _key(lead: Lead, channel: str, target: str, ctx: StageContext) -> str:
    digest = hashlib.sha256(f"{ctx.job_id}\n{lead.id}\n{channel}\n{target}".encode()).hexdigest()
    return f"{ctx.job_id}/{ctx.revision}/{digest[:32]}"
