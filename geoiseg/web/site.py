"""Writes the page: a folder of files that needs nothing but a web server."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import os
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from geoiseg.atomic import why_failed
from geoiseg.errors import ExportError, ModelError, RasterError, WeightsError
from geoiseg.models import get_model
from geoiseg.models.tiny import FILES
from geoiseg.models.tiny.model import TinyModel
from geoiseg.raster import open_raster

PAGE = Path(__file__).parent / "page"
VENDOR = Path(__file__).parent / "vendor.tar.xz"
MARK = "files.json"
"""What a folder has that was written here: only such a one is written anew."""


@dataclass(frozen=True, slots=True)
class Site:
    """What was written."""

    folder: Path
    files: int
    nbytes: int


def write_site(folder: Path, raster: Path | None = None, model: str = "tiny") -> Site:
    """Write the page with the model into a folder, whole or not at all.

    Args:
        folder: New, empty, or written by this before.
        raster: A GeoTIFF that the page opens by itself; it is copied. None for an empty page.
        model: One of the family of ``tiny``.

    Raises:
        ExportError: The folder holds something else, or can not be written.
        RasterError: The raster can not be opened, or is no GeoTIFF.
        ModelError: The model is none that the page can run.
        WeightsError: The libraries of the page are damaged.
    """
    folder = folder.absolute()
    _check_free(folder)
    graphs, libraries = _graphs(model), vendored()
    if raster is not None:
        _check_raster(raster)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
            made = Path(scratch) / "site"
            _fill(made, libraries, graphs, raster)
            sizes = [path.stat().st_size for path in made.rglob("*") if path.is_file()]
            _replace(folder, made, Path(scratch) / "before")
    except OSError as error:
        raise ExportError(f"can not write {folder}: {why_failed(error, folder)}") from error
    return Site(folder, len(sizes), sum(sizes))


def vendored() -> dict[str, bytes]:
    """Return the contents of the libraries' files by name.

    Raises:
        WeightsError: The archive is damaged.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(lzma.decompress(VENDOR.read_bytes()))) as archive:
            found = {one.name: _content(archive, one) for one in archive.getmembers()}
        wanted: dict[str, str] = json.loads(found["vendor.json"])
    except (OSError, lzma.LZMAError, tarfile.TarError, KeyError, ValueError) as error:
        raise WeightsError(f"{VENDOR} is damaged ({error}); reinstall geoiseg") from error
    for name, digest in wanted.items():
        if hashlib.sha256(found.get(name, b"")).hexdigest() != digest:
            raise WeightsError(f"{name} in {VENDOR} is not what it should be; reinstall geoiseg")
    return {name: found[name] for name in wanted}


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    content = archive.extractfile(member)
    return b"" if content is None else content.read()


def _graphs(name: str) -> Path:
    """Return the folder with the graphs of a model that the page can run."""
    model = get_model(name)
    if not isinstance(model, TinyModel):
        raise ModelError(f"the page runs networks of tiny's family alone, and {name} is none")
    return model.folder


def _check_free(folder: Path) -> None:
    if folder.is_dir():
        if any(folder.iterdir()) and not (folder / MARK).exists():
            raise ExportError(f"{folder} holds other files; give a new or an empty folder")
    elif folder.exists():
        raise ExportError(f"{folder} is a file; give a folder")


def _check_raster(raster: Path) -> None:
    with open_raster(raster):
        pass
    with raster.open("rb") as file:
        if file.read(4)[:2] not in (b"II", b"MM"):
            raise RasterError(
                f"{raster} is no GeoTIFF, which is all that the page reads;"
                f" make one: gdal_translate -of COG {raster.name} {raster.stem}.tif"
            )


def _fill(site: Path, libraries: dict[str, bytes], graphs: Path, raster: Path | None) -> None:
    """Write all files, and last the list of those that the page keeps for later."""
    shutil.copytree(PAGE, site)
    (site / "vendor").mkdir()
    for name, content in libraries.items():
        (site / "vendor" / name).write_bytes(content)
    (site / "model").mkdir()
    for name in FILES:
        shutil.copy(graphs / name, site / "model" / name)
    shown = {"raster": None if raster is None else raster.name}
    (site / "site.json").write_text(json.dumps(shown), encoding="utf-8")
    names = sorted(path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file())
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode())
        digest.update((site / name).read_bytes())
    listed = {"version": digest.hexdigest()[:16], "names": names}
    (site / MARK).write_text(json.dumps(listed, indent=1), encoding="utf-8")
    if raster is not None:
        shutil.copy(raster, site / raster.name)


def _replace(folder: Path, made: Path, before: Path) -> None:
    """Put what was made in the place of what is there."""
    if folder.exists():
        folder.rename(before)
    try:
        made.rename(folder)
    except OSError:
        if before.exists():
            before.rename(folder)
        raise
    os.utime(folder)
