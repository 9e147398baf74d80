"""Reading a payload of any schema version: old ones are lifted step by step to the current one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, get_args

import orjson
from pydantic import BaseModel, ValidationError

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
Model = TypeVar("Model", bound=BaseModel)

_UPCASTERS: dict[tuple[str, int], Upcaster] = {}


class UnreadablePayload(ValueError):  # noqa: N818 - it names the thing
    """A payload that no version of its model reads.

    Attributes:
        reason: ``no_data``, ``bad_json``, ``no_version``, ``unknown_schema_version`` or ``invalid_payload``.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def upcaster(model: type[BaseModel], version: int) -> Callable[[Upcaster], Upcaster]:
    """Register how a payload of `version` becomes one of ``version + 1``."""

    def register(lift: Upcaster) -> Upcaster:
        _UPCASTERS[model.__name__, version] = lift
        return lift

    return register


def version_of(model: type[BaseModel]) -> int:
    """The schema version that a model reads: the literal of its field `v`."""
    (version,) = get_args(model.model_fields["v"].annotation)
    return int(version)


def read_payload(model: type[Model], data: bytes) -> Model:
    """A payload as its model, whatever version it was written in.

    Raises:
        UnreadablePayload: With the reason, and where in the payload it went wrong.
    """
    try:
        return model.model_validate_json(data)
    except ValidationError:
        return _lift(model, data)


def lifted(model: type[BaseModel], data: bytes) -> dict[str, Any]:
    """A payload of any version as an object of the current one, not validated.

    Raises:
        UnreadablePayload: It is no JSON object, or no upcaster leads from its version to the current one.
    """
    if not data:
        msg = 'the entry has no field `data`; send a JSON object with a schema version, such as {"v":1}'
        raise UnreadablePayload(msg, reason="no_data")
    try:
        value: Any = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        msg = f"`data` is no JSON: {error}"
        raise UnreadablePayload(msg, reason="bad_json") from None
    if not isinstance(value, dict):
        msg = f'`data` is a JSON {type(value).__name__}; send an object with a schema version, such as {{"v":1}}'
        raise UnreadablePayload(msg, reason="bad_json")
    current = version_of(model)
    version = value.get("v", current)
    while isinstance(version, int) and version < current and (model.__name__, version) in _UPCASTERS:
        value = _UPCASTERS[model.__name__, version](value)
        version += 1
        value["v"] = version
    if version != current:
        msg = f"`data` has schema version {value.get('v')!r} of {model.__name__}; this worker reads {current} and older"
        raise UnreadablePayload(msg, reason="unknown_schema_version")
    lifted_to: dict[str, Any] = value
    return lifted_to


def _lift(model: type[Model], data: bytes) -> Model:
    try:
        return model.model_validate(lifted(model, data))
    except ValidationError as error:
        raise UnreadablePayload(f"`data` is no {model.__name__}: {said(error)}", reason="invalid_payload") from None


def said(error: ValidationError) -> str:
    """A validation error in one line, with the fields' names and without their values."""
    return "; ".join(
        f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg']}" for one in error.errors(include_url=False)[:5]
    )
