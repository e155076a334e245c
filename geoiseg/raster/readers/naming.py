"""Names of rasters that are parts of files: ``NETCDF:"a.nc":var``, ``GPKG:a.gpkg:table``.

GDAL writes a subdataset as its driver, the file and what of it, with colons between them and
the file in quotes or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_DRIVER = re.compile(r"[A-Za-z][A-Za-z0-9_]+:(?!//)")
"""Two characters at least: one is the letter of a drive."""
_DRIVE = re.compile(r"(^|:)[A-Za-z]:$")
_QUOTED = re.compile(r'(?P<before>[^"]*")(?P<path>[^"]+)(?P<after>".*)', re.DOTALL)
_VRT = re.compile(r"(?P<before>vrt://)(?P<path>[^?]+)(?P<after>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PartName:
    """The name of a part of a file."""

    before: str
    """The driver and a quotation mark, or nothing."""
    path: str
    """Of the file."""
    after: str
    """What of the file, or nothing."""

    def at(self, path: str) -> str:
        """Return the name of the same part of a file elsewhere."""
        return f"{self.before}{path}{self.after}"


def part_names(name: str) -> Iterator[PartName]:
    """Yield how a raster's name may be read, the longest path first; the name itself last."""
    if found := _VRT.fullmatch(name):
        yield PartName(**found.groupdict())
    elif _DRIVER.match(name):
        if found := _QUOTED.fullmatch(name):
            yield PartName(**found.groupdict())
        pieces = name.split(":")
        for length in range(len(pieces) - 1, 0, -1):
            for first in range(1, len(pieces) - length + 1):
                before = ":".join(pieces[:first]) + ":"
                after = ":".join(["", *pieces[first + length :]])
                yield PartName(before, ":".join(pieces[first : first + length]), after)
    yield PartName("", name, "")


def part_name(name: str) -> PartName:
    """Return the parts of a raster's name, its file being one that is there, if any is."""
    for found in part_names(name):
        try:
            if found.path and Path(found.path).is_file():
                return found
        except (OSError, ValueError):
            continue
    return PartName("", name, "")


def moved_beside(name: str, folder: Path) -> str | None:
    """Return the name of the same raster in a folder; None where its file is not there."""
    for found in sorted(part_names(name), key=lambda one: len(one.path) if one.before else 0):
        if _DRIVE.search(found.before):
            continue
        beside = folder / Path(found.path).name
        if found.path and Path(found.path).name and beside.is_file():
            return found.at(str(beside))
    return None


def raster_is_there(name: str) -> bool:
    """Return whether the file of a raster is there; what lies elsewhere is taken to be."""
    part = part_name(name)
    if part.before or Path(name).exists():
        return True
    if name.startswith("vrt://") and "://" not in name.removeprefix("vrt://"):
        return False
    return "://" in name.partition('"')[0] or name.startswith("/vsi")
