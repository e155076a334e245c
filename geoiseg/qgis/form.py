"""The layer's own form for the attributes of a new feature, beside everything else."""

from __future__ import annotations

from typing import Any, Callable, List

from qgis.core import QgsFeature, QgsVectorLayer
from qgis.gui import QgsAttributeDialog, QgsAttributeEditorContext


class Form:
    """Asks for the attributes of a feature that is not in its layer yet.

    Args:
        parent: QGIS's window.
    """

    def __init__(self, parent: Any) -> None:
        self._parent = parent
        self.dialog: Any = None
        self._feature: Any = None

    def ask(
        self, layer: QgsVectorLayer, feature: QgsFeature, then: Callable[[List[Any]], Any]
    ) -> None:
        """Show the form; ``then`` is called with the attributes once they are confirmed."""
        self.close()
        self._feature = QgsFeature(feature)
        dialog = QgsAttributeDialog(layer, self._feature, False, self._parent, True)
        dialog.setMode(QgsAttributeEditorContext.Mode.FixAttributeMode)
        dialog.accepted.connect(lambda: then(dialog.feature().attributes()))
        dialog.finished.connect(lambda *_: self._done(dialog))
        layer.willBeDeleted.connect(self.close)
        layer.editingStopped.connect(self.close)
        self.dialog = dialog
        dialog.show()

    def close(self) -> None:
        """Take the form away; nothing is added."""
        dialog, self.dialog = self.dialog, None
        if dialog is not None:
            dialog.reject()

    def _done(self, dialog: Any) -> None:
        if self.dialog is dialog:
            self.dialog = None
        dialog.deleteLater()
