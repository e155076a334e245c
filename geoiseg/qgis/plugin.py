"""What QGIS makes of the plugin: the provider always, the tool bar where there is a window."""

from __future__ import annotations

from typing import Any, Optional

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QCoreApplication

from .provider import GeoisegProvider
from .translator import install


class GeoisegPlugin:
    """The plugin, as QGIS starts and ends it."""

    def __init__(self, iface: Any) -> None:
        self._iface = iface
        self._translator = install()
        self._provider: Optional[GeoisegProvider] = None
        self.desk: Any = None
        """Tool bar and map tool; None without a window."""

    def initProcessing(self) -> None:  # noqa: N802 - a name of QGIS
        """Make the algorithms known; all that ``qgis_process`` calls."""
        self._provider = GeoisegProvider()
        QgsApplication.processingRegistry().addProvider(self._provider)

    def initGui(self) -> None:  # noqa: N802 - a name of QGIS
        """Add algorithms, tool bar and menu."""
        self.initProcessing()
        from .desk import Desk

        self.desk = Desk(self._iface)

    def unload(self) -> None:
        """Take everything away again, and end the companion."""
        if self.desk is not None:
            self.desk.remove()
            self.desk = None
        if self._provider is not None:
            QgsApplication.processingRegistry().removeProvider(self._provider)
            self._provider = None
        if self._translator is not None:
            QCoreApplication.removeTranslator(self._translator)
            self._translator = None
