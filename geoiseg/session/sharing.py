"""A session's project file, which other sessions and a GIS may be writing, too."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from geoiseg.atomic import held, settle
from geoiseg.errors import CollisionError, ExportError, ProjectError
from geoiseg.features.kinds import joined
from geoiseg.files import is_project
from geoiseg.session.core import State
from geoiseg.session.merging import Common, Merged, known, merge, settings
from geoiseg.session.project import Project, load_project, save_project
from geoiseg.session.reviewing import Reviewing

log = logging.getLogger(__name__)

Signature = tuple[int, int, int] | None
"""Time, size and number of a file on its disk: another one says that somebody has written it."""


def signature(path: Path) -> Signature:
    """Return by what it is seen that a file was written; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A project file as this session last read or wrote it."""

    signature: Signature
    project: Project


class _MetError(CollisionError):
    """Two sessions have changed the same, and how it was before."""

    def __init__(self, text: str, common: Common, theirs: Project) -> None:
        super().__init__(text)
        self.common, self.theirs = common, theirs


class Sharing(Reviewing):
    """Saving: what others have changed in the file meanwhile is taken over, nothing is lost."""

    _shared: dict[Path, Seen]

    @abstractmethod
    def _snapshot(self) -> Project:
        """Return all that a project file is to hold."""

    def _begin_with(self, path: Path, project: Project, seen: Signature = None) -> None:
        """Remember what a project file holds."""
        self._shared[path.absolute()] = Seen(seen, project)

    def _autosave(self, consequence: str, back: Any = None) -> Mapping[int, int]:
        if self.project is None:
            return {}
        try:
            return self._save(self.project)
        except _MetError as collision:
            (back or self._history.drop)()
            self._take_theirs(collision, self.project)
            raise CollisionError(
                f"{collision}; the file stays as it is, and what is new in it is here now:"
                " look, and do it again if need be"
            ) from collision
        except ExportError as error:
            raise ExportError(f"{error} ({consequence}; session.save(path) elsewhere)") from error

    def _save(self, target: Path) -> Mapping[int, int]:
        """Write the project file, and return new ids of features by those they had.

        Raises:
            CollisionError: Another session has changed the same; nothing is written.
            ExportError: It can not be written.
        """
        ours = self._snapshot()
        numbers: Mapping[int, int] = {}
        with held(target):
            seen = self._shared.get(target.absolute())
            settle(target)  # what a GIS has under way is not read half
            there = signature(target)
            if there is not None and (seen is None or seen.signature != there):
                ours, numbers = self._joined(ours, target, seen)
            save_project(ours, target)
            self._begin_with(target, ours, signature(target))
        return numbers

    def _joined(
        self, ours: Project, target: Path, seen: Seen | None
    ) -> tuple[Project, Mapping[int, int]]:
        """Return our project with what others have changed in the file, and new ids."""
        if not is_project(target):
            return ours, {}
        try:
            theirs = load_project(target)
        except ProjectError as error:
            raise ExportError(f"{error}; choose another name") from error
        if seen is None:
            if not known(theirs, ours):
                raise ExportError(
                    f"{target} is the project of another session, with {len(theirs.features)}"
                    f" features: go on with Session.load({str(target)!r}), or choose another name"
                )
            return ours, {}
        common = Common.of(seen.project)
        merged = merge(common, ours.features, theirs.features)
        try:
            rest = settings(seen.project, ours, theirs)
        except CollisionError as error:
            raise _MetError(f"{target.name}: {error}", common, theirs) from error
        if merged.collisions:
            said = ", ".join(map(str, merged.collisions[:10]))
            raise _MetError(f"{target.name}: another session has changed feature {said}, too",
                             common, theirs)  # fmt: skip
        self._adopt(common, theirs, merged)
        self.classes, self._schema = rest["classes"], rest["schema"]
        if merged.taken:
            log.warning("%s: %d features are as another session has them by now",
                        target.name, merged.taken)  # fmt: skip
        editing = self._edited()
        return replace(ours, **rest, features=merged.features, editing=editing), merged.numbers

    def _edited(self) -> int | None:
        """Return the number of the feature that the object in progress is going to be, if any."""
        return self._state.editing

    def _adopt(self, common: Common, theirs: Project, merged: Merged) -> None:
        """Take over what others have changed, in the states to go back to as well."""
        present = self._state
        kinds = joined(theirs.kinds, present.kinds)

        def revised(state: State) -> State:
            found = merged if state is present else merge(common, state.features, theirs.features)
            ids = {feature.id for feature in found.features}
            editing = found.numbers.get(state.editing or 0, state.editing)
            changed = replace(state, features=found.features, kinds=kinds, editing=editing)
            if editing is not None and editing not in ids:
                changed = replace(changed, steps=(), outcome=None, editing=None)
            return changed

        self._history.revise(revised)

    def _take_theirs(self, collision: _MetError, target: Path) -> None:
        """Have everything here as the file has it."""
        theirs = collision.theirs
        merged = merge(collision.common, self._state.features, theirs.features)
        self._adopt(collision.common, theirs, merged)
        self.classes, self._schema = theirs.classes, theirs.schema
        self._begin_with(target, replace(theirs, features=merged.features))
