"""From a request body to a job: checked field by field, its targets judged, submitted once. And a job's end."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, Final

import orjson

from api.estimate import estimate
from api.look import find
from api.problems import Problem, field_errors
from api.views import API, links_of
from consumers.flow import UnknownFlow
from consumers.net.errors import FetchRefusedError
from consumers.net.guard import AllowList, check_addresses, check_url
from consumers.submit import BadSpec, check, new_job, submit
from schemas.jobs import JobAccepted
from streams.keys import job_id_for, job_id_from
from streams.log import IDEMPOTENCY_WINDOW_S
from streams.states import JobStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.auth import Caller
    from api.look import Found
    from api.services import Services
    from schemas.jobs import JobRequest

TARGETS: Final = ("url", "urls", "site", "sites", "competitors")
"""Fields of a spec that name what will be fetched."""
LOOPBACK: Final = ipaddress.IPv4Address("127.0.0.1")


async def accept(
    services: Services, request: JobRequest, caller: Caller, *, identity: str = "", traceparent: str | None = None
) -> JobAccepted:
    """Submit a job.

    Args:
        services: Where to.
        request: What was asked.
        caller: Whose job it will be.
        identity: What makes two sends one submission; empty for a new job each time, unless the request names one.
        traceparent: The caller's.

    Raises:
        Problem: The request is no job of its flow, or a target is refused.
        Refused: Submitted before with another body.
        Overloaded: Nothing new is taken in now.
    """
    verify(services, request)
    await services.pressure.check()
    if identity and request.job_id is not None:
        await _bind(services, request, identity)
        identity = ""
    done = await submit(
        services.log, services.flows, request, identity=identity, tenant=caller.tenant, traceparent=traceparent
    )
    accepted = JobAccepted(
        job_id=done.job_id, flow=request.flow, status="queued", trace_id=done.trace_id, links=links_of(done.job_id)
    )
    if done.is_new:
        return accepted
    known = (await find(services, done.job_id, caller.tenant)).view
    return accepted.model_copy(update={"status": known.status, "trace_id": known.trace_id or done.trace_id})


def verify(services: Services, request: JobRequest, inside: tuple[str, ...] = ()) -> None:
    """Check a request and its follow-ups.

    Args:
        inside: Where in the body the request is.

    Raises:
        Problem: With each field that is wrong.
    """
    allowed = AllowList.parse(services.settings.allow_hosts)
    step: JobRequest | None = request
    while step is not None:
        try:
            check(services.flows, step.model_copy(update={"then": None}))
            if step.job_id is not None:
                job_id_from(step.job_id, services.keys.partitions)
        except UnknownFlow as error:
            raise _wrong("unknown-flow", str(error), inside, [{"loc": ["flow"], "msg": str(error)}]) from None
        except BadSpec as error:
            found = error.problems or [{"loc": [_field_of(str(error))], "msg": str(error)}]
            raise _wrong("invalid-request", str(error), inside, found) from None
        except ValueError as error:
            raise _wrong("invalid-request", str(error), inside, [{"loc": ["job_id"], "msg": str(error)}]) from None
        for place, url in _targets(step):
            _judge(url, allowed, (*inside, *place))
        step, inside = step.then, (*inside, "then")


async def dry_run(services: Services, request: JobRequest, caller: Caller) -> dict[str, Any]:
    """What would be submitted, and what jobs alike needed (`Estimate`; None without a database).

    Raises:
        Problem: As `accept`.
    """
    verify(services, request)
    flow = services.flows.get(request.flow)
    job_id = job_id_from(request.job_id or "dry-run", services.keys.partitions)
    job = new_job(flow, request, job_id, tenant=caller.tenant, traceparent="")
    expected = await estimate(services, flow=flow.name, tenant=caller.tenant, spec=job.spec, budgets=job.budgets)
    return {
        "dry_run": True, "flow": flow.name, "tenant": caller.tenant, "priority": job.lane, "stage": job.stage,
        "until_stage": job.until_stage, "spec": orjson.loads(job.spec), "first": orjson.loads(job.data),
        "budgets": dict(job.budgets), "limit_s": flow.limit_s, "run_at": request.run_at,
        "expires_at": request.expires_at, "then": request.then.flow if request.then else None,
        "estimate": expected, "links": {"submit": f"{API}/jobs"},
    }  # fmt: skip


async def end(services: Services, found: Found, *, kill: bool, reason: str = "cancelled") -> None:
    """Cancel a job; one that was cancelled before may be cancelled again while something of it runs, to kill it.

    Raises:
        Problem: It is over.
    """
    record = found.record
    stopping = record is not None and record.status == JobStatus.CANCELLED and record.number("work") > 0
    if record is None or (found.has_ended and not stopping):
        raise Problem(
            "job-is-over", f"job {found.job_id} cannot be cancelled: it is over already ({found.view.status})"
        )
    await services.log.cancel(found.job_id, kill=kill, reason=reason)


async def _bind(services: Services, request: JobRequest, identity: str) -> None:
    """Let an identity stand for the job id that the caller chose, as it else stands for one that derives from it.

    Raises:
        Problem: It stands for another job already.
    """
    job_id = job_id_from(str(request.job_id), services.keys.partitions)
    derived = job_id_for(identity, services.keys.partitions)
    key = services.keys.of_job(derived).idempotency(derived)
    if await services.client.set(key, job_id, nx=True, ex=IDEMPOTENCY_WINDOW_S):
        return
    if await services.client.get(key) not in {None, job_id.encode()}:
        raise Problem(
            "submission-conflict",
            f"this idempotency key was used before, with another body than one for job {job_id}; use another key",
        )


def judge_target(services: Services, url: str, place: tuple[str, ...]) -> None:
    """Check that jobs may reach a URL.

    Raises:
        Problem: ``refused-target``, with the field that `place` leads to.
    """
    _judge(url, AllowList.parse(services.settings.allow_hosts), place)


def _judge(url: str, allowed: AllowList, place: tuple[str, ...]) -> None:
    field = ".".join(place)
    try:
        target = check_url(url, allowed)
        name = target.host.rstrip(".").lower()
        if name == "localhost" or name.endswith(".localhost"):  # RFC 6761: loopback, whatever a resolver says
            check_addresses(name, target.port, (LOOPBACK,), allowed)
    except FetchRefusedError as error:
        pointer = "#/" + "/".join(place)
        raise Problem(
            "refused-target", f"{field}: {error}", errors=[{"field": field, "pointer": pointer, "detail": str(error)}],
            extra={"reason": error.reason},
        ) from None  # fmt: skip


def _targets(request: JobRequest) -> Iterator[tuple[tuple[str, ...], str]]:
    for name in TARGETS:
        value = request.spec.get(name)
        if isinstance(value, str):
            yield ("spec", name), value
        elif isinstance(value, list):
            for at, one in enumerate(value):
                if isinstance(one, str):
                    yield ("spec", name, str(at)), one
    if request.notify is not None and request.notify.webhook is not None:
        yield ("notify", "webhook"), str(request.notify.webhook)


def _field_of(text: str) -> str:
    """The field that a refusal without places begins with."""
    first = text.partition(" ")[0]
    return first if first in {"from_stage", "until_stage", "expires_at", "run_at", "job_id"} else "spec"


def _wrong(name: str, detail: str, inside: tuple[str, ...], problems: list[dict[str, Any]]) -> Problem:
    return Problem(name, detail, errors=field_errors(problems, inside=inside))
