"""One embedding as a file: a plain NumPy ``.npz``, uncompressed, with checksums."""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from geoiseg.models import Embedding

ABOUT = "about"
"""The member that says what the others are."""
PREFIX = "array."
"""Before the name of each of the model's arrays."""
HALF_ERROR = 2.0**-10
"""Largest rounding error of half precision accepted, as a share of an array's largest value."""
DAMAGE = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, KeyError, TypeError,
          NotImplementedError, MemoryError)  # fmt: skip
"""What reading a damaged file may raise. Bits that flipped fail the checksum."""


def narrowed(embedding: Embedding) -> Embedding:
    """Return the embedding with float32 arrays in half precision where that loses nothing.

    An array whose values do not fit float16, or lose more than ``HALF_ERROR``, stays.
    """
    arrays = {name: _half(array) for name, array in embedding.arrays.items()}
    return Embedding(embedding.model, embedding.shape, arrays)


def _half(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype != np.float32 or not array.size:
        return array
    with np.errstate(over="ignore", invalid="ignore"):
        half = array.astype(np.float16)
        error = np.abs(half.astype(np.float32) - array).max()
        # Written so that NaN and infinity, too, say no.
        return half if error <= HALF_ERROR * np.abs(array).max() < np.inf else array


def write_entry(file: BinaryIO, digest: str, embedding: Embedding) -> None:
    """Write an embedding to an open file.

    Args:
        file: Open for writing in binary.
        digest: Of the embedding's key; ``read_entry`` asks for it again.
        embedding: Any arrays but of objects.
    """
    about = {"key": digest, "model": embedding.model, "shape": list(embedding.shape)}
    members: dict[str, Any] = {PREFIX + name: array for name, array in embedding.arrays.items()}
    members[ABOUT] = np.frombuffer(json.dumps(about).encode(), dtype=np.uint8)
    np.savez(file, **members)


def read_entry(path: Path | BinaryIO, digest: str) -> Embedding:
    """Return the embedding of a file, or of an open one.

    Raises:
        OSError: The file can not be opened or read.
        ValueError: It is not the entry of that digest, or one of ``DAMAGE``.
    """
    with np.load(path, allow_pickle=False) as members:
        about = json.loads(members[ABOUT].tobytes())
        if about["key"] != digest:
            raise ValueError("it is the embedding of another place")
        rows, columns = about["shape"]
        arrays = {
            name.removeprefix(PREFIX): members[name]
            for name in members.files
            if name.startswith(PREFIX)
        }
    return Embedding(str(about["model"]), (int(rows), int(columns)), arrays)
