"""The button that sets geoiseg up: offered at the start, and in the menu."""

from __future__ import annotations

from typing import Any, Callable, Optional

from qgis.core import Qgis
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QPushButton

from .channel import Channel
from .environment import choose_python, chosen_python, own_home
from .setup.runner import Setup, these_sources
from .setup.window import SetupWindow
from .words import tr


class SettingUp:
    """The window of the button, and when it is offered.

    Args:
        iface: QGIS's.
        channel: Of the companion, which ends before its environment is removed.
        then: Called once geoiseg is set up.
    """

    def __init__(self, iface: Any, channel: Channel, then: Callable[[], Any]) -> None:
        self._iface = iface
        self._channel = channel
        self._then = then
        self.setup = Setup()
        self.setup.finished.connect(self._finished)
        self.window: Optional[SetupWindow] = None
        self._offered: Any = None
        self._removed = False
        QTimer.singleShot(0, self._offer)

    def show(self, *_: Any) -> SetupWindow:
        """Show the window with the one button, and return it."""
        if self.window is None:
            parent = self._iface.mainWindow()
            self.window = SetupWindow(self.setup, self._channel.part, parent)
        self.window.show()
        self.window.raise_()
        return self.window

    def remove(self) -> None:
        """Stop, and take the window and what was offered away."""
        self._removed = True
        self.setup.finished.disconnect(self._finished)
        self.setup.stop()
        self._take_back()
        if self.window is not None:
            self.window.close()
            self.window.deleteLater()
            self.window = None

    def _offer(self) -> None:
        """Offer to set geoiseg up where there is none, or an older one of the plugin's."""
        if self._removed:
            return
        own_home().sweep()  # QGIS was closed before all of it was gone
        state = own_home().state(these_sources().stamp)
        if not chosen_python():
            text, title = tr("geoiseg is not set up yet: one button does it."), tr("Set up")
        elif state == "older" and str(own_home().python) == chosen_python():
            text, title = tr("This plugin brings another geoiseg than is set up."), tr("Update")
        else:
            return
        item = self._iface.messageBar().createMessage("geoiseg", text)
        button = QPushButton(title)
        button.clicked.connect(self.show)
        item.layout().addWidget(button)
        self._offered = self._iface.messageBar().pushWidget(item, Qgis.MessageLevel.Info)

    def _take_back(self) -> None:
        """Remove the offer, where it is still shown."""
        bar, offered = self._iface.messageBar(), self._offered
        self._offered = None
        if offered is not None and offered in bar.items():
            bar.popWidget(offered)

    def _finished(self, _version: str, error: Any) -> None:
        if error is None:
            self._take_back()
            choose_python("")  # the one that was set up comes next
            self._then()
