"""Vectors by a model in a folder: with sentence-transformers where it is installed, its contract elsewhere."""

from __future__ import annotations

import importlib
import math
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from consumers.embeddings import choose, local
from consumers.store.models import Collection
from schemas.documents import CollectionSettings, EmbeddingChoice
from schemas.settings import Settings
from streams.errors import PermanentError

TEXTS = ["the wheel turns eastward", "barley was dear", "the wheel turns westward"]


@pytest.fixture(autouse=True)
def _no_model_is_kept() -> None:
    local._model.cache_clear()


def embedder_of(folder: Path) -> Any:
    """As a collection chooses it; one that never leaves this machine may."""
    settings = CollectionSettings(stays_here=True, embedding=EmbeddingChoice(provider="local"))
    return choose(Collection(counted=0), settings, Settings(embedding_folder=folder)).embedder


def model_in(folder: Path) -> Path:
    """A small model that was trained on nothing, saved as the library saves models."""
    library = pytest.importorskip("sentence_transformers", reason="the extra `embeddings` is not installed")
    tokenizers = pytest.importorskip("tokenizers")
    vocabulary = {word: at for at, word in enumerate(["[UNK]", *sorted({w for text in TEXTS for w in text.split()})])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    static = importlib.import_module("sentence_transformers.sentence_transformer.modules").StaticEmbedding(
        tokenizer, embedding_dim=16
    )
    library.SentenceTransformer(modules=[static], device="cpu").save(str(folder / "tiny"))
    return folder / "tiny"


async def test_a_model_in_a_folder_embeds(tmp_path: Path) -> None:
    embedder = embedder_of(model_in(tmp_path))
    assert embedder.name == "local:tiny"
    first, second, third = await embedder.embed(TEXTS)
    assert [len(first), math.hypot(*first)] == [16, pytest.approx(1)]
    assert sum(a * b for a, b in zip(first, third, strict=True)) > sum(
        a * b for a, b in zip(first, second, strict=True)
    )
    assert await embedder.embed(TEXTS[:1]) == [pytest.approx(first, abs=1e-6)]


async def test_the_library_is_asked_for_nothing_but_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of the library, so that it is seen where it is not installed."""
    asked: list[Any] = []

    class SentenceTransformer:
        def __init__(self, folder: str, **options: Any) -> None:
            asked.append((folder, options))

        def encode(self, texts: list[str], **options: Any) -> Any:
            asked.append((texts, options))
            return np.array([[0.6, 0.8]] * len(texts), dtype=np.float32)

    stand_in = types.ModuleType("sentence_transformers")
    stand_in.SentenceTransformer = SentenceTransformer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", stand_in)
    embedder = embedder_of(tmp_path)
    assert await embedder.embed(TEXTS) == [pytest.approx([0.6, 0.8])] * 3
    await embedder.embed(TEXTS[:1])
    assert asked[0] == (str(tmp_path), {"local_files_only": True})
    assert asked[1] == (TEXTS, {"normalize_embeddings": True, "convert_to_numpy": True})
    assert len(asked) == 3, "the model is loaded once"


async def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PermanentError, match="where there is no folder") as caught:
        await embedder_of(tmp_path / "nowhere").embed(TEXTS)
    assert caught.value.reason == "embedding_model"
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(PermanentError, match=r"pip install -e '\.\[embeddings\]'"):
        await embedder_of(tmp_path).embed(TEXTS)
    monkeypatch.setitem(sys.modules, "sentence_transformers", types.ModuleType("sentence_transformers"))
    with pytest.raises(PermanentError, match="MILLRACE_EMBEDDING_FOLDER"):
        choose(Collection(counted=0), CollectionSettings(embedding=EmbeddingChoice(provider="local")), Settings())
