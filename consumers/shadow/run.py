"""The shadow run: today's handlers on inputs of then, in memory; what would have effects outside is noted instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from consumers.inline.context import InlineBench, InlineResources, KeptBlobs
from consumers.inline.job import REVISION, InlineJob
from consumers.inline.run import Runner
from consumers.shadow.compare import Difference, differences
from consumers.store import MemoryStore, NeedsDatabase
from schemas.names import STAGES
from schemas.settings import Settings
from streams.errors import PermanentError
from streams.objects import IN_MEMORY
from streams.policy import reason_of

if TYPE_CHECKING:
    from consumers.flow import Flow
    from consumers.inline.progress import Progress
    from consumers.shadow.gather import Original

OUTSIDE: tuple[str, ...] = (
    "redis_url", "database_url", "artifacts_url", "smtp_url", "sendgrid_api_key", "mail_from", "webhook_secret",
    "llm_base_url", "llm_model", "llm_api_key", "pagespeed_key", "places_key", "search_provider", "search_key",
)  # fmt: skip
"""Settings that lead outside: a shadow run has none of them."""


class WouldAsk(PermanentError):  # noqa: N818 - it says what happened
    """A handler wanted to ask a site; a shadow run uses what was recorded."""


@dataclass(frozen=True, slots=True)
class Shadowed:
    """What came of it.

    Attributes:
        status: ``succeeded``, ``partial``, ``failed`` or ``cancelled`` as it would end; ``impossible`` when the flow
            cannot run without its database or a site.
        error: Why, when it failed or is impossible.
        entries: Tasks that ran.
        effects: What would have happened outside, a line each.
        result: JSON.
        changes: The differences to the original's result.
        compared: Whether there was a result of then to compare with.
    """

    job_id: str
    flow: str
    status: str
    was: str
    entries: int
    error: str = ""
    effects: tuple[str, ...] = ()
    result: Any = None
    changes: tuple[Difference, ...] = ()
    compared: bool = False

    @property
    def is_same(self) -> bool:
        """Whether it would come to the same."""
        return self.compared and not self.changes and self.status == self.was


class _NoSite:
    """In the place of the fetcher and all that asks sites."""

    def __getattr__(self, name: str) -> Any:
        raise WouldAsk(
            f"a shadow run asks no site, and a handler wanted to ({name}): replay from a later stage, or for real",
            reason="shadow_fetch",
        )


class _Resources(InlineResources):
    """Nothing outside."""

    def __init__(self, settings: Settings, blobs: KeptBlobs, store: MemoryStore) -> None:
        super().__init__(settings, blobs, store)
        self._own_fetch = self.fetch
        self.fetch: Any = _NoSite()
        self.robots: Any = _NoSite()

    async def browser(self) -> Any:
        """Refused."""
        raise WouldAsk("a shadow run opens no browser: replay for real", reason="shadow_fetch")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.fetch = self._own_fetch
        await super().__aexit__(*error)


async def shadow(
    original: Original,
    flow: Flow,
    settings: Settings,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    in_subprocesses: bool = True,
) -> Shadowed:
    """Run a job again with today's code, and compare.

    Nothing is mailed, posted, published or stored: there is no log, the database and the artifact store are in memory
    and hold what was read beforehand, sites and language models are not asked. Notify is not run; whom it would tell
    is among `effects`.

    Args:
        original: See `gathered`.
        flow: Today's.
        settings: Of the operator; those that lead outside are left out.
        on_progress: Is told what handlers say.
        in_subprocesses: Whether CPU work runs in killable subprocesses, as a worker's does.
    """
    inner = settings.model_copy(update=dict.fromkeys(OUTSIDE))
    first, *others = original.tasks
    until = original.until_stage or "compile"
    job = InlineJob(first[0], first[1], until_stage="compile" if until == "notify" else until)
    for stage, data in others:
        job.open(stage, data)
    job.missing = original.missing
    kept, blobs = MemoryStore(), KeptBlobs(IN_MEMORY)
    async with _Resources(inner, blobs, kept) as resources:
        bench = InlineBench(
            flow.name, job, original.job_id, original.spec, resources, kept, f"00-{1:032x}-{1:016x}-00",
            original.tenant, in_subprocesses=in_subprocesses, on_progress=on_progress,
            failures=list(original.failures),
        )  # fmt: skip
        for body, content_type in original.files:
            await blobs.put(body, tenant=original.tenant, content_type=content_type)
        blobs.put_here.clear()
        for ordinal, one in enumerate(original.collected):
            await kept.contributions.put(original.job_id, 0, ordinal, one, tenant=original.tenant, revision=REVISION)
        runner = Runner(flow, bench, (), None)
        status, error = "", ""
        try:
            if flow.shadow is not None:
                await flow.shadow.seed(kept, original)
            await runner.run()
            status = job.status.value
            error = str(runner.last_error or "") if status == "failed" else ""
        except (NeedsDatabase, WouldAsk) as raised:
            status, error = "impossible", str(raised)
        except Exception as raised:  # noqa: BLE001 - it is what the shadow is to find
            status, error = "failed", f"{reason_of(raised)}: {raised}"
        asked = next((one for one in runner.entries if isinstance(one.error, WouldAsk)), None)
        if asked is not None:
            status, error = "impossible", str(asked.error)
    result = runner.result.model_dump(mode="json") if runner.result is not None else None
    compared = original.result is not None and result is not None
    ignored = flow.shadow.ignored if flow.shadow is not None else frozenset[str]()
    return Shadowed(
        original.job_id, original.flow, status, original.status, len(runner.entries), error,
        tuple(_effects(flow, bench, blobs)), result,
        tuple(differences(original.result, result, ignore=ignored)) if compared else (), compared,
    )  # fmt: skip


def _effects(flow: Flow, bench: InlineBench, blobs: KeptBlobs) -> list[str]:
    """What a real run would have done outside."""
    told = [f"{len(blobs.put_here)} files into the artifact store"] if blobs.put_here else []
    ran = [stage for stage in STAGES if bench.job.done[stage]]
    if ran:
        told.append(f"rows of {', '.join(ran)} into PostgreSQL")
    if "notify" in flow.by_name and bench.job.is_over:
        told.append("an outcome event, and whom the job was to tell of its end")
    return told


__all__ = ["Shadowed", "WouldAsk", "shadow"]
