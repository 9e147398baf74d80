"""A sentence-transformers model in a folder of this machine; nothing is fetched."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from streams.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Sequence


LOCAL: Final = "local:"
"""Begins the name of every such model."""


class LocalEmbedder:
    """Embeds in a thread of this process; the model is loaded once and kept."""

    calls = 0
    tokens = 0

    def __init__(self, folder: Path) -> None:
        self.name = f"{LOCAL}{folder.name}"
        self._folder = folder

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Vectors of length 1, in order.

        Raises:
            PermanentError: ``embedding_model``: it is not there, or sentence-transformers is not installed.
        """
        return await asyncio.to_thread(_encode, str(self._folder), list(texts))


def _encode(folder: str, texts: list[str]) -> list[list[float]]:
    vectors: Any = _model(folder).encode(texts, normalize_embeddings=True, convert_to_numpy=True)
    return [[float(x) for x in vector] for vector in vectors]


@lru_cache(maxsize=1)
def _model(folder: str) -> Any:
    if not Path(folder).is_dir():
        raise PermanentError(
            f"MILLRACE_EMBEDDING_FOLDER is {folder!r}, where there is no folder; correct it", reason="embedding_model"
        )
    try:
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - an extra of its own, and large
    except ImportError as error:
        raise PermanentError(
            "sentence-transformers is not installed: .venv/bin/pip install -e '.[embeddings]'", reason="embedding_model"
        ) from error
    return SentenceTransformer(folder, local_files_only=True)
