"""The flow `email`: each addressee's mail is a task, at most once, under the limit that all mail shares."""

from __future__ import annotations

from datetime import UTC, datetime

from selectolax.lexbor import LexborHTMLParser

from consumers.context import StageContext
from consumers.flow import Flow
from consumers.notify.mail import Mail
from consumers.notify.post import post
from consumers.notify.tell import POLICY
from consumers.notify.words import page_of
from consumers.outcome import Done, Emit, Outcome, Snooze
from consumers.stage import stage
from schemas.emails import EmailResult, EmailSpec, Envelope, Letter, Posted
from schemas.stages import CompileRequest
from streams.errors import PermanentError
from streams.policy import waiting_for


@stage(name="crawl", accepts=Letter, emits=("extract",))
async def address(letter: Letter, _: StageContext) -> Outcome:
    """One task for each addressee, however often they are named."""
    return Done(tuple(Emit("extract", Envelope(to=to), once=to.lower()) for to in letter.to))


@stage(name="extract", accepts=Envelope, policy=POLICY)
async def send(envelope: Envelope, ctx: StageContext) -> Outcome:
    """Send one addressee's mail."""
    spec = await ctx.spec(EmailSpec)
    mail = Mail(
        f"{ctx.job_id}/{ctx.task}", envelope.to, ctx.settings.mail_from or "", spec.subject,
        spec.text or text_of(spec.html or ""), spec.html or page_of(spec.text or ""), datetime.now(UTC), spec.reply_to,
    )  # fmt: skip
    # A redriven dead letter comes here again: it failed before, so nothing was sent.
    posted = await post(ctx, mail, again=True)
    if posted.ended == "wait":
        return Snooze(posted.wait_s, waiting_for("mail"))
    await ctx.collect(Posted(to=envelope.to, ended=posted.ended, said=posted.said))
    if posted.ended == "sent":
        return Done()
    ctx.log.warning("%s", posted.said)
    return Done(missing=(posted.said,))


@stage(name="compile", accepts=CompileRequest)
async def sum_up(_: CompileRequest, ctx: StageContext) -> Outcome:
    """Who has it, and who has not.

    Raises:
        PermanentError: Nobody has it, and nobody may have.
    """
    posted = [one async for one in ctx.collected(Posted)]
    failures = await ctx.failures()
    lost = [f"{Envelope.model_validate_json(one.data).to}: {one.error or one.reason}" for one in failures]
    if not any(one.ended in {"sent", "maybe_sent"} for one in posted):
        said = "; ".join([*(one.said for one in posted), *lost])
        raise PermanentError(f"nobody got this mail: {said}", reason="not_sent")

    def those(ended: str) -> tuple[str, ...]:
        return tuple(one.to for one in posted if one.ended == ended)

    missing = (*(one.said for one in posted if one.ended != "sent"), *lost)
    return Done(
        result=EmailResult(
            sent=those("sent"), may_have_been_sent=those("maybe_sent"), suppressed=those("suppressed"),
            refused=those("refused"), missing=missing,
        )
    )  # fmt: skip


def text_of(html: str) -> str:
    """The words of a page, for readers that show no HTML."""
    tree = LexborHTMLParser(html)
    for node in tree.css("script, style, head"):
        node.decompose()
    lines = (line.strip() for line in tree.text(separator="\n").splitlines())
    return "\n".join(line for line in lines if line) or " "


flow = Flow(
    name="email",
    spec=EmailSpec,
    stages=(address, send, sum_up),
    first=lambda spec: Letter(to=spec.to),
    about="sends a mail",
)
