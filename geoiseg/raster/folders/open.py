"""What a folder or a list of files is, and the virtual dataset that it becomes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from geoiseg.errors import RasterError
from geoiseg.raster.folders.archive import Place, packed_product
from geoiseg.raster.folders.item import item_parts
from geoiseg.raster.folders.landsat import landsat_metadata, landsat_parts
from geoiseg.raster.folders.listed import hls_files, listed_parts
from geoiseg.raster.folders.safe import safe_metadata, safe_parts
from geoiseg.raster.folders.stack import Part, stacked

BETWEEN = ";"
"""Between the files of a list where it is one text."""


def stack_of(path: str) -> str | None:
    """Return the virtual dataset of a product, a STAC item or a list of files; None for others.

    Args:
        path: A folder, an archive with one or a path into it, the metadata of a product, an item,
            or files with semicolons between them.

    Raises:
        RasterError: It is such a product, but can not be opened.
        GeoreferenceError: Its files do not lie on each other.
    """
    if BETWEEN in path and not Path(path).exists():
        return stacked(listed_parts(_listed(path)), path)
    place = Path(path)
    if place.name.startswith("MTD_MSIL") or place.name.endswith("_MTL.txt"):
        place = place.parent
    try:
        is_folder = place.is_dir()
    except (OSError, ValueError):
        return None
    inside: Place | None = place if is_folder else packed_product(path)
    parts = item_parts(place) if inside is None else _product(inside)
    return None if parts is None else stacked(parts, path)


def _product(folder: Place) -> list[Part] | None:
    safe = safe_metadata(folder)
    if safe is not None:
        return safe_parts(folder, safe)
    landsat = landsat_metadata(folder)
    if landsat is not None:
        return landsat_parts(folder, landsat)
    files = hls_files(folder)
    return listed_parts([str(one) for one in files]) if files else None


def as_text(paths: Sequence[object]) -> str:
    """Return a list of files as one text, which ``stack_of`` takes apart again.

    Raises:
        RasterError: The list is empty, or something in it is no path.
    """
    texts = [str(one) if isinstance(one, (str, Path)) else "" for one in paths]
    if not texts or not all(texts):
        raise RasterError(f"a list of bands has the paths of their files, got {list(paths)!r:.80}")
    return BETWEEN.join(texts)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(BETWEEN) if part.strip()]
