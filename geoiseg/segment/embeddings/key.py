"""What names an embedding, in memory and on disk."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from geoiseg.raster import Stretch, Window

FORMAT = 1
"""Raised when entries on disk change; older ones are then never found, and age out."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What the disk cache notes of the raster that embeddings come from."""

    name: str
    """Path or URL, for whoever looks at the cache."""
    stretch_found: bool
    """Whether the stretch is the raster's own, so that it need not be found again."""


@dataclass(frozen=True, slots=True)
class EmbeddingKey:
    """All that an embedding depends on."""

    source: str
    """``Raster.source_id``: content and bands of the raster."""
    stretch: Stretch
    level: int
    window: Window
    model: str
    """Name and weights hash of the model."""
    origin: Origin | None = field(default=None, compare=False)
    """None where the key means nothing to another process: then only memory keeps it."""

    @property
    def digest(self) -> str:
        """A short text of the key, fit for a file name; the same in every process."""
        window = self.window
        parts = [
            FORMAT,
            self.source,
            [float(value) for value in (*self.stretch.low, *self.stretch.high)],
            [int(n) for n in (self.level, window.row, window.col, window.height, window.width)],
            self.model,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:40]

    @property
    def folder(self) -> str:
        """A short text of the source, fit for a folder name."""
        return folder_of(self.source)


def folder_of(source: str) -> str:
    """Return the name of a source's folder."""
    return hashlib.sha256(source.encode()).hexdigest()[:32]
