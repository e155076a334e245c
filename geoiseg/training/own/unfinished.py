"""A model that is being made: a folder beside the one that is wanted."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import shapely
import torch

from geoiseg.atomic import written
from geoiseg.errors import CancelledError, ExportError, GeoisegError
from geoiseg.models.weights.lock import locked
from geoiseg.training.own.learn import State
from geoiseg.training.own.material import Source
from geoiseg.version import __version__

TASK, STATE, MODEL = "task.json", "state.pt", "model"
"""What is made, how far it is, and the folder that is going to be the model."""
LOCK = "lock"
"""Held by the training that makes it, and by none once that was killed."""


def place_beside(folder: Path) -> Path:
    """Return where a model is made that is going to be in a folder."""
    return folder.with_name(f".{folder.name}.part")


def task_of(sources: Sequence[Source], options: dict[str, Any], weights: str) -> dict[str, Any]:
    """Return what a training depends on: one that was stopped goes on where this is the same.

    Args:
        sources: What it learns from.
        options: How.
        weights: Hash of the weights it begins from.
    """
    digest = hashlib.sha256()
    for one in sources:
        said = (one.raster.name, one.raster.asked, one.raster.grid.shape, one.gsd, one.labels)
        digest.update(repr(said).encode())
        for shape in one.shapes:
            digest.update(shapely.to_wkb(shape))
    return {"features": digest.hexdigest(), "options": options, "weights": weights,
            "geoiseg": __version__}  # fmt: skip


class Unfinished:
    """The folder of a model that is being made."""

    def __init__(self, place: Path) -> None:
        self._place = place

    @property
    def model(self) -> Path:
        """The folder that is going to be the model."""
        made = self._place / MODEL
        made.mkdir(exist_ok=True)
        return made

    def keep(self, state: State) -> None:
        """Write how far the training is; what was kept before is replaced whole."""
        with written(self._place / STATE) as target:
            torch.save(state, target)

    def kept(self) -> State | None:
        """Return how far the training was; None where it has to begin."""
        try:
            state: State = torch.load(self._place / STATE, weights_only=True)
        except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError):
            return None
        return state


@contextmanager
def unfinished(folder: Path, task: dict[str, Any]) -> Iterator[Unfinished]:
    """Give the folder in which a model is made.

    It is kept where the work is stopped or killed, and is gone on with if the task is the same; at
    the end, and where something is wrong, it is removed.

    Args:
        folder: That the model is going to be in.
        task: As ``task_of`` gives it.

    Raises:
        ExportError: It can not be written, or another training is making that model.
    """
    place = place_beside(folder)
    with _alone(place, folder):
        try:
            if _task(place) != task:
                _empty(place)
                with written(place / TASK) as target:
                    target.write_text(json.dumps(task), encoding="utf-8")
            yield Unfinished(place)
        except (CancelledError, KeyboardInterrupt):
            raise
        except GeoisegError:
            _empty(place)
            raise
        except OSError as error:
            _empty(place)
            raise _unwritable(folder, error) from error
        _empty(place)


@contextmanager
def _alone(place: Path, folder: Path) -> Iterator[None]:
    """Hold a folder that is made where it is missing; one that is empty at the end is removed.

    Raises:
        ExportError: Another training holds it, or it can not be made.
    """

    def refuse() -> None:
        raise ExportError(
            f"another training is making {folder} now: wait for its end, or choose another name"
        )

    try:
        place.mkdir(parents=True, exist_ok=True)
        with locked(place / LOCK, refuse):
            try:
                yield
            finally:
                _leave(place)  # while it is held, so that nobody else's is removed
        if sys.platform == "win32":  # which removes nothing that is open
            _leave(place)
    except GeoisegError:
        raise
    except OSError as error:
        raise _unwritable(folder, error) from error


def _leave(place: Path) -> None:
    with suppress(OSError):
        (place / LOCK).unlink()
        place.rmdir()


def _unwritable(folder: Path, error: OSError) -> ExportError:
    return ExportError(f"can not write {folder}: {error.strerror or error}")


def _task(place: Path) -> Any:
    try:
        return json.loads((place / TASK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _empty(place: Path) -> None:
    """Remove all in a folder that is held, but what it is held by."""
    shutil.rmtree(place / MODEL, ignore_errors=True)
    for path in place.iterdir():
        if path.name != LOCK:
            path.unlink()
