"""The classes of a map: added, renamed and coloured, and kept in the project file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from geoiseg.segment import Watch
from geoiseg.widget.drawing.labels import Labels
from geoiseg.widget.editor import Editor
from geoiseg.widget.worker import Job


class Labelling(Editor):
    """An editor with a list of classes, one of which is current.

    The list is the session's, too, so that every save keeps it. A change is saved at once
    where the project file exists; it is no reason to make one.
    """

    label: str
    _labels: Labels

    @property
    def labels(self) -> Labels:
        """The classes with their colours."""
        return self._labels

    def add_label(self, name: str, colour: str | None = None, *, wait: bool = True) -> None:
        """Add a class to the list.

        Raises:
            SessionError: The name or the colour can not be used.
            ExportError: It is added, but the project file could not be saved.
        """
        self._change_labels(self._labels.plus(name, colour), wait=wait)

    def rename_label(self, old: str, new: str, *, wait: bool = True) -> None:
        """Rename a class, on its features too.

        Raises:
            SessionError: There is no such class, or the new name is empty or taken.
            ExportError: It is renamed, but the project file could not be saved.
        """
        self._labels.renamed(old, new)

        def change(_: Watch) -> None:
            self._take_labels(self._labels.renamed(old, new))
            if self.label == old:
                self.label = new.strip()
            if not self.session.rename_label(old, new.strip()):
                self._save_existing()

        self._ask(change, wait=wait)

    def colour_label(self, name: str, colour: str, *, wait: bool = True) -> None:
        """Give a class another colour, ``#rrggbb``.

        Raises:
            SessionError: There is no such class, or the colour is none.
            ExportError: It has the colour, but the project file could not be saved.
        """
        self._change_labels(self._labels.recoloured(name, colour), wait=wait)

    def _change_labels(self, labels: Labels, *, wait: bool) -> None:
        if labels == self._labels:
            return
        self._take_labels(labels)
        self.refresh()
        if self._has_file:
            self._ask(lambda _: self._save_existing(), wait=wait)

    def _take_labels(self, labels: Labels) -> None:
        """Show other classes, and have the session save them with whatever it saves next."""
        self._labels = labels
        self.session.classes = () if labels == Labels() else labels.items

    @property
    def _has_file(self) -> bool:
        return self.session.project is not None and self.session.project.exists()

    def _save_existing(self) -> None:
        if self._has_file:
            self.session.save()

    def _learn_labels(self) -> bool:
        """List the classes that features and other sessions have, while there is room.

        Says whether any was new.
        """
        labels = self._labels
        for name, colour in self.session.classes:
            if name not in labels and not labels.full:
                labels = labels.plus(name, colour)
        for feature in self.session.accepted:
            name = feature.label.strip()[:60]
            if name and name not in labels and not labels.full:
                labels = labels.plus(name)
        new = labels != self._labels
        if new:
            self._take_labels(labels)
        return new

    def _perform(self, change: Callable[[Watch], Any], watch: Watch, job: Job | None) -> Any:
        def change_and_learn(watch: Watch) -> Any:
            result = change(watch)
            if self._learn_labels():  # from a feature that was saved before its class was known
                self._save_existing()
            return result

        return super()._perform(change_and_learn, watch, job)
