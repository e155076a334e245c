"""A series of rasters with one project: the same classes and schema, one raster at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd

from geoiseg.atomic import written
from geoiseg.errors import ExportError, ProjectError, SessionError
from geoiseg.features import Schema, to_frame, without_rejected
from geoiseg.files import check_format, export_features
from geoiseg.models import DEFAULT_MODEL, Model
from geoiseg.plain_json import json_text
from geoiseg.segment import EmbeddingCache, Watch, default_cache
from geoiseg.session.learning import CarryOptions
from geoiseg.session.project import load_project
from geoiseg.session.session import Session

SERIES, FORMAT = "series.json", 1
"""File in the project's folder that names the rasters, and its version."""
SUFFIXES = (".tif", ".tiff", ".vrt", ".jp2", ".img")
"""Of files in a folder that are rasters of a series."""


class Series:
    """Rasters that are worked through with the same classes and schema, a session each.

    The project is a folder: ``series.json`` with what all share, and beside it one project file
    for each raster on which something was accepted, which opens alone, too.
    """

    def __init__(
        self, rasters: str | Path | Sequence[str | Path], project: str | Path | None = None,
        model: str | Model | None = None, *, cache: EmbeddingCache | None = None,
        replay: bool = True,
    ) -> None:  # fmt: skip
        """Open a series, or go on with one.

        Args:
            rasters: A folder whose rasters are taken by name, or the rasters in their order.
            project: Folder of the project, made where it is missing; by default ``NAME.series``
                beside the folder of the rasters.
            model: Name of a model, or a Model; by default the project's, or the default.
            cache: Where embeddings are kept; as in ``Session``.
            replay: Whether what is in progress on a raster is done again when it is opened; as in
                ``Session.load``.

        Raises:
            SessionError: There is no raster, two have one name, or no folder is said.
            ProjectError: The project is none, or newer.
            ExportError: Its folder can not be made.
            GeoisegError: A raster or the model can not be opened.
        """
        self.rasters = _rasters(rasters)
        """Paths of the rasters, in order."""
        self.project = _place(rasters, project)
        """Folder of the project."""
        self._files = _files(self.rasters, self.project)
        try:
            self.project.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ExportError(f"{self.project} can be no project: {error.strerror}") from error
        self._cache = default_cache() if cache is None else cache
        self._replay = replay
        shared = _read(self.project / SERIES)
        self._model: Any = model or shared.get("model") or DEFAULT_MODEL
        self.classes, self.schema = shared.get("classes", ()), shared.get("schema", Schema())
        names = [raster.name for raster in self.rasters]
        at = shared.get("at")
        self.at = names.index(at) if at in names else 0
        """Number of the raster that is worked on, from 0."""
        self.session = self._opened(self.at)
        """The session on that raster."""

    def __len__(self) -> int:
        return len(self.rasters)

    @property
    def has_next(self) -> bool:
        """Whether there is a raster after this one."""
        return self.at + 1 < len(self)

    @property
    def has_previous(self) -> bool:
        """Whether there is a raster before this one."""
        return self.at > 0

    def next(self) -> Session:
        """Go to the next raster, and return its session.

        Raises:
            SessionError: This is the last one.
        """
        return self.go(self.at + 1)

    def previous(self) -> Session:
        """Go to the raster before, and return its session.

        Raises:
            SessionError: This is the first one.
        """
        return self.go(self.at - 1)

    def go(self, to: int | str, *, watch: Watch | None = None) -> Session:
        """Go to a raster by its number from 0, or by its name, and return its session.

        What is in progress here is saved, too.

        Args:
            to: Number or name.
            watch: To follow or stop what is in progress there being done again; see
                ``Session.load``.

        Raises:
            SessionError: There is none such.
            GeoisegError: It can not be opened; the one before stays.
        """
        number = self._number(to)
        self.save()
        session = self._opened(number, watch)
        self.session, self.at = session, number
        self.save()
        return session

    def save(self) -> None:
        """Write what all share, and the project of this raster where there is something in it.

        Raises:
            ExportError: It can not be written.
        """
        session = self.session
        self.classes, self.schema = session.classes, session.schema
        self._model = session.model
        if session.accepted or session.steps or self._files[self.at].exists():
            session.save(self._files[self.at])
        self._keep()

    def carry(
        self, *, options: CarryOptions | None = None, watch: Watch | None = None
    ) -> tuple[int, ...]:
        """Go to the next raster, with the features of this one drawn there as by ``Session.carry``.

        Returns:
            Ids of the features to look at; they are there to check, with flags.

        Raises:
            SessionError: This is the last raster, there is nothing to carry, or objects are on the
                next one already.
            CancelledError: ``watch`` asked to stop; this raster stays.
        """
        number = self._number(self.at + 1)
        if self._files[number].exists():
            there = load_project(self._files[number])
            if there.features or there.steps:
                raise SessionError(
                    f"objects are on {self.rasters[number].name} already: go there instead"
                )
            self._files[number].unlink()
        raster = str(self.rasters[number])
        carried = self.session.carry(raster, options=options, watch=watch)
        self.save()
        session: Session = carried.session
        session.classes, session.schema = self.classes, self.schema
        session.save(self._files[number])
        self.session, self.at = session, number
        self.save()
        return carried.queue

    def counts(self) -> tuple[int, ...]:
        """Return how many features are accepted on each raster."""
        return tuple(map(len, self._features()))

    @property
    def features(self) -> gpd.GeoDataFrame:
        """All accepted features, with the raster's name in ``raster``, in the CRS of the first."""
        found = [
            frame.assign(raster=raster.name)
            for raster, frame in zip(self.rasters, self._features(), strict=True)
            if len(frame)
        ]
        if not found:
            return gpd.GeoDataFrame({"raster": []}, geometry=[], crs=self.session.raster.grid.crs)
        crs = found[0].crs
        alike = [one if crs is None or one.crs is None else one.to_crs(crs) for one in found]
        table = pd.concat([pd.DataFrame(one) for one in alike], ignore_index=True)
        return gpd.GeoDataFrame(table, geometry="geometry", crs=crs)

    def export(self, path: str | Path, *, rejected: bool = False) -> Path:
        """Write the features of all rasters as one layer, but those that a review has rejected.

        Raises:
            ExportError: It can not be written, or the path is that of a raster.
        """
        target = Path(path)
        if check_format(target) == ".tif":
            raise SessionError(f"{target.name!r}: a series is written as vectors; use e.g. .gpkg")
        export_features(self.features if rejected else without_rejected(self.features), target)
        return target

    # --------------------------------------------------------------------------------

    def _number(self, to: int | str) -> int:
        names = [raster.name for raster in self.rasters]
        if isinstance(to, str) and to in names:
            return names.index(to)
        if not isinstance(to, int) or not 0 <= to < len(self):
            raise SessionError(f"there is no raster {to!r} in this series of {len(self)}")
        return to

    def _opened(self, number: int, watch: Watch | None = None) -> Session:
        """Return the session of a raster, with what all share."""
        file, raster = self._files[number], str(self.rasters[number])
        if file.exists():
            session = Session.load(
                file, raster, self._model, self._cache, watch=watch, replay=self._replay
            )
        else:
            session = Session(raster, self._model, project=file, cache=self._cache)
        known = dict(session.classes)
        session.classes = (
            *self.classes, *((n, c) for n, c in known.items() if n not in dict(self.classes)),
        )  # fmt: skip
        session.schema = self.schema
        return session

    def _features(self) -> list[gpd.GeoDataFrame]:
        """Return the features of each raster."""
        frames = []
        for number, file in enumerate(self._files):
            if number == self.at:
                frames.append(self.session.features)
            elif file.exists():
                saved = load_project(file)
                frame = to_frame(saved.features, saved.crs, saved.kinds)
                frames.append(self.schema.typed(frame))
            else:
                frames.append(gpd.GeoDataFrame(geometry=[]))
        return frames

    def _keep(self) -> None:
        shared = {
            "format": FORMAT,
            "rasters": [str(raster) for raster in self.rasters],
            "at": self.rasters[self.at].name,
            "model": self.session.model.info.name,
            "classes": [list(one) for one in self.classes],
            "schema": self.schema.to_dict(),
        }
        with written(self.project / SERIES) as target:
            target.write_text(json_text(shared, indent=2), encoding="utf-8")


def _rasters(said: str | Path | Sequence[str | Path]) -> tuple[Path, ...]:
    if isinstance(said, (str, Path)):
        folder = Path(said)
        if not folder.is_dir():
            raise SessionError(f"{folder} is no folder of rasters")
        found = [one for one in folder.iterdir() if one.suffix.lower() in SUFFIXES]
        paths = tuple(sorted((one.absolute() for one in found), key=lambda one: one.name))
        if not paths:
            raise SessionError(f"{folder} holds no raster ({', '.join(SUFFIXES)})")
        return paths
    paths = tuple(Path(one).absolute() for one in said)
    if not paths:
        raise SessionError("a series has one raster at least")
    return paths


def _place(rasters: Any, project: str | Path | None) -> Path:
    if project is not None:
        return Path(project).absolute()
    if not isinstance(rasters, (str, Path)):
        raise SessionError("say where the project of these rasters goes: project='FOLDER'")
    folder = Path(rasters).absolute()
    return folder.with_name(f"{folder.name}.series")


def _files(rasters: tuple[Path, ...], project: Path) -> tuple[Path, ...]:
    """Return the project file of each raster."""
    names = [raster.name for raster in rasters]
    if len(set(names)) < len(names):
        raise SessionError("two rasters of a series have one name")
    return tuple(project / f"{name}.gpkg" for name in names)


def _read(path: Path) -> dict[str, Any]:
    """Return what the rasters of a project share; nothing where there is none yet.

    Raises:
        ProjectError: It is damaged, or newer.
    """
    if not path.exists():
        return {}
    try:
        shared: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if shared["format"] > FORMAT:
            raise ProjectError(f"{path} was made by a newer geoiseg; upgrade")
        shared["classes"] = tuple((name, colour) for name, colour in shared.get("classes", ()))
        if not all(isinstance(one, str) for pair in shared["classes"] for one in pair):
            raise TypeError("a class has a name and a colour")
        shared["schema"] = Schema.from_dict(shared.get("schema", {}))
        if not isinstance(shared.get("model", ""), str):
            raise TypeError(f"{shared['model']!r:.60} is no name of a model")
    except (OSError, ValueError, KeyError, TypeError, SessionError) as error:
        if isinstance(error, ProjectError):
            raise
        raise ProjectError(f"{path} is damaged and can not be loaded: {error}") from error
    return shared
