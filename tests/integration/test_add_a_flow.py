"""docs/add-a-flow.md, followed to the letter: its files are written, installed, tested, and run by a worker."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from consumers.flow import Flows, installed
from consumers.resources import SharedResources
from consumers.store import upgrade
from consumers.submit import submit
from consumers.testing import run_inline, serve, settings_for
from consumers.worker.worker import Worker, WorkerOptions
from schemas.jobs import JobRequest
from streams.states import ENDED
from tests.support.servers import REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "add-a-flow.md"
FILE = re.compile(r"^`([\w./-]+)`\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = {"/": '<a href="good">1</a> <a href="gone">2</a> <a href="good">3</a>', "/good": "hello"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The document's files, where it says they are."""
    folder = tmp_path_factory.mktemp("user") / "linkcheck"
    files = dict(FILE.findall(DOCUMENT.read_text(encoding="utf-8")))
    assert len(files) == 5
    for name, text in {**files, "linkcheck/__init__.py": ""}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def site_packages(project: Path) -> Path:
    """The package installed as the document says, into a folder of its own."""
    target = project.parent / "site-packages"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--no-build-isolation", "--no-deps", "--target", target, project], check=True, timeout=100)
    return target


@pytest.fixture
def flows(site_packages: Path) -> Iterator[Flows]:
    """Every installed flow, that of the document among them."""
    sys.path.insert(0, str(site_packages))
    installed.cache_clear()
    yield installed()
    sys.path.remove(str(site_packages))
    installed.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "linkcheck"]:
        del sys.modules[name]


def test_the_documents_own_test_passes(project: Path, site_packages: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", project / "tests"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(site_packages), str(REPOSITORY)))},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout


@pytest.fixture(scope="module")
def database_url(postgres_url: str) -> str:
    asyncio.run(upgrade(postgres_url))
    return postgres_url


@pytest.fixture
async def site_url() -> AsyncIterator[str]:
    async with serve(PAGES) as url:
        yield url


async def test_a_worker_runs_the_documents_flow(
    flows: Flows, site_url: str, valkey_url: str, database_url: str, namespace: str, tmp_path: Path
) -> None:
    settings = settings_for(site_url, namespace=namespace, artifacts_url=str(tmp_path))
    async with SharedResources(settings, database_url) as resources:
        worker = Worker(settings, redis_url=valkey_url, flows=flows, resources=resources, options=WorkerOptions())
        settled = asyncio.Event()
        worker.signals.listen(lambda name, _: settled.set() if name == "settled" else None)
        await worker.start()
        try:
            request = JobRequest(flow="linkcheck", spec={"url": site_url})
            job_id = (await submit(worker.jobs, flows, request)).job_id
            while (record := await worker.jobs.job(job_id)) is None or record.status not in ENDED:
                settled.clear()
                await asyncio.wait_for(settled.wait(), 20)
            assert record.status == "succeeded"
            result = await resources.store.results.get(job_id, tenant="default")
            assert result is not None
            assert result.payload == {"v": 1, "links": 2, "dead": {f"{site_url}gone": "http_404"}}
        finally:
            await worker.drain()


async def test_the_documents_middleware_works(flows: Flows, site_url: str, caplog: pytest.LogCaptureFixture) -> None:
    code = next(block for block in re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
                if "async def timed" in block)  # fmt: skip
    scope: dict[str, Any] = {}
    exec(compile(code, str(DOCUMENT), "exec"), scope)  # noqa: S102 - the document's own code
    caplog.set_level("INFO", "millrace.job")
    flow = flows.get("linkcheck")
    await run_inline(flow, {"url": site_url}, settings=settings_for(site_url), middleware=(scope["timed"],))
    assert sum("took" in line for line in caplog.messages) == 5
