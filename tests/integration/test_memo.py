"""The memo at work: the second job computes nothing; what changed is computed; nobody else's, and it can be erased."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from consumers.context import StageContext
from consumers.flow import Flow
from consumers.memo import Memo
from consumers.outcome import Done, Emit, Outcome
from consumers.stage import stage
from consumers.store.memos import MAX_BYTES, Remembered
from consumers.store.migrate import upgrade
from schemas.memo import MemoStage
from schemas.stages import CompileRequest, Payload
from streams.mentions import Mentions
from tests.support.flow_place import TENANT, Place, place

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from typing import Protocol

    from consumers.store import Store

    class Opened(Protocol):
        def __call__(self, flow: Flow = ..., **settings: Any) -> AbstractAsyncContextManager[Place]: ...


class Words(BaseModel):
    texts: list[str]


class Text(Payload):
    text: str


class Count(Payload):
    words: list[str]


def counted(text: str) -> Count:
    return Count(words=text.split())


def packed(text: str) -> bytes:
    return text.encode()


@stage(name="crawl", accepts=Count, emits=("extract",))
async def crawl(words: Count, _: StageContext) -> Outcome:
    return Done(tuple(Emit("extract", Text(text=one)) for one in words.words))


@stage(name="extract", accepts=Text, memo=Memo("consumers.contacts"))
async def extract(text: Text, ctx: StageContext) -> Outcome:
    await ctx.collect(await ctx.run_cpu(counted, text.text))
    assert await ctx.run_cpu(packed, text.text) == text.text.encode()
    return Done()


@stage(name="compile", accepts=CompileRequest)
async def compile_all(_: CompileRequest, ctx: StageContext) -> Outcome:
    found = [word async for one in ctx.collected(Count) for word in one.words]
    return Done(result=Words(texts=sorted(found)))


FLOW = Flow("words", Words, (crawl, extract, compile_all), first=lambda spec: Count(words=spec.texts))


@pytest.fixture
async def opened(valkey_url: str, postgres_url: str, namespace: str, tmp_path: Path) -> Opened:
    await upgrade(postgres_url)

    def at(flow: Flow = FLOW, **settings: Any) -> AbstractAsyncContextManager[Place]:
        return place(valkey_url, postgres_url, tmp_path, flow=flow, namespace=namespace, **settings)

    return at


async def _run(here: Place, *texts: str) -> str:
    job = await here.submit(texts=list(texts))
    assert (await here.ended(job)).status == "succeeded"
    return job


async def test_an_unchanged_job_computes_nothing_and_what_changed_is_computed(opened: Opened) -> None:
    async with opened() as here:
        memos = here.store.memos
        first = await _run(here, "alpha beta", "gamma")
        assert await memos.of_job(first, tenant=TENANT) == (await memos.of_job(first, tenant=TENANT)).model_copy(
            update={"computed": 4, "reused": 0, "saved_s": 0.0}
        )
        again = await _run(here, "alpha beta", "gamma")
        saved = await memos.of_job(again, tenant=TENANT)
        assert (saved.computed, saved.reused) == (0, 4)
        assert saved.saved_s > 0
        assert saved.stages == {"extract": MemoStage(reused=4)}
        assert (await here.store.results.get(again, tenant=TENANT)) is not None
        changed = await _run(here, "alpha beta", "delta")
        saved = await memos.of_job(changed, tenant=TENANT)
        assert (saved.computed, saved.reused) == (2, 2)
        kept = await here.store.results.get(changed, tenant=TENANT)
        assert kept is not None
        assert kept.payload == {"texts": ["alpha", "beta", "delta"]}
    newer = replace(FLOW, stages=(crawl, replace(extract, version=2), compile_all))
    async with opened(newer) as here:
        saved = await here.store.memos.of_job(await _run(here, "alpha beta", "gamma"), tenant=TENANT)
        assert (saved.computed, saved.reused) == (4, 0)
    async with opened(memo=False) as here:
        saved = await here.store.memos.of_job(await _run(here, "alpha beta", "gamma"), tenant=TENANT)
        assert (saved.computed, saved.reused) == (0, 0)


async def test_erased_words_leave_the_memo(opened: Opened) -> None:
    async with opened() as here:
        job = await _run(here, "call ada@example.org", "gamma")
        counts = await here.store.erasing.erase([job], Mentions(["ada@example.org"]), tenant=TENANT)
        assert counts["memo"] == 3  # and the two that are bytes, which nobody can look into
        saved = await here.store.memos.of_job(await _run(here, "call ada@example.org", "gamma"), tenant=TENANT)
        assert (saved.computed, saved.reused) == (3, 1)


async def test_a_tenant_has_its_own_and_what_is_not_used_goes(store: Store, tenant: str, job_id: str) -> None:
    memos = store.memos
    mine: dict[str, Any] = {"tenant": tenant, "job_id": job_id, "task": 1, "stage": "extract"}
    key = f"{tenant}-key"
    assert await memos.get(key, **mine) is None
    await memos.put(key, Remembered(is_json=True, body=b"[1]", took_s=1.5), **mine)
    assert await memos.get(key, **{**mine, "tenant": f"{tenant}x"}) is None
    found = await memos.get(key, **{**mine, "task": 2})
    assert found == Remembered(is_json=True, body=b"[1]", took_s=1.5)
    assert (await memos.of_job(job_id, tenant=tenant)).saved_s == 1.5
    await memos.put("large", Remembered(is_json=False, body=b"x" * (MAX_BYTES + 1), took_s=1), **mine)
    assert await memos.get("large", **mine) is None
    await memos.remove_unused(datetime.now(UTC) - timedelta(days=1), dry_run=False)
    assert await memos.get(key, **mine) is not None
    assert await memos.remove_unused(datetime.now(UTC) + timedelta(days=1), dry_run=True) >= 1
    await memos.remove_unused(datetime.now(UTC) + timedelta(days=1), dry_run=False)
    assert await memos.get(key, **mine) is None
