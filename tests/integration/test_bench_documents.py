"""The measuring of documents runs, on a few: its figures are of no worth here."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from schemas.documents import CollectionSettings
from schemas.settings import Settings
from tests.support.office_files import docx_file, pptx_file
from tests.support.servers import REPOSITORY


def script(name: str) -> Any:
    """A script of `bench` as a module."""
    spec = importlib.util.spec_from_file_location(f"bench_{name}", REPOSITORY / "bench" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a process that it starts looks for it
    spec.loader.exec_module(module)
    return module


async def test_speed_is_measured(postgres_url: str) -> None:
    bench = script("documents")
    bench.PART = 20
    bench.pages_memory = lambda *_: {}  # its process cannot import what was loaded from a path
    figures = await bench.measured(postgres_url, 60, 20, texts=20, searches=3)
    assert (figures["passages"], figures["indexed"], figures["vectors"]) == (60, 20, 60)
    assert all(figures[name] > 0 for name in ("text_searchable_per_s", "hnsw_per_s_at_the_end", "search_p95_ms"))
    assert figures["chunks"] > 100


async def test_quality_is_measured(postgres_url: str, tmp_path: Path) -> None:
    bench = script("search_quality")
    folder = tmp_path / "data" / "sites"
    folder.mkdir(parents=True)
    (folder / "lease.docx").write_bytes(docx_file())
    (folder / "harvest.pptx").write_bytes(pptx_file())
    bench.PARAPHRASES = (("who mends the wheel of the mill", "lease.docx", {1}),)
    figures = await bench.measured(postgres_url, tmp_path, 2, CollectionSettings(), Settings())
    assert (figures["documents"], figures["recall_at_10"]) == (2, 1.0)
    assert figures["exact_first"] == 1.0
