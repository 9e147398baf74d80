"""What `job export` finds of a job that ran on a worker: all of it, and no secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel

from consumers.bundle.export import Sources, bundle_of
from consumers.context import StageContext
from consumers.flow import Flow
from consumers.outcome import Done, Emit, Outcome, Reject
from consumers.replays.gather import Chosen
from consumers.stage import stage
from consumers.store.migrate import upgrade
from schemas.stages import CompileRequest, Payload
from streams.codec import MAX_DATA_BYTES
from tests.support.flow_place import TENANT, place

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "hunter2-is-secret"


class Login(BaseModel):
    url: str = "http://shop.example/"
    password: str = ""


class Start(Payload):
    url: str


class Page(Payload):
    sha256: str
    text: str
    token: str


@stage(name="crawl", accepts=Start, emits=("extract",))
async def crawl(start: Start, ctx: StageContext) -> Outcome:
    kept = await ctx.blobs.put(b"the page", tenant=ctx.tenant, content_type="text/plain")
    await ctx.store.artifacts.put(
        ctx.job_id, ctx.task, "page.txt", tenant=ctx.tenant, sha256=kept.sha256, content_type="text/plain",
        size_bytes=kept.size_bytes,
    )  # fmt: skip
    ctx.log.info("signed in with password=%s", SECRET)
    large = "x" * (MAX_DATA_BYTES + 1)
    return Done((Emit("extract", Page(sha256=kept.sha256, text=large, token=SECRET)),))


@stage(name="extract", accepts=Page)
async def extract(_: Page, ctx: StageContext) -> Outcome:
    await ctx.collect(Start(url=f"http://user:{SECRET}@shop.example/"))
    return Reject("no_word", f"token={SECRET} was not enough")


@stage(name="compile", accepts=CompileRequest)
async def compile_all(_: CompileRequest, ctx: StageContext) -> Outcome:
    return Done()


FLOW = Flow("shop", Login, (crawl, extract, compile_all), first=lambda spec: Start(url=spec.url))


async def test_a_bundle_has_all_of_a_job_and_no_secret(
    valkey_url: str, postgres_url: str, tmp_path: Path, namespace: str
) -> None:
    await upgrade(postgres_url)
    async with place(valkey_url, postgres_url, tmp_path, flow=FLOW, namespace=namespace) as here:
        job = await here.submit(password=SECRET)
        record = await here.ended(job)
        worker = here.worker
        sources = Sources(worker.jobs, worker.resources.blobs, worker.resources.store, worker.flows)
        chosen = Chosen(job, "shop", TENANT, record.status, 0, 2**53)
        bundle = await bundle_of(sources, chosen, max_bytes=1_000)
        none_fit = await bundle_of(sources, chosen, max_bytes=3)
        one = await bundle_of(sources, chosen, max_bytes=1_000, only=2)
    assert [(task.number, task.stage, task.state) for task in bundle.tasks][:2] == [
        (1, "crawl", "done"),
        (2, "extract", "dead"),
    ]
    dead = bundle.task(2)
    assert len(dead.data["text"]) == MAX_DATA_BYTES + 1  # behind a claim check in the log
    assert dead.reason == "no_word"
    assert [(one.name, one.content_type) for one in bundle.files] == [("page.txt", "text/plain")]
    assert list(bundle.bytes_of.values()) == [b"the page"]
    assert len(bundle.collected) == 1
    assert SECRET not in repr((bundle.facts, bundle.tasks, bundle.collected, bundle.logs))
    assert bundle.facts.spec["password"] == "***"
    assert none_fit.facts.left_out == tuple(bundle.bytes_of)
    assert [task.number for task in one.tasks] == [2]
    assert list(one.bytes_of.values()) == [b"the page"]
