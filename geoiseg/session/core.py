"""What all parts of a session share: its state, undo and redo, the model, the outline."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from geoiseg.features import Feature, Kinds
from geoiseg.models import Model, get_model
from geoiseg.outline import OutlineOptions
from geoiseg.raster import Raster
from geoiseg.segment import EmbeddingCache, Outcome, Segmenter, Step, Watch
from geoiseg.session.history import History
from geoiseg.words import Classifier, Search


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """An object as it was before it was followed or sharpened by itself."""

    steps: tuple[Step, ...]
    outcome: Outcome
    made: Outcome
    """What was made of it; where the object is another by now, this holds no more."""
    apart: bool = False
    """Whether that is a step of its own to undo."""


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """All that undo goes back to."""

    model: Model
    """The model in use."""
    steps: tuple[Step, ...] = ()
    """What was done for the object in progress."""
    outcome: Outcome | None = None
    """The object in progress; None until something says where it is."""
    features: tuple[Feature, ...] = ()
    """Accepted objects, by id."""
    editing: int | None = None
    """Id of the accepted feature that is being refined."""
    options: OutlineOptions = field(default_factory=OutlineOptions)
    """How outlines are drawn."""
    search: Search | None = None
    """What was looked for in words, and what was found."""
    picked: int | None = None
    """Number of the candidate that is the object in progress."""
    classifier: Classifier | None = None
    """Classes that were taught by a few clicks."""
    kinds: Kinds = field(default_factory=dict)
    """Types of the user's columns, in their order, where the values do not say them."""
    seen: Seen | None = None
    """The object in progress as it was before it was followed or sharpened by itself."""

    @property
    def before(self) -> Seen | None:
        """The object as it was before, where it still is what was made of it by itself."""
        return self.seen if self.seen is not None and self.seen.made is self.outcome else None


class Core(ABC):
    """A line of states, one of them present, and the one lock that guards it."""

    raster: Raster
    """The raster."""
    gsd: float | None
    """Ground size in metres of the pixels to work at; None finds it."""
    all_bands: bool = True
    """Whether what is said from now on is answered in all bands of the raster, not only in those
    that the model sees; each step keeps it."""
    project: Path | None
    """The GeoPackage that every change of the features is saved to, if any."""
    _cache: EmbeddingCache
    _history: History[State]
    _lock: threading.RLock

    def undo(self) -> bool:
        """Go back one step, and say whether there was one."""
        return self._travel(self._history.undo, self._history.redo)

    def redo(self) -> bool:
        """Go forward one step again, and say whether there was one."""
        return self._travel(self._history.redo, self._history.undo)

    def _travel(self, move: Any, back: Any) -> bool:
        with self._lock:
            before = self._state.features
            moved = bool(move())
            if self._state.features is not before:
                self._autosave("the change is undone here but not in the file", back)
            return moved

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to go back to."""
        return self._history.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to go forward to."""
        return self._history.can_redo

    @property
    def _state(self) -> State:
        return self._history.present

    @property
    def model(self) -> Model:
        """The model in use."""
        return self._state.model

    @model.setter
    def model(self, model: str | Model) -> None:
        self.use_model(model)

    def use_model(self, model: str | Model, *, watch: Watch | None = None) -> None:
        """Change the model; the object in progress is done again with it.

        Args:
            model: Name of a model, or a Model.
            watch: To follow or stop that; stopped, model and object are as they were.

        Raises:
            UnknownModelError: There is no such model.
            CancelledError: ``watch`` asked to stop.
        """
        with self._lock:
            segmenter = replace(self.segmenter, model=get_model(model))
            if segmenter.model is not self.model:
                outcome = segmenter.replay(self._state.steps, watch)
                self._history.push(replace(self._state, model=segmenter.model, outcome=outcome))

    @property
    def options(self) -> OutlineOptions:
        """How outlines are drawn."""
        return self._state.options

    @options.setter
    def options(self, options: OutlineOptions) -> None:
        with self._lock:
            self._history.push(replace(self._state, options=options))

    @property
    def segmenter(self) -> Segmenter:
        """The raster and model with their cache of embeddings."""
        return Segmenter(self.raster, self._state.model, self._cache)

    @abstractmethod
    def _autosave(self, consequence: str, back: Any = None) -> Mapping[int, int]:
        """Save the project file, if there is one, and return new ids of features.

        Ids are new where another session has given the same ones in the same file.

        Args:
            consequence: What it means if it can not be written.
            back: Takes back what was done; by default the last step is dropped.

        Raises:
            CollisionError: Another session has changed the same; what was done is taken back.
            ExportError: It can not be written.
        """
