"""Which embedder a collection uses, and whether it may."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from consumers.documents import hashed
from consumers.embeddings.endpoint import EndpointEmbedder
from consumers.embeddings.local import LocalEmbedder
from schemas.documents import CollectionSettings
from schemas.settings import Settings
from streams.errors import PermanentError

if TYPE_CHECKING:
    from consumers.store.models import Collection


class Embedder(Protocol):
    """Texts to vectors.

    Attributes:
        name: Of the model; vectors of different names are never compared.
        calls: Requests to an endpoint so far.
        tokens: As the endpoint counts them.
    """

    name: str
    calls: int
    tokens: int

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Vectors of length 1 (or 0), in order."""
        ...


@dataclass(slots=True)
class HashedEmbedder:
    """`consumers.documents.hashed`, with the frequencies of a collection."""

    frequencies: bytes | None
    counted: int
    name: str = hashed.NAME
    calls: int = 0
    tokens: int = 0

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Vectors of length 1 (or 0), in order."""
        import numpy as np  # noqa: PLC0415 - an extra

        known = np.frombuffer(self.frequencies, dtype="<u4") if self.frequencies else None
        return [hashed.embed(text, known, self.counted).tolist() for text in texts]


@dataclass(frozen=True, slots=True)
class Embedding:
    """An embedder and what it costs to ask it: whether its answers are worth keeping."""

    embedder: Embedder
    is_asked: bool


def model_of(settings: CollectionSettings, operator: Settings) -> str:
    """The name under which a collection's vectors are to be kept.

    Raises:
        PermanentError: As `choose`.
    """
    match settings.embedding.provider:
        case "hashed":
            return hashed.NAME
        case "local":
            return LocalEmbedder(_folder(operator)).name
        case "endpoint":
            return _endpoint(settings, operator).name


def choose(collection: Collection, settings: CollectionSettings, operator: Settings) -> Embedding:
    """The embedder of a collection.

    Raises:
        PermanentError: ``no_embedding``: the operator has configured none of this kind; ``leaves_machine``: the
            collection may not be sent to that endpoint.
    """
    match settings.embedding.provider:
        case "hashed":
            return Embedding(HashedEmbedder(collection.frequencies, collection.counted), is_asked=False)
        case "local":
            return Embedding(LocalEmbedder(_folder(operator)), is_asked=False)
        case "endpoint":
            return Embedding(_endpoint(settings, operator), is_asked=True)


def _folder(operator: Settings) -> Path:
    if operator.embedding_folder is None:
        raise PermanentError(
            "the collection wants a local model and there is none; set MILLRACE_EMBEDDING_FOLDER, or choose "
            "`hashed` or `endpoint`", reason="no_embedding",
        )  # fmt: skip
    return operator.embedding_folder


def _endpoint(settings: CollectionSettings, operator: Settings) -> EndpointEmbedder:
    model = settings.embedding.model or operator.embedding_model
    if operator.embedding_base_url is None or model is None:
        raise PermanentError(
            "the collection wants an embedding endpoint and there is none; set MILLRACE_EMBEDDING_BASE_URL and "
            "MILLRACE_EMBEDDING_MODEL, or choose `hashed`", reason="no_embedding",
        )  # fmt: skip
    if settings.stays_here and not is_here(operator.embedding_base_url):
        raise PermanentError(
            "the collection never leaves this machine, and the embedding endpoint is on another; choose `hashed` or "
            "`local`, or an endpoint on loopback", reason="leaves_machine",
        )  # fmt: skip
    return EndpointEmbedder(operator.embedding_base_url, model, operator.embedding_api_key)


def is_here(url: str) -> bool:
    """Whether an endpoint is on this machine, by its address; a name other than localhost may lead anywhere."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
