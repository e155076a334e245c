"""The session behind a map: given, resumed from its project file, or new."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geoiseg.errors import GeoisegError
from geoiseg.models import DEFAULT_MODEL, Model
from geoiseg.raster import Raster, open_raster, part_name
from geoiseg.segment import EmbeddingCache
from geoiseg.session import Session, is_project, load_project, resumed

SUFFIX = ".geoiseg.gpkg"
"""End of the name of a project file that nobody named."""


def default_project(raster: Raster) -> Path:
    """Return where the project of a raster is kept: in the working folder, by its name.

    A file of that name that belongs to another raster is left alone.
    """
    part = part_name(raster.name)
    stem = Path(part.path).stem + part.after.rstrip('"')
    plain = "".join(c if c.isalnum() or c in "-_." else "_" for c in stem).strip(".")[:80]
    for number in range(1, 1000):
        path = Path.cwd() / f"{plain or 'raster'}{'' if number == 1 else f'-{number}'}{SUFFIX}"
        if not path.exists() or _belongs(path, raster):
            return path
    return path


def _belongs(path: Path, raster: Raster) -> bool:
    if not is_project(path):
        return False
    try:
        project = load_project(path)
    except GeoisegError:
        return False
    return Path(project.raster).name == Path(raster.name).name and project.crs == raster.grid.crs


def open_session(
    source: Any,
    model: str | Model | None,
    project: str | Path | bool | None,
    cache: EmbeddingCache | None = None,
) -> tuple[Session, str]:
    """Return the session of a raster, and a line about it for the user.

    Args:
        source: What ``open_raster`` takes.
        model: Name or Model; None for the one in the project, or else the default.
        project: The project file; True for ``default_project``, False or None for none.
        cache: Where embeddings are kept; as in ``Session``.

    A project whose model can not be used here opens all the same, with the default model.

    Raises:
        GeoisegError: The raster or an existing project file can not be opened, or the model
            that was asked for can not be used.
    """
    raster = open_raster(source)
    if project is None or project is False:
        return Session(raster, model or DEFAULT_MODEL, cache=cache), ""
    path = default_project(raster) if project is True else Path(project)
    if not path.exists():
        return Session(raster, model or DEFAULT_MODEL, project=path, cache=cache), ""
    session, why = resumed(path, _as_saved(source, raster, path), model, cache, replay=False)
    if not session.replays_long:
        session.replay()
    if not why and model is None and session.model.info.name != load_project(path).model:
        why = f"with {session.model.info.name}, the weights that it was made with"
    count = len(session.accepted)
    said = f"Resumed {path.name}: {count} feature{'s' if count != 1 else ''}"
    return session, f"{said} {why}".rstrip()


def _as_saved(source: Any, raster: Raster, path: Path) -> Raster:
    """Return the raster with the bands and stretch of the project, where it is a path.

    One that is open keeps its bands, and gets the stretch that they were saved with.
    """
    saved = load_project(path)
    if isinstance(source, Raster):
        if saved.stretch is not None and raster.asked == saved.bands:
            raster.take_stretch(saved.stretch)
        return raster
    if any(isinstance(band, int) and band > raster.count for band in saved.bands):
        return raster
    return open_raster(source, saved.bands, saved.stretch)
