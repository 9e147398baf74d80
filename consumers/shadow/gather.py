"""Everything that a shadow run needs, read beforehand: from then on no store is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from consumers.context import Failure
from consumers.encode import check_out
from consumers.replays.gather import recorded
from consumers.replays.prepare import files_in
from consumers.replays.start import start_stage
from streams.blobs import BlobNotFound
from streams.errors import PermanentError

if TYPE_CHECKING:
    from consumers.bundle.export import Sources
    from consumers.replays.gather import Chosen
    from schemas.names import StageName
    from streams.recorded import Recorded

MAX_FILES_BYTES: Final = 512 * 2**20
"""Files of one job that a shadow run holds in memory."""


@dataclass(frozen=True, slots=True)
class Original:
    """A job as it was, and what its shadow begins with.

    Attributes:
        tasks: Stage and payload of what runs again, each whole.
        collected: What the tasks that do not run again had kept for compile.
        failures: Their dead letters.
        missing: How much they could not do.
        written: Payloads of all of its tasks, by stage, for what the flow had written into its own tables.
        loaded: What else the flow needs of its own tables; `Flow.shadow`.
        files: Bytes and content type of the files that payloads name.
        result: What it came to, JSON; None when there is none any more.
    """

    job_id: str
    flow: str
    tenant: str
    status: str
    spec: bytes
    from_stage: StageName
    until_stage: StageName | None
    tasks: tuple[tuple[StageName, bytes], ...]
    collected: tuple[Any, ...] = ()
    failures: tuple[Failure, ...] = ()
    missing: int = 0
    written: tuple[tuple[StageName, bytes], ...] = ()
    loaded: Any = None
    files: tuple[tuple[bytes, str], ...] = field(default=(), repr=False)
    result: Any = None


async def gathered(sources: Sources, chosen: Chosen, from_stage: StageName) -> Original:
    """Read a job. Stages that ask sites are not run: the shadow begins behind them.

    Raises:
        NotRecorded: What is kept of it does not suffice.
        PermanentError: ``shadow_too_large``: its files are more than memory is to hold; ``payload_gone``.
        UnknownFlow: Its flow is not installed here.
        TransientError: A store is away.
    """
    flow = sources.flows.get(chosen.flow)
    job = (await recorded(sources.log, sources.blobs, [chosen]))[chosen.job_id]
    cut = job.cut(start_stage(flow, from_stage, fetch=False))
    tasks = tuple([(one.stage, await _whole(sources, chosen, one.data)) for one in cut.tasks])
    written = tuple([(one.stage, await _whole(sources, chosen, one.data)) for one in _done(job)])
    collected: tuple[Any, ...] = ()
    result = loaded = None
    if sources.store is not None:
        of = sources.store.contributions.of(chosen.job_id, tenant=chosen.tenant, tasks=cut.upstream)
        collected = tuple([one async for one in of])
        kept = await sources.store.results.get(chosen.job_id, tenant=chosen.tenant)
        result = kept.payload if kept is not None else None
        if flow.shadow is not None:
            loaded = await flow.shadow.load(sources.store, chosen.tenant, job.spec)
    return Original(
        chosen.job_id, chosen.flow, chosen.tenant, job.status, job.spec, cut.starts_at, job.until_stage, tasks,
        collected,
        tuple(Failure(one.number, one.stage, one.reason, one.error, one.data) for one in cut.failures),
        cut.missing, written, loaded, await _files(sources, chosen, [data for _, data in (*tasks, *written)]), result,
    )  # fmt: skip


def _done(job: Recorded) -> list[Any]:
    return [job.tasks[number] for number in sorted(job.tasks)]


async def _whole(sources: Sources, chosen: Chosen, data: bytes) -> bytes:
    try:
        return await check_out(data, sources.blobs, chosen.tenant)
    except BlobNotFound as error:
        raise PermanentError(f"a payload of job {chosen.job_id} is gone: {error}", reason="payload_gone") from None


async def _files(sources: Sources, chosen: Chosen, payloads: list[bytes]) -> tuple[tuple[bytes, str], ...]:
    named: dict[str, None] = {}
    for data in payloads:
        named |= dict.fromkeys(files_in(_json(data)))
    found: list[tuple[bytes, str]] = []
    left = MAX_FILES_BYTES
    for sha256 in named:
        try:
            left -= await sources.blobs.size(sha256, tenant=chosen.tenant)
            if left < 0:
                text = f"the files of job {chosen.job_id} are more than {MAX_FILES_BYTES} bytes: replay it instead"
                raise PermanentError(text, reason="shadow_too_large")
            found.append((await sources.blobs.read(sha256, tenant=chosen.tenant), "application/octet-stream"))
        except BlobNotFound:
            continue  # its task says so, as in a replay
    return tuple(found)


def _json(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
