"""CloudEvents 1.0 as they come in (HTTP, ``XADD``) and go out (``millrace:outcomes``).

Source: CloudEvents specification 1.0.2; HTTP protocol binding 1.0.2; its distributed-tracing extension.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.jobs import Asked, JobRequest
from schemas.upcast import said

SUBMIT: Final = "millrace.job.submit"
CANCEL: Final = "millrace.job.cancel"


class BadEvent(ValueError):  # noqa: N818 - it names the thing
    """An event that cannot be acted on.

    Attributes:
        reason: ``bad_event``, ``bad_json``, ``no_data``, ``unknown_event_type``, ``bad_signature`` or ``invalid_job``.
    """

    def __init__(self, message: str, *, reason: str = "bad_event") -> None:
        super().__init__(message)
        self.reason = reason


class CloudEvent(BaseModel):
    """A CloudEvent; extension attributes are kept."""

    model_config = ConfigDict(frozen=True, extra="allow")

    specversion: Literal["1.0"] = "1.0"
    type: Annotated[str, Field(min_length=1, max_length=200)]
    source: Annotated[str, Field(max_length=1_000)] = ""
    id: Annotated[str, Field(max_length=1_000)] = ""
    traceparent: str | None = None
    datacontenttype: str | None = None
    data: Any = None
    data_base64: str | None = None

    @property
    def identity(self) -> str:
        """What makes two sends the same event: (source, id); empty without an id."""
        return f"event {orjson.dumps([self.source, self.id]).decode()}" if self.id else ""


class CancelData(Asked):
    """The data of a ``millrace.job.cancel`` event."""

    job_id: str
    force: bool = False


def event_of(value: Any) -> CloudEvent:
    """A structured event.

    Raises:
        BadEvent: It is no CloudEvent 1.0.
    """
    if not isinstance(value, dict):
        msg = f"an event is a JSON object, not a {type(value).__name__}"
        raise BadEvent(msg)
    try:
        event = CloudEvent.model_validate(value)
    except ValidationError as error:
        raise BadEvent(f"it is no CloudEvent 1.0: {said(error)}") from None
    if event.data is None and event.data_base64 is not None:
        try:
            data = orjson.loads(base64.b64decode(event.data_base64, validate=True))
        except ValueError as error:  # no base64, not ASCII, or no JSON
            raise BadEvent(f"data_base64 holds no JSON: {error}", reason="bad_json") from None
        return event.model_copy(update={"data": data})
    return event


def command_of(event: CloudEvent) -> JobRequest | CancelData:
    """What an event asks for.

    Raises:
        BadEvent: Its type is not one of ours, or its data does not fit.
    """
    model: type[JobRequest | CancelData]
    if event.type == SUBMIT:
        model = JobRequest
    elif event.type == CANCEL:
        model = CancelData
    else:
        raise BadEvent(f"event type {event.type!r} is not {SUBMIT} or {CANCEL}", reason="unknown_event_type")
    if event.data is None:
        raise BadEvent(f"a {event.type} event needs `data`", reason="no_data")
    try:
        return model.model_validate(event.data)
    except ValidationError as error:
        raise BadEvent(f"`data` of {event.type} does not fit: {said(error)}", reason="invalid_job") from None


def event_of_entry(fields: Mapping[str, str], secret: str | None = None) -> CloudEvent:
    """The event in an entry of ``millrace:events``: ``type``, ``data``, optional ``id source traceparent sig``.

    Args:
        secret: HMAC key; when given, an entry without a valid `sig` (`signature`, hex) is refused.

    Raises:
        BadEvent: With the reason.
    """
    if "type" not in fields:
        msg = f"the entry has no field `type`: XADD it with type {SUBMIT} data '{{\"flow\":…}}'"
        raise BadEvent(msg)
    if secret is not None and not hmac.compare_digest(
        signature(fields, secret).encode(), fields.get("sig", "").encode()
    ):
        raise BadEvent("`sig` is missing or not the HMAC-SHA256 of this entry", reason="bad_signature")
    if "data" not in fields:
        raise BadEvent(f"the entry has no field `data`: a {fields['type']} event needs it", reason="no_data")
    try:
        data = orjson.loads(fields["data"])
    except orjson.JSONDecodeError as error:
        raise BadEvent(f"`data` is no JSON: {error}", reason="bad_json") from None
    given = {name: fields[name] for name in ("type", "id", "source", "traceparent") if fields.get(name)}
    return event_of({**given, "data": data})


def signature(fields: Mapping[str, str], secret: str) -> str:
    """The `sig` of an entry: hex HMAC-SHA256 over type, source, id and data, each behind its length in bytes."""
    parts = [fields.get(name, "").encode() for name in ("type", "source", "id", "data")]
    signed = b"".join(b"%d:%b" % (len(part), part) for part in parts)
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
