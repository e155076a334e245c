"""A layer that is reviewed, and its queue, which is always as the layer is."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from qgis.core import QgsVectorLayer
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from .review_layer import items_of
from .review_queue import Queue

FEW = 1000
"""Features that are looked at again one by one, at most; else all are."""
OTHERWISE = (
    "attributeAdded", "attributeDeleted", "updatedFields", "dataChanged", "dataSourceChanged",
    "subsetStringChanged", "nameChanged", "readOnlyChanged", "afterCommitChanges", "afterRollBack",
)  # fmt: skip
"""Signals of a layer after which all of it is looked at again."""


class ReviewedLayer(QObject):
    """Listens to a layer, and looks again at what changes in it, once for many changes."""

    changed = pyqtSignal()
    """The layer, what it says of its features, or what is selected in it is another."""

    def __init__(self, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self.queue = Queue()
        self.layer: Optional[QgsVectorLayer] = None
        self._changed: Optional[Set[int]] = set()
        self._ties: List[Tuple[Any, Any]] = []
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.timeout.connect(self.changed)

    def watch(self, layer: Optional[QgsVectorLayer]) -> None:
        """Have the features of another layer in the queue from now on, or none."""
        self._leave()
        self.layer, self._changed = layer, None
        if layer is None:
            return
        ties: Dict[str, Callable[..., None]] = {
            "attributeValueChanged": lambda fid, *_: self._again([fid]),
            "featureAdded": lambda fid: self._again([fid]),
            "featureDeleted": lambda fid: self._again([fid]),
            "selectionChanged": lambda *_: self._again([]),
            "willBeDeleted": self._gone,
            "editingStarted": lambda: self._again([]),
            "editingStopped": self._all_again,
        }
        ties.update(dict.fromkeys(OTHERWISE, self._all_again))
        for name, slot in ties.items():
            signal = getattr(layer, name, None)  # some are newer than QGIS 3.22
            if signal is not None:
                signal.connect(slot)
                self._ties.append((signal, slot))

    def _leave(self) -> None:
        if self.layer is not None and not sip.isdeleted(self.layer):
            for signal, slot in self._ties:
                signal.disconnect(slot)
        self._ties, self.layer = [], None
        self._rest.stop()
        self.queue.fill([])

    def _gone(self) -> None:
        self._leave()
        self.changed.emit()

    def _again(self, fids: List[int]) -> None:
        """Look at features again, a little later."""
        if self._changed is not None:
            self._changed.update(fids)
        self._rest.start()

    def _all_again(self, *_: Any) -> None:
        self._changed = None
        self._rest.start()

    @property
    def waits(self) -> bool:
        """Whether there are changes that were not told of yet."""
        return self._rest.isActive()

    def catch_up(self) -> None:
        """Make the queue as the layer is now."""
        layer, changed = self.layer, self._changed
        self._changed = set()
        self._rest.stop()
        if layer is None:
            return
        if changed is None or len(changed) > FEW:
            self.queue.fill(items_of(layer))
        elif changed:
            found = {one.fid: one for one in items_of(layer, sorted(changed))}
            self.queue.drop(changed - found.keys())
            for item in found.values():
                self.queue.put(item)
