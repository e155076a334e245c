"""Every error geoiseg raises on purpose, and the helper that names a missing extra.

Each class also derives from the builtin that fits, so that ``except ValueError`` or
``except OSError`` keeps working for callers who know nothing of this module. A message
is one line: what was wrong, what was received, what to do.
"""

from __future__ import annotations

import importlib
from types import ModuleType


class GeoisegError(Exception):
    """Base of all errors raised by geoiseg."""


class RasterError(GeoisegError, OSError):
    """A raster can not be opened or read."""


class GeoreferenceError(GeoisegError, ValueError):
    """A grid, a CRS or a coordinate does not make sense."""


class PromptError(GeoisegError, ValueError):
    """A prompt is malformed, empty or outside the raster."""


class NoDataError(PromptError):
    """Prompts that say where the object is lie where the raster has no data.

    ``prompts`` are those; what was given with them is not at fault.
    """

    def __init__(self, message: str, prompts: tuple[object, ...] = ()) -> None:
        super().__init__(message)
        self.prompts = prompts


class ModelError(GeoisegError, RuntimeError):
    """A model failed, or was asked for something that it can not do."""


class UnknownModelError(ModelError, KeyError):
    """No model of that name is registered."""

    __str__ = Exception.__str__  # KeyError would print the repr of the message


class WeightsError(ModelError, OSError):
    """A file of weights is missing, damaged or of another architecture."""


class SessionError(GeoisegError, RuntimeError):
    """A step that the state of the session does not allow."""


class ProjectError(GeoisegError, ValueError):
    """A project file can not be read or does not belong to this raster."""


class VectorError(GeoisegError, OSError):
    """A vector file can not be read or written."""


class ExportError(GeoisegError, OSError):
    """A file can not be written; what was there before is untouched."""


class CollisionError(ExportError):
    """Another session has changed in the project file what this one has changed, too."""


class CacheError(GeoisegError, OSError):
    """The cache of embeddings can not be set up, or can not take what it has to."""


class LedgerError(GeoisegError, ValueError):
    """The record of an unfinished run is damaged, in use, or of another run."""


class WorkerError(GeoisegError, RuntimeError):
    """The processes or machines that were to do the work are gone or can not be reached."""


class CancelledError(GeoisegError, RuntimeError):
    """The user stopped a long operation."""


class MissingExtraError(GeoisegError, ImportError):
    """An optional dependency is not installed."""


PACKAGES = {"skimage": "scikit-image"}
"""Names by which pip knows modules of other names."""


def require(module: str, extra: str = "") -> ModuleType:
    """Import ``module``, or say what brings it.

    Args:
        module: Dotted name of the optional dependency.
        extra: The extra of geoiseg that installs it; empty where geoiseg itself does, and a
            small environment left it out.

    Raises:
        MissingExtraError: The module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        top = module.partition(".")[0]
        if error.name is not None and error.name.partition(".")[0] != top:
            raise
        wanted = f"'geoiseg[{extra}]'" if extra else PACKAGES.get(top, top)
        message = f"this needs {top}, which is not installed; run: pip install {wanted}"
        raise MissingExtraError(message) from error
