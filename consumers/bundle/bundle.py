"""The file: a ZIP of JSON and of the job's files under their SHA-256. What is read from one is not trusted."""

from __future__ import annotations

import hashlib
import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from schemas.names import StageName
from schemas.upcast import said
from streams.errors import MillraceError

FORMAT: Final = 1
MAX_JSON_BYTES: Final = 256 * 2**20
MAX_FILE_BYTES: Final = 512 * 2**20
MAX_TOTAL_BYTES: Final = 2 * 2**30
_FILE: Final = re.compile(r"files/([0-9a-f]{64})")
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


class BadBundle(MillraceError):  # noqa: N818 - it names the thing
    """A file that is no bundle, or is damaged, or would unpack to too much."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Facts(_Part):
    """What the bundle is about.

    Attributes:
        versions: Of Millrace, of Python, and of the flow's stages (``stage.extract``), where it was written.
        left_out: Files that the job had and the bundle has not, as they were too large together or gone.
    """

    format: Literal[1] = FORMAT
    job_id: str
    flow: str
    status: str
    error: str = ""
    spec: Any = None
    exported_at: str
    versions: dict[str, str] = {}
    left_out: tuple[str, ...] = ()


class BundledTask(_Part):
    """A task as it was recorded; `data` is its payload, also where the log had only a claim check."""

    number: int
    stage: StageName
    data: Any
    state: Literal["open", "done", "dead", "dropped"] = "open"
    parent: int | None = None
    reason: str = ""
    error: str = ""
    traceback: str = ""


class BundledFile(_Part):
    """A file's facts; the bytes are under ``files/<sha256>``."""

    sha256: str
    content_type: str = "application/octet-stream"
    name: str = ""


class _Rest(_Part):
    tasks: tuple[BundledTask, ...]
    files: tuple[BundledFile, ...] = ()
    collected: tuple[Any, ...] = ()
    logs: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Bundle:
    """A job in one piece.

    Attributes:
        collected: What its tasks kept for compile, JSON, in compile's order.
        logs: Lines of its own log.
        bytes_of: SHA-256 -> bytes.
    """

    facts: Facts
    tasks: tuple[BundledTask, ...]
    files: tuple[BundledFile, ...] = ()
    collected: tuple[Any, ...] = ()
    logs: tuple[Any, ...] = ()
    bytes_of: dict[str, bytes] = field(default_factory=dict, repr=False)

    def task(self, number: int) -> BundledTask:
        """One of its tasks.

        Raises:
            BadBundle: It has no such task.
        """
        for one in self.tasks:
            if one.number == number:
                return one
        known = ", ".join(str(one.number) for one in self.tasks[:20])
        raise BadBundle(f"the bundle of job {self.facts.job_id} has no task {number}; it has {known or 'none'}")

    @property
    def dead(self) -> tuple[BundledTask, ...]:
        """The tasks that failed."""
        return tuple(one for one in self.tasks if one.state == "dead")


def write_bundle(bundle: Bundle, path: Path) -> int:
    """Write the file; the same bundle gives the same bytes. Returns its size in bytes.

    Raises:
        OSError: It cannot be written.
    """
    rest = _Rest(tasks=bundle.tasks, files=bundle.files, collected=bundle.collected, logs=bundle.logs)
    partial = path.with_name(path.name + ".part")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as file:
        _add(file, "bundle.json", _json(bundle.facts))
        _add(file, "job.json", _json(rest))
        for sha256, body in sorted(bundle.bytes_of.items()):
            _add(file, f"files/{sha256}", body)
    partial.replace(path)
    return path.stat().st_size


def _add(file: zipfile.ZipFile, name: str, body: bytes) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    file.writestr(entry, body)


def _json(value: BaseModel) -> bytes:
    return orjson.dumps(value.model_dump(mode="json"), option=orjson.OPT_INDENT_2)


def read_bundle(path: Path) -> Bundle:
    """Read and check a bundle; nothing in it is run or written to disk.

    Raises:
        BadBundle: It is none, with what is wrong.
        OSError: It cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as file:
            return _read(file, path)
    except zipfile.BadZipFile as error:
        raise BadBundle(f"{path} is no job bundle: {error}; `millrace job export JOB` writes one") from None


def _read(file: zipfile.ZipFile, path: Path) -> Bundle:
    sizes = {entry.filename: entry.file_size for entry in file.infolist()}
    if sum(sizes.values()) > MAX_TOTAL_BYTES:
        raise BadBundle(f"{path} would unpack to {sum(sizes.values())} bytes; the most is {MAX_TOTAL_BYTES}")
    try:
        facts = Facts.model_validate_json(_take(file, "bundle.json", MAX_JSON_BYTES, path))
        rest = _Rest.model_validate_json(_take(file, "job.json", MAX_JSON_BYTES, path))
    except ValidationError as error:
        raise BadBundle(f"{path} is no job bundle of format {FORMAT}: {said(error)}") from None
    found: dict[str, bytes] = {}
    for name in sizes:
        match = _FILE.fullmatch(name)
        if match is None:
            continue
        body = _take(file, name, MAX_FILE_BYTES, path)
        if hashlib.sha256(body).hexdigest() != match[1]:
            raise BadBundle(f"{path} is damaged: {name} has other bytes than its name says")
        found[match[1]] = body
    return Bundle(facts, rest.tasks, rest.files, rest.collected, rest.logs, found)


def _take(file: zipfile.ZipFile, name: str, most: int, path: Path) -> bytes:
    """One entry, whatever its header says of its size."""
    try:
        with file.open(name) as entry:
            body = entry.read(most + 1)
    except KeyError:
        raise BadBundle(f"{path} is no job bundle: it has no {name}") from None
    except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError) as error:  # damaged, or encrypted
        raise BadBundle(f"{path} is damaged: {name}: {error}") from None
    if len(body) > most:
        raise BadBundle(f"{path}: {name} is longer than {most} bytes")
    return body
