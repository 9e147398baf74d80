"""One task of a flow, with a context of its own and nothing around it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import orjson

from consumers.context import Failure
from consumers.flow import Flow
from consumers.inline.context import InlineBench, InlineContext, InlineResources, KeptBlobs
from consumers.inline.job import REVISION, InlineJob, Task
from consumers.store import MemoryStore, Store
from schemas.names import StageName
from schemas.settings import Settings
from streams.objects import IN_MEMORY

Context = TypeVar("Context", bound=InlineContext)


@asynccontextmanager
async def one_task(
    kind: type[Context],
    flow: Flow,
    stage: StageName,
    *,
    number: int = 1,
    data: bytes = b'{"v":1}',
    job_id: str = "0-fake",
    spec: bytes = b"{}",
    settings: Settings | None = None,
    collected: Iterable[Any] = (),
    failures: Iterable[Failure] = (),
    checkpointed: Any = None,
    files: Iterable[tuple[bytes, str]] = (),
    store: Store | None = None,
) -> AsyncIterator[Context]:
    """The context that the handler of one task gets.

    Args:
        kind: Class of the context.
        flow: The flow that declares the stage.
        stage: The handler's.
        number: Of the task.
        data: Its payload, JSON.
        job_id: What it is to say of its job.
        spec: What `ctx.spec` reads, JSON.
        settings: Read from the environment when None.
        collected: What compile is to find, JSON.
        failures: The dead letters that compile is to find.
        checkpointed: What an earlier delivery of the task is to have kept.
        files: Bytes and content type of what is to be in the artifact store.
        store: As in `run_inline`.
    """
    kept, blobs = MemoryStore(), KeptBlobs(IN_MEMORY)
    async with InlineResources(settings or Settings(), blobs, store or kept) as resources:
        bench = InlineBench(
            flow.name, InlineJob(stage, data), job_id, spec, resources, kept, f"00-{1:032x}-{1:016x}-00",
            failures=list(failures),
        )  # fmt: skip
        for body, content_type in files:
            await blobs.put(body, tenant=bench.tenant, content_type=content_type)
        for ordinal, one in enumerate(collected):
            await kept.contributions.put(job_id, 0, ordinal, one, tenant=bench.tenant, revision=REVISION)
        if checkpointed is not None:
            bench.checkpoints[number] = orjson.dumps(checkpointed)
        yield kind(bench, flow.by_name[stage], Task(number, stage, data))
