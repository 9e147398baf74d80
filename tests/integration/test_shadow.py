"""A shadow run: today's code on what was recorded then, and nothing outside is touched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel, SecretStr

from consumers.bundle.export import Sources
from consumers.context import StageContext
from consumers.flow import Flow
from consumers.outcome import Done, Emit, Outcome
from consumers.replays.gather import Chosen
from consumers.shadow import Difference, Original, gathered, shadow
from consumers.stage import stage
from consumers.store.migrate import upgrade
from schemas.settings import Settings
from schemas.stages import CompileRequest, Payload
from tests.support.flow_place import TENANT, place

if TYPE_CHECKING:
    from pathlib import Path


class Spec(BaseModel):
    count: int


class Page(Payload):
    number: int
    sha256: str = ""


class Sum(BaseModel):
    total: int
    pages: list[Page]


@stage(name="crawl", accepts=Page, emits=("extract",))
async def crawl(start: Page, ctx: StageContext) -> Outcome:
    await ctx.collect(Page(number=1_000))
    kept = await ctx.blobs.put(b"7", tenant=ctx.tenant, content_type="text/plain")
    return Done(tuple(Emit("extract", Page(number=n, sha256=kept.sha256)) for n in range(start.number)))


@stage(name="extract", accepts=Page)
async def extract(page: Page, ctx: StageContext) -> Outcome:
    value = int(await ctx.blobs.read(page.sha256, tenant=ctx.tenant))
    await ctx.blobs.put(b"a picture", tenant=ctx.tenant, content_type="image/png")
    await ctx.collect(Page(number=value * page.number))
    return Done()


@stage(name="compile", accepts=CompileRequest)
async def compile_all(_: CompileRequest, ctx: StageContext) -> Outcome:
    pages = [one async for one in ctx.collected(Page)]
    return Done(result=Sum(total=sum(one.number for one in pages), pages=sorted(pages, key=lambda one: one.number)))


@stage(name="extract", accepts=Page)
async def extract_anew(page: Page, ctx: StageContext) -> Outcome:
    await ctx.collect(Page(number=page.number))
    return Done()


@stage(name="extract", accepts=Page)
async def extract_online(_: Page, ctx: StageContext) -> Outcome:
    await ctx.fetch.get("http://example.com/")
    return Done()


@stage(name="extract", accepts=Page)
async def extract_badly(_: Page, ctx: StageContext) -> Outcome:
    raise RuntimeError(f"no luck with {ctx.task}")


FLOW = Flow("pages", Spec, (crawl, extract, compile_all), first=lambda spec: Page(number=spec.count))


def with_extract(other: object) -> Flow:
    return replace(FLOW, stages=(crawl, other, compile_all))  # type: ignore[arg-type]


@asynccontextmanager
async def recorder() -> AsyncIterator[tuple[int, list[str]]]:
    """A port where nobody may call, and who did."""
    calls: list[str] = []

    async def called(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.append((await reader.read(100)).decode("latin-1"))
        writer.close()

    async with await asyncio.start_server(called, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], calls


@pytest.fixture
async def original(valkey_url: str, postgres_url: str, tmp_path: Path, namespace: str) -> Original:
    await upgrade(postgres_url)
    async with place(valkey_url, postgres_url, tmp_path, flow=FLOW, namespace=namespace) as here:
        job = await here.submit(count=3)
        record = await here.ended(job)
        worker = here.worker
        sources = Sources(worker.jobs, worker.resources.blobs, worker.resources.store, worker.flows)
        return await gathered(sources, Chosen(job, "pages", TENANT, record.status, 0, 2**53), "extract")


async def test_the_same_code_comes_to_the_same_and_calls_nobody(
    original: Original, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with recorder() as (port, calls):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
        outside = Settings(
            redis_url=SecretStr(f"redis://127.0.0.1:{port}/0"),
            database_url=SecretStr(f"postgresql://127.0.0.1:{port}/x"),
            smtp_url=SecretStr(f"smtp://127.0.0.1:{port}"),
            mail_from="a@example.org",
            webhook_secret=SecretStr("secret"),
            artifacts_url="s3://bucket/x",
            llm_base_url=f"http://127.0.0.1:{port}",
            llm_model="m",
            home=tmp_path / "home",
        )
        found = await shadow(original, FLOW, outside, in_subprocesses=False)
        assert calls == []
    assert not (tmp_path / "home").exists()
    assert (found.status, found.was, found.entries) == ("succeeded", "succeeded", 4)
    assert found.compared
    assert found.changes == ()
    assert found.is_same
    assert found.effects == (
        "1 files into the artifact store", "rows of extract, compile into PostgreSQL",
        "an outcome event, and whom the job was to tell of its end",
    )  # fmt: skip


async def test_what_would_change_is_told_field_by_field(original: Original) -> None:
    found = await shadow(original, with_extract(extract_anew), Settings(), in_subprocesses=False)
    assert not found.is_same
    assert Difference("/total", "changed", 1_021, 1_003) in found.changes
    assert {one.path for one in found.changes} == {"/total", "/pages/1/number", "/pages/2/number"}


async def test_a_handler_that_asks_a_site_cannot_be_shadowed(original: Original) -> None:
    found = await shadow(original, with_extract(extract_online), Settings(), in_subprocesses=False)
    assert found.status == "impossible"
    assert "a shadow run asks no site" in found.error


async def test_what_would_fail_is_told(original: Original) -> None:
    found = await shadow(original, with_extract(extract_badly), Settings(), in_subprocesses=False)
    assert (found.status, found.is_same) == ("failed", False)
    assert "no luck with" in found.error
