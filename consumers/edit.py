"""A dead letter's payload, mended by an operator: an overlay that is checked before anything is put back to work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import BaseModel, ValidationError

from consumers.encode import check_in, check_out
from schemas.upcast import UnreadablePayload, lifted, read_payload, said
from streams.codec import MAX_DATA_BYTES
from streams.errors import MillraceError, PermanentError

if TYPE_CHECKING:
    from consumers.flow import Flows
    from streams.blobs import Blobs
    from streams.log import DeadLetter


class BadEdit(PermanentError):  # noqa: N818 - it says what is wrong
    """The edited payload cannot be run; nothing was changed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="bad_edit")


@dataclass(frozen=True, slots=True)
class Edited:
    """A payload that its stage takes.

    Attributes:
        before: As it died, in the current schema version; None when that could not be read.
        after: As it will run.
        data: The same as it goes into the entry: JSON, or a claim check.
    """

    before: Any
    after: Any
    data: bytes


async def readable(letter: DeadLetter, flows: Flows, blobs: Blobs, tenant: str) -> Any:
    """A letter's payload in the current schema version, from the artifact store when it is a claim check.

    Raises:
        BadEdit: Its flow or stage is not installed, or it cannot be read.
    """
    model = _accepted(letter, flows)
    try:
        return lifted(model, await check_out(letter.fields["data"].encode(), blobs, tenant))
    except UnreadablePayload as error:
        raise BadEdit(f"the payload of {letter.dead_id} cannot be read: {error}; give a whole one instead") from None
    except MillraceError as error:
        raise BadEdit(f"the payload of {letter.dead_id} is not there: {error}; give a whole one instead") from None


async def edited(
    letter: DeadLetter, flows: Flows, blobs: Blobs, tenant: str, *, merge: Any = None, data: Any = None
) -> Edited:
    """Lay an edit over a letter's payload, and check it by the stage's schema.

    Args:
        merge: A JSON merge patch (RFC 7396): given fields replace, null removes.
        data: A whole payload instead, of any schema version.

    Raises:
        BadEdit: With the fields that are wrong.
        TransientError: The artifact store is away.
    """
    model = _accepted(letter, flows)
    if (merge is None) == (data is None):
        raise BadEdit("give either a JSON merge patch or a whole payload")
    before: Any = None
    if data is None:
        before = await readable(letter, flows, blobs, tenant)
        try:
            checked: BaseModel = model.model_validate(_merged(before, merge))
        except ValidationError as error:
            raise BadEdit(f"the edited payload is no {model.__name__}: {said(error)}") from None
    else:
        try:
            before = await readable(letter, flows, blobs, tenant)
        except BadEdit:
            before = None  # that is why a whole one is given
        try:
            checked = read_payload(model, orjson.dumps(data))
        except UnreadablePayload as error:
            raise BadEdit(f"the payload is no {model.__name__}: {error}") from None
    written = checked.model_dump_json().encode()
    after = orjson.loads(written)
    if len(written) > MAX_DATA_BYTES:
        written = await check_in(written, blobs, tenant)
    return Edited(before, after, written)


def _accepted(letter: DeadLetter, flows: Flows) -> type[BaseModel]:
    """The model of the stage that a letter died at."""
    row = letter.fields
    flow = flows.by_name.get(row["flow"])
    stage = next((one for name, one in flow.by_name.items() if name == row["stage"]), None) if flow else None
    if stage is None:
        what = f"flow {row['flow']!r}" if flow is None else f"stage {row['stage']!r} of flow {row['flow']!r}"
        raise BadEdit(f"the payload of {letter.dead_id} cannot be checked: {what} is not installed here; install it")
    return stage.accepts


def _merged(target: Any, patch: Any) -> Any:
    """Source: RFC 7396, "JSON Merge Patch", section 2."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value)
    return merged
