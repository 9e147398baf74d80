"""Texts to vectors: by an endpoint, by a model in a folder, or without a model."""

from consumers.embeddings.choose import Embedder, Embedding, choose, model_of

__all__ = ["Embedder", "Embedding", "choose", "model_of"]
