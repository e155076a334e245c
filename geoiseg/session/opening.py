"""A project gone on with, by its own model or, where that can not be had, by the default one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geoiseg.errors import MissingExtraError, UnknownModelError, WeightsError
from geoiseg.models import DEFAULT_MODEL, Model
from geoiseg.segment import EmbeddingCache
from geoiseg.session.project import load_project
from geoiseg.session.session import Session


def resumed(
    path: str | Path, raster: Any = None, model: str | Model | None = None,
    cache: EmbeddingCache | None = None, *, replay: bool = True,
) -> tuple[Session, str]:  # fmt: skip
    """Return the session of a project, and what is to be said of its model.

    What is accepted needs no model. So a project whose own one can not be used here is opened
    all the same, with the default model; the text, else empty, says so and why. Its file names its
    own one on, until another is chosen or an object is in progress.

    Args:
        path: As ``Session.load`` takes it, and the others, too.
        raster: The raster, where it is not where it was.
        model: The only one to open it with.
        cache: Where embeddings are kept.
        replay: Whether to bring back the object in progress.

    Raises:
        GeoisegError: As ``Session.load``; the model that was asked for can not be used.
    """
    try:
        return Session.load(path, raster, model, cache, replay=replay), ""
    except (UnknownModelError, WeightsError, MissingExtraError) as error:
        if model is not None:
            raise
        session = Session.load(path, raster, DEFAULT_MODEL, cache, replay=replay)
        session.stand_in_for(load_project(Path(path)))
        said = f"with {DEFAULT_MODEL} instead of its own model: {error}"
        return session, said
