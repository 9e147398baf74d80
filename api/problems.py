"""Every error that the API answers, as ``application/problem+json``.

A problem's `type` is a path that this API serves (``GET /problems/<name>``); `detail` says what happened, to what, and
what to do. Nothing of the inside goes out: no stack trace, no secret, no text of an unforeseen exception.

Source: RFC 9457, "Problem Details for HTTP APIs".
"""

from __future__ import annotations

import logging
import math
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from redis.exceptions import RedisClusterException, RedisError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from consumers.edit import BadEdit
from consumers.flow import UnknownFlow
from consumers.llm import LlmError
from consumers.net.errors import FetchRefusedError
from consumers.schedules import NoSuchSchedule
from consumers.store import BadCursorError
from consumers.submit import BadSpec
from streams.connect import AWAY
from streams.errors import PermanentError, Refused, TransientError
from streams.pauses import BadPause
from streams.scripts import Code

if TYPE_CHECKING:
    from starlette.types import ExceptionHandler

logger = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 2

FieldError = dict[str, str]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: its status, its title, and what it means."""

    status: int
    title: str
    about: str


KINDS: Final[Mapping[str, Kind]] = {
    "bad-json": Kind(400, "The body is no JSON", "Send one JSON value, UTF-8, nested at most 100 deep."),
    "bad-event": Kind(400, "The event is no CloudEvent 1.0", "It needs specversion 1.0, id, source, type and data."),
    "unauthenticated": Kind(401, "An API key is needed", "Send `Authorization: Bearer mr_...` or `X-API-Key`."),
    "forbidden": Kind(403, "The API key may not do this", "Use a key that has the scope named in `detail`."),
    "bad-token": Kind(403, "The form is not of this session", "Load the page again, and send its form from there."),
    "foreign-origin": Kind(403, "A page of another origin asked", "Allow its origin with MILLRACE_CORS_ORIGINS."),
    "foreign-host": Kind(403, "The request names another host", "Use 127.0.0.1 or localhost, or an API key."),
    "not-found": Kind(
        404, "There is no such thing", "Correct the path or the id; other tenants' things are not there."
    ),
    "no-result": Kind(404, "There is no result", "Wait for the job's end, or look at its status."),
    "method-not-allowed": Kind(405, "The path has no such method", "Use one of those in `Allow`."),
    "timeout": Kind(408, "The body did not arrive in time", "Send the request again."),
    "job-is-over": Kind(409, "The job is over", "Submit it again if it should run again."),
    "quarantined": Kind(
        409, "The dead letter is in quarantine", "It was redriven too often: send `force` if that is meant."
    ),
    "replay-is-over": Kind(409, "The replay is over", "Ask for another one."),
    "name-taken": Kind(409, "The name is taken", "Take another name, or change what has it."),
    "built-in": Kind(409, "It is built in", "What is built in can be paused and changed, not removed."),
    "not-downloaded": Kind(409, "The document's bytes are not here", "Download it first; `detail` says how."),
    "nothing-to-retry": Kind(409, "The job has no dead letters", "Only what was dead-lettered can be retried."),
    "legal-hold": Kind(409, "It is under legal hold", "An admin lifts the hold of the collection first."),
    "no-model": Kind(409, "No language model may be asked", "`detail` says what to set, or why the model is refused."),
    "result-expired": Kind(410, "The result has expired", "Submit the job again; `result_ttl_s` says how long."),
    "too-large": Kind(413, "The body is too large", "Upload large data first and refer to it."),
    "unsupported-media-type": Kind(415, "The body is not declared as JSON", "Send `Content-Type: application/json`."),
    "invalid-request": Kind(422, "The request does not fit", "`errors` names each field and what is expected."),
    "unknown-flow": Kind(422, "There is no such flow", "`detail` lists the flows that are installed."),
    "refused-target": Kind(422, "The target is refused", "Name a public address, or let the operator allow this one."),
    "submission-conflict": Kind(422, "Submitted before with another body", "Use another key, or the same body."),
    "too-many": Kind(429, "Too many tries", "Wait as long as `Retry-After` says."),
    "internal": Kind(500, "Something went wrong here", "The log has the reason under the `incident` given."),
    "model-failed": Kind(
        502, "The language model failed", "`detail` says what it answered and which setting to look at."
    ),
    "unavailable": Kind(503, "A part of Millrace is away", "Try again; `GET /health/ready` says which part."),
}
"""Name -> kind. The name is the last part of the type URI."""


class Problem(Exception):  # noqa: N818 - RFC 9457's own name
    """Raised anywhere below a route to answer with a problem.

    Args:
        name: One of `KINDS`.
        detail: What happened, to what, and what to do.
        errors: The fields that are wrong: ``{"field", "detail"}``, with ``"pointer"`` for those of the body.
        headers: Sent with the answer.
        extra: Extension members.
    """

    def __init__(
        self,
        name: str,
        detail: str,
        *,
        errors: Iterable[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.name = name
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})
        if KINDS[name].status == 503:  # noqa: PLR2004 - service unavailable
            self.headers.setdefault("Retry-After", str(RETRY_AFTER_S))

    @property
    def status(self) -> int:
        """The HTTP status."""
        return KINDS[self.name].status

    def body(self, instance: str = "") -> dict[str, Any]:
        """The members of the problem object."""
        kind = KINDS[self.name]
        members: dict[str, Any] = {
            "type": f"/problems/{self.name}", "title": kind.title, "status": kind.status, "detail": self.detail,
        }  # fmt: skip
        if instance:
            members["instance"] = instance
        if self.errors:
            members["errors"] = self.errors
        return members | self.extra

    def response(self, instance: str = "") -> Response:
        """The answer."""
        return Response(orjson.dumps(self.body(instance)), self.status, self.headers, MEDIA_TYPE)


def field_errors(errors: Iterable[Mapping[str, Any]], *, inside: tuple[str | int, ...] = ()) -> list[FieldError]:
    """Pydantic's errors as `errors` of a problem; no input is repeated.

    Args:
        errors: With ``loc`` and ``msg``.
        inside: Where in the body the validated value was.
    """
    found = []
    for error in errors:
        path = (*inside, *error["loc"])
        found.append({
            "field": ".".join(map(str, path)) or "body",
            "pointer": "#" + "".join(f"/{_escaped(part)}" for part in path),
            "detail": str(error["msg"]).removeprefix("Value error, "),
        })  # fmt: skip
    return found


def problem_of(error: Exception) -> Problem | None:  # noqa: C901, PLR0911, PLR0912 - a table
    """The problem that a foreseen exception stands for; None for a surprise."""
    match error:
        case Problem():
            return error
        case UnknownFlow():
            return Problem("unknown-flow", str(error), errors=[_in_body("flow", "is not the name of a flow")])
        case BadSpec():
            return Problem(
                "invalid-request", str(error), errors=field_errors(error.problems) or [_in_body("spec", str(error))]
            )
        case FetchRefusedError():
            return Problem("refused-target", str(error), extra={"reason": error.reason})
        case NoSuchSchedule():
            return Problem("not-found", str(error))
        case BadCursorError():
            return Problem("invalid-request", str(error), errors=[{"field": "cursor", "detail": str(error)}])
        case Refused():
            return _of_refusal(error)
        case TransientError():
            wait_s = error.retry_after_s
            headers = {"Retry-After": str(math.ceil(wait_s))} if wait_s is not None else None
            return Problem("unavailable", str(error), headers=headers, extra={"reason": error.reason})
        case PermanentError(reason="no_database"):
            return Problem("unavailable", str(error), extra={"reason": error.reason})
        case PermanentError(reason="no_llm" | "no_embedding" | "leaves_machine"):
            return Problem("no-model", str(error), extra={"reason": error.reason})
        case PermanentError() if isinstance(error, LlmError) or error.reason == "embedding_endpoint":
            return Problem("model-failed", str(error), extra={"reason": error.reason})
        case BadPause() | BadEdit():
            return Problem("invalid-request", str(error), errors=[_in_body("body", str(error))])
        case _ if isinstance(error, AWAY) or _is_full(error):
            what = "is out of memory" if _is_full(error) else "does not answer"
            detail = f"Redis {what}; send the request again in a moment, a submission with the same Idempotency-Key"
            return Problem("unavailable", detail)
        case _:
            return None


def install(app: FastAPI) -> None:
    """Answer every error of `app` as a problem."""
    handlers: list[tuple[type[Exception], ExceptionHandler]] = [
        (HTTPException, _on_http), (RequestValidationError, _on_invalid), (ClientDisconnect, _on_gone),
    ]  # fmt: skip
    handlers += [
        (kind, _on_foreseen)
        for kind in (
            Problem, UnknownFlow, PermanentError, FetchRefusedError, BadCursorError, NoSuchSchedule, Refused,
            TransientError, RedisError, RedisClusterException, OSError,
        )
    ]  # fmt: skip
    for kind, handler in handlers:
        app.add_exception_handler(kind, handler)
    app.add_exception_handler(Exception, _on_surprise)


def unforeseen(error: Exception) -> Problem:
    """The problem for a surprise: its text stays in the log, under an id that the answer carries."""
    incident = uuid.uuid4().hex[:12]
    logger.error("incident %s", incident, exc_info=error)
    detail = f"the request failed for a reason that we did not foresee; tell an operator the incident {incident}"
    return Problem("internal", detail, extra={"incident": incident})


async def _on_foreseen(request: Request, error: Exception) -> Response:
    return (problem_of(error) or unforeseen(error)).response(request.url.path)


async def _on_surprise(request: Request, error: Exception) -> Response:
    return unforeseen(error).response(request.url.path)


async def _on_gone(_: Request, __: Exception) -> Response:
    return Response(status_code=400)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    path = request.url.path
    if error.status_code == 405:  # noqa: PLR2004 - method not allowed
        allowed = (error.headers or {}).get("Allow", "")
        problem = Problem(
            "method-not-allowed", f"{path} has no {request.method}; it has {allowed}", headers=error.headers
        )
    elif error.status_code == 404:  # noqa: PLR2004 - not found
        problem = Problem("not-found", f"there is no {path}; GET /docs lists what there is")
    else:
        problem = Problem("invalid-request", f"{request.method} {path} was refused: {error.detail}")
    return problem.response(path)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    errors = [
        {
            "field": ".".join(map(str, one["loc"][1:])), "in": str(one["loc"][0]),
            "detail": str(one["msg"]).removeprefix("Value error, "),
        }
        for one in error.errors()
    ]  # fmt: skip
    named = "; ".join(f"{one['field']}: {one['detail']}" for one in errors)
    return Problem("invalid-request", f"{request.method} {request.url.path}: {named}", errors=errors).response(
        request.url.path
    )


def _of_refusal(error: Refused) -> Problem:
    match error.code:
        case Code.UNKNOWN_JOB:
            return Problem("not-found", str(error))
        case Code.NOT_FOUND:
            return Problem("nothing-to-retry", str(error))
        case Code.QUARANTINED:
            return Problem("quarantined", str(error))
        case Code.CONFLICT:
            return Problem("submission-conflict", str(error))
        case Code.NOT_PENDING:
            return Problem("unavailable", str(error))
        case _:
            return Problem("job-is-over", str(error))


def _in_body(field: str, detail: str) -> FieldError:
    return {"field": field, "pointer": f"#/{field}", "detail": detail}


def _is_full(error: Exception) -> bool:
    return isinstance(error, RedisError) and "OOM" in str(error)[:40]


def _escaped(part: str | int) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")
