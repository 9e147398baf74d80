"""Making a bundle of a job: from lifecycle, archive, dead letters, artifact store and PostgreSQL; without secrets."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import orjson

from consumers.bundle.bundle import BadBundle, Bundle, BundledFile, BundledTask, Facts
from consumers.encode import check_out
from consumers.replays.gather import Chosen, recorded
from consumers.replays.prepare import files_in
from streams.blobs import BlobCorrupt, BlobNotFound
from streams.telemetry.redaction import redact

if TYPE_CHECKING:
    from consumers.flow import Flows
    from consumers.store import Store
    from streams.blobs import Blobs
    from streams.log import Log
    from streams.recorded import RecordedTask

DEEP: Final = 60
MAX_LOG_LINES: Final = 20_000


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a bundle is made from. `store` is None where there is no database."""

    log: Log
    blobs: Blobs
    store: Store | None
    flows: Flows


async def bundle_of(sources: Sources, chosen: Chosen, *, max_bytes: int, only: int | None = None) -> Bundle:
    """Everything that is known of a job, with what looks like a secret masked.

    Args:
        sources: Where it is.
        chosen: The job.
        max_bytes: Of its files together; those of dead letters come first, what does not fit is named.
        only: Number of the task to export alone.

    Raises:
        BadBundle: Nothing is recorded of the job any more, or it has no such task.
        TransientError: A store is away.
    """
    job = (await recorded(sources.log, sources.blobs, [chosen]))[chosen.job_id]
    wanted = [task for task in job.tasks.values() if only in {None, task.number}]
    if not wanted:
        what = f"job {chosen.job_id}" if only is None else f"task {only} of job {chosen.job_id}"
        raise BadBundle(f"nothing is recorded of {what} any more: it is older than what lifecycle and archive keep")
    traces = await _tracebacks(sources, chosen.job_id)
    tasks = [await _task(sources, chosen.tenant, one, traces.get(one.number, "")) for one in wanted]
    tasks.sort(key=lambda one: (one.state != "dead", one.number))
    listed: list[BundledFile] = []
    collected: list[Any] = []
    logs: list[Any] = []
    if sources.store is not None:
        rows = await sources.store.artifacts.of(chosen.job_id, tenant=chosen.tenant)
        listed = [BundledFile(sha256=row.sha256, content_type=row.content_type, name=row.name) for row in rows]
        collected = [one async for one in sources.store.contributions.of(chosen.job_id, tenant=chosen.tenant)]
        logs = await _logs(sources.store, chosen, only)
    named = [sha256 for task in tasks for sha256 in files_in(task.data)]
    order = dict.fromkeys([*named, *(one.sha256 for one in listed if only is None)])
    bodies, left_out = await _bodies(sources.blobs, chosen.tenant, order, max_bytes)
    flow = sources.flows.by_name.get(chosen.flow)
    stages = {f"stage.{name}": str(one.version) for name, one in (flow.by_name if flow else {}).items()}
    failed = next((one for one in tasks if one.state == "dead"), None)
    facts = Facts(
        job_id=chosen.job_id, flow=chosen.flow, status=job.status or chosen.status,
        error=failed.reason if failed else "", spec=_masked(_json(job.spec)),
        exported_at=datetime.now(UTC).isoformat(timespec="seconds"),
        versions={"millrace": version("millrace"), "python": platform.python_version(), **stages},
        left_out=tuple(left_out),
    )  # fmt: skip
    tasks.sort(key=lambda one: one.number)
    known = {one.sha256: one for one in listed}
    files = tuple(known.get(sha256, BundledFile(sha256=sha256)) for sha256 in bodies)
    return Bundle(facts, tuple(tasks), files, tuple(_masked(one) for one in collected), tuple(logs), bodies)


async def _tracebacks(sources: Sources, job_id: str) -> dict[int, str]:
    """Task -> where it failed, as its dead letter tells."""
    record = await sources.log.job(job_id)
    found: dict[int, str] = {}
    for number, place in (record.tasks if record else {}).items():
        if place.kind == "dead":
            letter = await sources.log.dead_letter(f"{sources.log.keys.of_job(job_id).partition}-{place.entry_id}")
            if letter is not None:
                found[number] = str(_masked(letter.fields.get("traceback", "")))
    return found


async def _task(sources: Sources, tenant: str, task: RecordedTask, traceback: str) -> BundledTask:
    try:
        data = await check_out(task.data, sources.blobs, tenant)
    except (BlobNotFound, BlobCorrupt):
        data = task.data  # the claim check itself tells what is gone
    return BundledTask(
        number=task.number, stage=task.stage, data=_masked(_json(data)), state=task.state, parent=task.parent,
        reason=task.reason, error=str(_masked(task.error)), traceback=traceback,
    )  # fmt: skip


async def _logs(store: Store, chosen: Chosen, only: int | None) -> list[Any]:
    lines: list[Any] = []
    after = 0
    while len(lines) < MAX_LOG_LINES and (
        rows := await store.logs.read(chosen.job_id, tenant=chosen.tenant, after=after)
    ):
        after = rows[-1].seq
        lines += [
            {
                "at": row.at.isoformat(), "level": row.level, "message": _masked(row.message),
                "fields": _masked(row.fields), "task": row.task, "stage": row.stage, "attempt": row.attempt,
            }
            for row in rows
            if only in {None, row.task}
        ]  # fmt: skip
    return lines


async def _bodies(
    blobs: Blobs, tenant: str, wanted: Iterable[str], max_bytes: int
) -> tuple[dict[str, bytes], list[str]]:
    found: dict[str, bytes] = {}
    left_out: list[str] = []
    left = max_bytes
    for sha256 in wanted:
        try:
            if await blobs.size(sha256, tenant=tenant) > left:
                left_out.append(sha256)
                continue
            found[sha256] = await blobs.read(sha256, tenant=tenant)
        except (BlobNotFound, BlobCorrupt):
            left_out.append(sha256)
            continue
        left -= len(found[sha256])
    return found, left_out


def _masked(value: Any) -> Any:
    return redact(value, depth=DEEP)


def _json(data: bytes) -> Any:
    """A payload; what is no JSON as text."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return data.decode("utf-8", "replace")
