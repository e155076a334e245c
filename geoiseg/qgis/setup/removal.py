"""Removing the environment beside everything else: it has thousands of files."""

from __future__ import annotations

import threading
import time
from typing import Any, Optional

from qgis.PyQt.QtCore import QObject, pyqtSignal

from .home import Home

ATTEMPTS = 8
"""How often it is tried: a process that ends may hold its files for a moment."""
PAUSE_S = 0.5


class Removal(QObject):
    """Removes all environments in a thread of its own."""

    finished = pyqtSignal(object)
    """The :class:`OSError` that kept it from being done, or None."""
    _ran = pyqtSignal(object)

    def __init__(self, parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._ran.connect(self._end)  # in the window's thread
        self._thread: Optional[threading.Thread] = None

    @property
    def busy(self) -> bool:
        """Whether it is at work."""
        return self._thread is not None

    def start(self, home: Home) -> None:
        """Begin; :attr:`finished` tells the end."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(home,), daemon=True)
            self._thread.start()

    def _end(self, error: Any) -> None:
        self._thread = None
        self.finished.emit(error)

    def _run(self, home: Home) -> None:
        failed: Optional[OSError] = None
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE_S)
            try:
                home.remove()
                failed = None
                break
            except OSError as error:
                failed = error
        try:
            self._ran.emit(failed)
        except RuntimeError:  # the plugin was unloaded meanwhile
            return
