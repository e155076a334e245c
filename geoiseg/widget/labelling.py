"""The classes of a map: added, renamed and coloured."""

from __future__ import annotations

from geoiseg.segmenter import Watch
from geoiseg.widget.editor import Editor
from geoiseg.widget.labels import Labels


class Labelling(Editor):
    """An editor with a list of classes, one of which is current."""

    label: str
    _labels: Labels

    @property
    def labels(self) -> Labels:
        """The classes with their colours."""
        return self._labels

    def add_label(self, name: str, colour: str | None = None) -> None:
        """Add a class to the list.

        Raises:
            SessionError: The name or the colour can not be used.
        """
        self._labels = self._labels.plus(name, colour)
        self.refresh()

    def rename_label(self, old: str, new: str, *, wait: bool = True) -> None:
        """Rename a class, on its features too.

        Raises:
            SessionError: There is no such class, or the new name is empty or taken.
        """
        renamed = self._labels.renamed(old, new)

        def change(_: Watch) -> None:
            self.session.rename_label(old, new.strip())
            self._labels = renamed
            if self.label == old:
                self.label = new.strip()

        self._ask(change, wait=wait)

    def colour_label(self, name: str, colour: str) -> None:
        """Give a class another colour, ``#rrggbb``.

        Raises:
            SessionError: There is no such class, or the colour is none.
        """
        self._labels = self._labels.recoloured(name, colour)
        self.refresh()

    def _learn_labels(self) -> None:
        labels = self._labels
        for feature in self.session.accepted:
            if feature.label and feature.label not in labels:
                labels = labels.plus(feature.label[:60])
        self._labels = labels
