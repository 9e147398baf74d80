"""What parent and child say to each other over their socket.

Parent to child is the trusted direction: a task is a pickle of (function, arguments). Child to parent is not. The
child parses documents that strangers wrote, with libraries in C; if one of them takes it over, a pickle from it would
run the stranger's code in the worker, where the keys are. So the child answers with JSON (or plain bytes), and the
**function's return annotation is the contract**: the child dumps the result with pydantic's TypeAdapter of it, the
parent validates against the same type. Models, dataclasses, tuples, dates, Decimals and unions of them arrive as what
they were; without an annotation (or with ``Any``) plain JSON values do. The type is taken from the parent's function,
never from a name that the child sent. Errors are rebuilt only as classes that the parent has already imported and
that descend from MillraceError.
"""

from __future__ import annotations

import functools
import inspect
import pickle
import struct
import sys
import traceback
import types
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from consumers.cpu.errors import ChildTraceback, CpuTaskFailed, CpuTaskTimedOut, MemoryCapExceeded
from consumers.cpu.task import SoftTimeLimit
from streams.errors import MillraceError, PermanentError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

R = TypeVar("R")

MAX_RESULT_BYTES: Final = 64 * 2**20
"""A larger result belongs into a file or the artifact store."""

TASK_HEADER: Final = struct.Struct("!QdQ")
"""Length of the pickle, soft limit in seconds (0 is none), memory cap in bytes."""

FRAME_HEADER: Final = struct.Struct("!BIQ?")
"""Kind, length of the body, the child's RSS in bytes, whether the task left processes behind."""


class Kind(IntEnum):
    """What a frame from the child is."""

    HELLO = 1
    PROGRESS = 2
    JSON = 3
    BYTES = 4
    FAILURE = 5


class Progress(BaseModel):
    """A step that the function reported."""

    step: str = Field(max_length=200)
    percent: float | None


class Failure(BaseModel):
    """How a task failed, in words and numbers only."""

    model_config = ConfigDict(strict=True)

    how: Literal["raised", "soft_timeout", "memory"]
    classes: list[str] = []
    message: str = ""
    traceback: str = ""
    fields: dict[str, str | int | float | bool | None] = {}


def task_name(fn: Callable[..., object]) -> str:
    """The function's name in logs and errors."""
    return str(getattr(fn, "__qualname__", fn))


def pack_task(fn: Callable[..., object], args: tuple[object, ...], soft_timeout_s: float, memory_bytes: int) -> bytes:
    """The bytes that ask a child to run ``fn(*args)``.

    Raises:
        TypeError: ``fn`` is not importable by name or an argument cannot be pickled.
    """
    if getattr(fn, "__module__", None) == "__main__":
        raise TypeError(f"{task_name(fn)} is defined in __main__, which a CPU child cannot import: move it to a module")
    try:
        body = pickle.dumps((fn, args), protocol=pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TypeError(
            f"{task_name(fn)} cannot be sent to a CPU child ({error}): "
            "the function must be at the top of a module and its arguments picklable"
        ) from error
    return TASK_HEADER.pack(len(body), soft_timeout_s, memory_bytes) + body


@functools.lru_cache(maxsize=256)
def returned(fn: Callable[..., R]) -> TypeAdapter[R]:
    """The declared return type of ``fn``.

    Raises:
        TypeError: The annotation names something that does not exist at run time.
    """
    plain: Any = inspect.unwrap(fn)
    annotations = getattr(plain, "__annotations__", {})
    if "return" not in annotations:
        return TypeAdapter(Any)
    # Only the return annotation: those of the arguments may be imports for the type checker alone.
    declared = types.SimpleNamespace(__annotations__={"return": annotations["return"]})
    try:
        hints = get_type_hints(declared, globalns=plain.__globals__, include_extras=True)
    except NameError as error:
        raise TypeError(
            f"the return type of {task_name(fn)} is not known at run time ({error}): "
            "import it outside of `if TYPE_CHECKING`"
        ) from error
    adapter: TypeAdapter[R] = TypeAdapter(hints["return"])
    return adapter


def pack_result(fn: Callable[..., object], value: object) -> tuple[Kind, bytes]:
    """The child's side of a result."""
    if type(value) is bytes:
        kind, body = Kind.BYTES, value
    else:
        kind, body = Kind.JSON, returned(fn).dump_json(value, warnings="error")
    if len(body) > MAX_RESULT_BYTES:
        raise ValueError(
            f"the result has {len(body)} bytes, more than the {MAX_RESULT_BYTES} that fit: write it to a file"
        )
    return kind, body


def unpack_result(fn: Callable[..., R], kind: Kind, body: bytes) -> R:
    """The parent's side of a result.

    Raises:
        CpuTaskFailed: It is not what ``fn`` declares.
    """
    adapter: TypeAdapter[R] = returned(fn)
    try:
        return adapter.validate_python(body, strict=True) if kind is Kind.BYTES else adapter.validate_json(body)
    except ValidationError as error:
        raise CpuTaskFailed(
            f"{task_name(fn)} returned something else than it declares: {error}", task=task_name(fn)
        ) from error


def pack_failure(error: BaseException) -> Failure:
    """The child's side of an error."""
    text = "".join(traceback.format_exception(error))
    match error:
        case MemoryError():
            return Failure(how="memory", traceback=text)
        case SoftTimeLimit():
            return Failure(how="soft_timeout", traceback=text)
        case MillraceError():
            named = [f"{c.__module__}:{c.__qualname__}" for c in type(error).__mro__ if issubclass(c, MillraceError)]
            plain = {k: v for k, v in vars(error).items() if isinstance(v, str | int | float | bool | None)}
            return Failure(how="raised", classes=named, message=str(error), traceback=text, fields=plain)
        case _:
            return Failure(how="raised", message=f"{type(error).__name__}: {error}", traceback=text)


def unpack_failure(body: bytes, *, task: str, soft_timeout_s: float, memory_mb: int) -> MillraceError:
    """The parent's side of an error, with the child's traceback as its cause."""
    failure = Failure.model_validate_json(body)
    error: MillraceError
    if failure.how == "memory":
        error = MemoryCapExceeded(task=task, memory_mb=memory_mb)
    elif failure.how == "soft_timeout":
        error = CpuTaskTimedOut(task=task, limit="soft", after_s=soft_timeout_s)
    elif (known := _first_known(failure.classes)) is not None:
        error = known.__new__(known)
        error.args = (failure.message,)
        vars(error).update({k: v for k, v in failure.fields.items() if k.isidentifier() and not k.startswith("__")})
    else:
        error = CpuTaskFailed(f"{task} failed: {failure.message}", task=task)
    error.__cause__ = ChildTraceback(failure.traceback)
    return error


def _first_known(names: list[str]) -> type[MillraceError] | None:
    for name in names:
        module, _, qualname = name.partition(":")
        found: Any = sys.modules.get(module)
        for part in qualname.split("."):
            found = getattr(found, part, None)
        if isinstance(found, type) and issubclass(found, TransientError | PermanentError):
            return found
    return None
