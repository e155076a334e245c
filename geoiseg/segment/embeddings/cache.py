"""Embeddings in memory, before those on disk."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from geoiseg.models import Embedding
from geoiseg.segment.embeddings.key import EmbeddingKey
from geoiseg.segment.embeddings.remote import RemoteStore
from geoiseg.segment.embeddings.store import DiskStore

MEMORY_LIMIT = 256 << 20
"""Bytes of embeddings kept in memory by default."""
WORTH = 0.1
"""Seconds that an embedding must take to make, reading included, to be written to disk."""


class EmbeddingCache:
    """The most recently used embeddings, up to a number of bytes. Thread-safe.

    Args:
        memory_limit: Bytes kept in memory.
        disk: Where embeddings outlive the process, here or elsewhere; None for memory alone.
        worth: What takes fewer seconds than this to make is not written to disk.
    """

    def __init__(
        self,
        memory_limit: int = MEMORY_LIMIT,
        disk: DiskStore | RemoteStore | None = None,
        worth: float = WORTH,
    ) -> None:
        self.memory_limit = memory_limit
        self.disk = disk
        self.worth = worth
        self.hits = 0
        self.misses = 0
        self._kept: OrderedDict[EmbeddingKey, Embedding] = OrderedDict()
        self._nbytes = 0
        self._lock = threading.Lock()

    def get(self, key: EmbeddingKey) -> Embedding | None:
        """Return the embedding kept under ``key``, in memory or on disk, or None."""
        with self._lock:
            embedding = self._kept.get(key)
            if embedding is not None:
                self.hits += 1
                self._kept.move_to_end(key)
                return embedding
        if self.disk is not None and key.origin is not None:
            embedding = self.disk.load(key)
        with self._lock:
            if embedding is None:
                self.misses += 1
            else:
                self.hits += 1
                self._remember(key, embedding)
        return embedding

    def put(self, key: EmbeddingKey, embedding: Embedding, seconds: float = 0.0) -> None:
        """Keep an embedding, and drop the least recently used ones over the limit.

        Args:
            key: What it is of.
            embedding: What to keep.
            seconds: How long it took to make.
        """
        with self._lock:
            self._remember(key, embedding)
        if self.disk is not None and key.origin is not None and seconds >= self.worth:
            self.disk.keep(key, embedding)

    def _remember(self, key: EmbeddingKey, embedding: Embedding) -> None:
        old = self._kept.pop(key, None)
        self._kept[key] = embedding
        self._nbytes += embedding.nbytes - (old.nbytes if old is not None else 0)
        while len(self._kept) > 1 and self._nbytes > self.memory_limit:
            self._nbytes -= self._kept.popitem(last=False)[1].nbytes

    def get_or_embed(self, key: EmbeddingKey, embed: Callable[[], Embedding]) -> Embedding:
        """Return the kept embedding, or make, keep and return it."""
        embedding = self.get(key)
        if embedding is None:
            started = time.perf_counter()
            embedding = embed()
            self.put(key, embedding, time.perf_counter() - started)
        return embedding

    @property
    def nbytes(self) -> int:
        """Bytes in use in memory."""
        return self._nbytes

    def clear(self) -> None:
        """Forget everything in memory; what is on disk stays."""
        with self._lock:
            self._kept.clear()
            self._nbytes = 0
