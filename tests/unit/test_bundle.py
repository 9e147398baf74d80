"""A job bundle: written, read with suspicion, and a task of it run again."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import orjson
import pytest
from pydantic import BaseModel

from consumers.bundle import BadBundle, Bundle, BundledFile, BundledTask, Facts, read_bundle, try_task, write_bundle
from consumers.bundle import bundle as bundles
from consumers.context import StageContext
from consumers.flow import Flow
from consumers.outcome import Done, Outcome
from consumers.stage import stage
from consumers.testing import run_bundled
from schemas.stages import CompileRequest, Payload
from streams.errors import PermanentError

if TYPE_CHECKING:
    from pathlib import Path

BODY = b"the page"
SHA = hashlib.sha256(BODY).hexdigest()


class Spec(BaseModel):
    word: str = "page"


class Page(Payload):
    sha256: str


@stage(name="crawl", accepts=Page)
async def crawl(page: Page, ctx: StageContext) -> Outcome:
    text = (await ctx.blobs.read(page.sha256, tenant=ctx.tenant)).decode()
    asked = await ctx.spec(Spec)
    if asked.word not in text:
        raise PermanentError(f"{asked.word} is not there", reason="no_word")
    await ctx.collect(Page(sha256=page.sha256))
    return Done()


@stage(name="compile", accepts=CompileRequest)
async def compile_all(_: CompileRequest, ctx: StageContext) -> Outcome:
    assert [one async for one in ctx.collected(Page)] == [Page(sha256=SHA)]
    assert [one.reason for one in await ctx.failures()] == ["no_word"]
    return Done()


FLOW = Flow("words", Spec, (crawl, compile_all), first=lambda _: Page(sha256=SHA))


def a_bundle(word: str = "word", state: Literal["done", "dead"] = "dead") -> Bundle:
    return Bundle(
        Facts(job_id="0-a", flow="words", status="failed", spec={"word": word}, exported_at="2026-01-01T00:00:00Z"),
        (
            BundledTask(number=1, stage="crawl", data={"v": 1, "sha256": SHA}, state=state, reason="no_word"),
            BundledTask(number=2, stage="compile", data={"v": 1, "revision": 1}, state="done"),
        ),
        (BundledFile(sha256=SHA, content_type="text/plain", name="page.txt"),),
        ({"v": 1, "sha256": SHA},),
        ({"level": "info", "message": "hello"},),
        {SHA: BODY},
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    assert write_bundle(a_bundle(), path) == path.stat().st_size
    assert read_bundle(path) == a_bundle()
    again = tmp_path / "b.zip"
    write_bundle(a_bundle(), again)
    assert again.read_bytes() == path.read_bytes()
    assert sorted(tmp_path.iterdir()) == [path, again]


async def test_a_dead_letter_fails_here_as_it_did_there_until_the_code_is_mended() -> None:
    tried = await try_task(a_bundle(), 1, FLOW)
    assert isinstance(tried.error, PermanentError)
    assert tried.error.__traceback__ is not None
    mended = await try_task(a_bundle("page"), 1, FLOW)
    assert mended.error is None
    assert mended.outcome == Done()
    assert mended.collected == ({"v": 1, "sha256": SHA},)


async def test_compile_finds_what_was_collected_and_what_failed() -> None:
    assert (await try_task(a_bundle(), 2, FLOW)).outcome == Done()


async def test_a_bundle_is_a_test_fixture(tmp_path: Path) -> None:
    path = tmp_path / "letter.zip"
    write_bundle(a_bundle(), path)
    with pytest.raises(PermanentError, match="word is not there"):
        await run_bundled(path, flow=FLOW)
    write_bundle(a_bundle(state="done"), path)
    with pytest.raises(BadBundle, match="0 tasks"):
        await run_bundled(path, flow=FLOW)


async def test_a_task_that_is_not_there_is_said() -> None:
    with pytest.raises(BadBundle, match="has no task 7; it has 1, 2"):
        await try_task(a_bundle(), 7, FLOW)
    odd = replace(a_bundle(), tasks=(BundledTask(number=1, stage="extract", data={}),))
    with pytest.raises(BadBundle, match="has no stage extract"):
        await try_task(odd, 1, FLOW)


def rewritten(path: Path, **entries: bytes) -> Path:
    """The bundle with other bytes in some entries, without those that are empty."""
    write_bundle(a_bundle(), path)
    with zipfile.ZipFile(path) as file:
        kept = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, body in {**kept, **entries}.items():
            if body:
                file.writestr(name, body)
    return path


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({f"files/{SHA}": b"other bytes"}, "is damaged: files/"),
        ({"bundle.json": b""}, "it has no bundle.json"),
        ({"bundle.json": b'{"format": 2}'}, "no job bundle of format 1"),
        ({"job.json": b"[1, 2"}, "no job bundle of format 1"),
    ],
)
def test_a_damaged_bundle_is_refused(tmp_path: Path, entries: dict[str, bytes], said: str) -> None:
    with pytest.raises(BadBundle, match=said):
        read_bundle(rewritten(tmp_path / "a.zip", **entries))


def test_what_is_no_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"<html>")
    with pytest.raises(BadBundle, match="is no job bundle"):
        read_bundle(path)


def test_a_bomb_is_refused_before_it_unpacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "MAX_TOTAL_BYTES", 1_000_000)
    bomb = rewritten(tmp_path / "a.zip", **{"job.json": orjson.dumps("a" * 2_000_000)})
    assert bomb.stat().st_size < 10_000
    with pytest.raises(BadBundle, match="would unpack to"):
        read_bundle(bomb)
    monkeypatch.setattr(bundles, "MAX_TOTAL_BYTES", 10_000_000)
    monkeypatch.setattr(bundles, "MAX_JSON_BYTES", 1_000)
    with pytest.raises(BadBundle, match=r"job.json is longer than 1000 bytes"):
        read_bundle(bomb)


def test_names_that_lead_elsewhere_are_passed_over(tmp_path: Path) -> None:
    path = rewritten(tmp_path / "a.zip", **{"../../etc/passwd": b"x", "files/../x": b"y"})
    assert set(read_bundle(path).bytes_of) == {SHA}
