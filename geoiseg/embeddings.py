"""Embeddings that are kept, so that no place is encoded twice."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from geoiseg.grid import Window
from geoiseg.image import Stretch
from geoiseg.models.protocol import Embedding

MEMORY_LIMIT = 256 << 20
"""Bytes of embeddings kept in memory by default."""


@dataclass(frozen=True, slots=True)
class EmbeddingKey:
    """All that an embedding depends on."""

    source: str
    """``Raster.source_id``: place, content and bands of the raster."""
    stretch: Stretch
    level: int
    window: Window
    model: str
    """Name and weights hash of the model."""

    @property
    def digest(self) -> str:
        """A short text of the key, fit for a file name."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:40]


class EmbeddingCache:
    """The most recently used embeddings, up to a number of bytes. Thread-safe."""

    def __init__(self, memory_limit: int = MEMORY_LIMIT) -> None:
        self.memory_limit = memory_limit
        self.hits = 0
        self.misses = 0
        self._kept: OrderedDict[EmbeddingKey, Embedding] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: EmbeddingKey) -> Embedding | None:
        """Return the embedding kept under ``key``, or None."""
        with self._lock:
            embedding = self._kept.get(key)
            if embedding is None:
                self.misses += 1
            else:
                self.hits += 1
                self._kept.move_to_end(key)
            return embedding

    def put(self, key: EmbeddingKey, embedding: Embedding) -> None:
        """Keep an embedding, and drop the least recently used ones over the limit."""
        with self._lock:
            self._kept[key] = embedding
            self._kept.move_to_end(key)
            while len(self._kept) > 1 and self.nbytes > self.memory_limit:
                self._kept.popitem(last=False)

    def get_or_embed(self, key: EmbeddingKey, embed: Callable[[], Embedding]) -> Embedding:
        """Return the kept embedding, or make, keep and return it."""
        embedding = self.get(key)
        if embedding is None:
            embedding = embed()
            self.put(key, embedding)
        return embedding

    @property
    def nbytes(self) -> int:
        """Bytes in use."""
        return sum(embedding.nbytes for embedding in self._kept.values())

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
