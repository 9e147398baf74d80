"""Memo: what a stage computed is not computed again from the same input by the same code.

It holds for the CPU work of a stage that declares it (`Stage.memo`), never for what a stage asks sites or writes. The
key has everything that the result depends on: the flow and stage with the declared version, the code (digest of the
domain package, of the function's own module, and the versions of the libraries named), the input without job, task and
trace, and the settings and traits of the machine that the stage declares. Where such a key cannot be made, nothing is
remembered.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
from pydantic import BaseModel

from consumers.cpu.wire import returned, task_name

if TYPE_CHECKING:
    from consumers.stage import Stage
    from schemas.settings import Settings

OF_THE_JOB: Final = frozenset({"job", "job_id", "task", "trace_id", "traceparent"})
"""Fields of an input that name who asks."""

_CODE: Final = frozenset({".py", ".csv", ".json", ".toml", ".txt"})


class NotComparable(TypeError):  # noqa: N818 - it says what the value is
    """An input of a kind that has no digest."""


@dataclass(frozen=True, slots=True)
class Memo:
    """What a stage's results depend on beside its input.

    Attributes:
        package: Name of the domain package that computes them.
        libraries: Distributions whose version changes them.
        settings: Names of the settings that affect the output.
        traits: What else of the machine does: whether OCR is installed.
    """

    package: str
    libraries: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    traits: tuple[Callable[[], str], ...] = ()


def key_of(stage: Stage, flow: str, settings: Settings, work: Callable[..., Any], args: Sequence[Any]) -> str | None:
    """The key of a call, 64 hex digits; None when the stage has no memo or an argument has no digest."""
    memo = stage.memo
    if memo is None:
        return None
    try:
        given = [_plain(one) for one in args]
    except NotComparable:
        return None
    said = {
        "flow": flow, "stage": stage.name, "version": stage.version, "code": code_digest(memo.package),
        "work": f"{work.__module__}:{task_name(work)}", "module": _module_digest(work.__module__),
        "returns": _shape(work), "libraries": [[name, _version(name)] for name in memo.libraries],
        "settings": [[name, str(getattr(settings, name))] for name in memo.settings],
        "traits": [trait() for trait in memo.traits], "input": given,
    }  # fmt: skip
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


@lru_cache(maxsize=64)
def code_digest(package: str) -> str:
    """Digest of every source and data file of a package, as this process has imported it."""
    place = import_module(package).__file__
    if place is None:
        raise NotComparable(f"{package} has no files")
    folder = Path(place).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in _CODE and "__pycache__" not in path.parts:
            body = path.read_bytes()
            digest.update(f"{path.relative_to(folder)}\0{len(body)}\0".encode() + body)
    return digest.hexdigest()


@lru_cache(maxsize=64)
def _module_digest(name: str) -> str:
    place = sys.modules[name].__file__
    return hashlib.sha256(Path(place).read_bytes()).hexdigest() if place else ""


@lru_cache(maxsize=64)
def _shape(work: Callable[..., Any]) -> str:
    """What the result looks like: an older shape is not read."""
    shape = orjson.dumps(returned(work).json_schema(), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(shape).hexdigest()


@lru_cache(maxsize=64)
def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def _plain(value: Any) -> Any:  # noqa: PLR0911 - one line a kind of value
    """The value as JSON, bytes and models by digest; without whose job it is."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            return {"bytes": hashlib.sha256(value).hexdigest()}
        case BaseModel():
            own = OF_THE_JOB & type(value).model_fields.keys()
            body = value.model_dump_json(exclude=set(own)).encode()
            return {type(value).__name__: hashlib.sha256(body).hexdigest()}
        case Enum():
            return [type(value).__name__, value.name]
        case date() | datetime() | Decimal():
            return [type(value).__name__, str(value)]
        case Mapping():
            rows = [[_plain(key), _plain(one)] for key, one in value.items() if key not in OF_THE_JOB]
            return {"mapping": sorted(rows, key=orjson.dumps)}
        case list() | tuple():
            return [_plain(one) for one in value]
        case set() | frozenset():
            return {"set": sorted((_plain(one) for one in value), key=orjson.dumps)}
        case _ if is_dataclass(value) and not isinstance(value, type):
            rows = [[one.name, _plain(getattr(value, one.name))] for one in fields(value) if one.name not in OF_THE_JOB]
            return {type(value).__name__: rows}
        case _:
            raise NotComparable(f"{type(value).__name__} has no digest")
