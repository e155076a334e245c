"""What is there already and must stay: other layers of a GeoPackage, projects, the input itself."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from geoiseg.atomic import check_place
from geoiseg.errors import ExportError, MissingExtraError, VectorError
from geoiseg.files.vectors import list_layers
from geoiseg.files.vectors.archives import in_archive

META, FEATURES, PROMPTS = "geoiseg", "features", "prompts"
"""Names of the tables of a project file; the first tells that it is one."""


def is_project(path: Path) -> bool:
    """Return whether a file is a project of geoiseg."""
    if in_archive(path):
        try:
            return META in [name for name, _ in list_layers(path)]
        except (VectorError, MissingExtraError):
            return False
    if path.suffix.lower() != ".gpkg" or not path.is_file():
        return False
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as base:
            found = base.execute("select 1 from sqlite_master where name = ?", (META,)).fetchone()
    except (sqlite3.Error, UnicodeDecodeError):  # SQLite quotes what is damaged
        return False
    return found is not None


def check_layer_free(path: Path, layer: str = FEATURES) -> None:
    """Make sure that a layer is none of a project's own.

    Raises:
        ExportError: The file is a project, and the layer one that it keeps its work in; or no
            file can have this place.
    """
    check_place(path)
    if is_project(path) and layer.lower() in (META, FEATURES, PROMPTS):
        raise ExportError(
            f"{path} is a project of geoiseg, whose {layer!r} stay as they are: write to another"
            " file, or name another layer"
        )


def begin_with(path: Path, target: Path) -> None:
    """Have a GeoPackage that is written anew begin with all that is in the one that is there.

    Args:
        path: The file that is there, or not.
        target: Where the new one is written.

    Raises:
        ExportError: What is there can not be read.
    """
    if path.suffix.lower() != ".gpkg" or not path.is_file() or not path.stat().st_size:
        return
    shutil.copyfile(path, target)
    try:
        list_layers(target)
    except (VectorError, ValueError) as error:
        raise ExportError(
            f"{path} is there and is no GeoPackage that can be read; remove it, or choose another"
            " name"
        ) from error


def check_apart(out: Path | None, *inputs: Any, layer: str | None = None) -> None:
    """Make sure that a file that is written is none of those that are read.

    Args:
        out: What is written; None for nothing.
        inputs: Paths, or what else names a source; None for none.
        layer: The layer that is read, where it is said.

    Raises:
        ExportError: It is one of them, or no file can have its place.
    """
    if out is None:
        return
    check_place(out)
    if not out.is_file():
        return
    for source in _files(inputs):
        if source.is_file() and source.samefile(out) and not _goes_beside(out, layer):
            raise ExportError(f"{out} is read here, and would be lost: write to another file")


def _goes_beside(out: Path, layer: str | None) -> bool:
    """Return whether what is written becomes one more layer beside those that are read."""
    if out.suffix.lower() != ".gpkg":
        return False
    if layer is not None:
        return layer.lower() != FEATURES
    return FEATURES not in {name.lower() for name, _ in list_layers(out)}


def _files(inputs: Iterable[Any]) -> Iterable[Path]:
    for source in inputs:
        if isinstance(source, (str, os.PathLike)) and str(source):
            yield Path(source)
