"""Embeddings that are kept, in memory and on disk, so that no place is encoded twice."""

from __future__ import annotations

from geoiseg.segment.embeddings.cache import EmbeddingCache
from geoiseg.segment.embeddings.key import EmbeddingKey, Origin
from geoiseg.segment.embeddings.remote import RemoteStore
from geoiseg.segment.embeddings.settings import default_cache, default_store
from geoiseg.segment.embeddings.store import DiskStore, SourceUsage

__all__ = [
    "DiskStore",
    "EmbeddingCache",
    "EmbeddingKey",
    "Origin",
    "RemoteStore",
    "SourceUsage",
    "default_cache",
    "default_store",
]
