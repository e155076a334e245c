"""The window of the one button: set up, follow, stop, repair, update, remove."""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import (
    QApplication,
    QDialog,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ..words import tr  # noqa: TID252 - QGIS names the package
from .removal import Removal
from .runner import Setup, these_sources
from .script import SetupError

STEPS = 1000
"""Of the progress bar."""


class SetupWindow(QDialog):
    """Sets geoiseg up; it can be closed and opened again while that goes on.

    Args:
        setup: Does the work.
        stop_using: Called before the environment that is in use is removed.
        parent: QGIS's window.
    """

    def __init__(
        self, setup: Setup, stop_using: Callable[[], Any], parent: Optional[QWidget] = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Set up geoiseg"))
        self.setup = setup
        self._stop_using = stop_using
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.bar = QProgressBar()
        self.bar.setRange(0, STEPS)
        self.step = QLabel()
        self.step.setWordWrap(True)
        self.log = QPlainTextEdit("\n".join(setup.log))
        self.log.setReadOnly(True)
        self.log.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.begin = QPushButton()
        self.begin.setDefault(True)
        self.begin.clicked.connect(setup.start)
        self.begin.clicked.connect(self._look)
        self.stop = self._button(tr("Cancel"), setup.stop)
        self.remove = self._button(tr("Remove"), self.ask_to_remove)
        self.copy = self._button(tr("Copy the log"), self._copy)
        self.close_button = self._button(tr("Close"), self.close)
        self._lay_out()
        self.removal = Removal(self)
        self.removal.finished.connect(self._removed)
        setup.progressed.connect(self._progress)
        setup.logged.connect(self.log.appendPlainText)
        setup.finished.connect(self._finished)
        self._look()
        self.resize(680, 420)

    def _button(self, title: str, slot: Callable[[], Any]) -> QPushButton:
        button = QPushButton(title)
        button.setAutoDefault(False)
        button.clicked.connect(lambda *_: slot())
        return button

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        for widget in (self.text, self.bar, self.step, self.log):
            layout.addWidget(widget)
        row = QHBoxLayout()
        for button in (self.begin, self.stop, self.remove):
            row.addWidget(button)
        row.addStretch()
        row.addWidget(self.copy)
        row.addWidget(self.close_button)
        layout.addLayout(row)
        layout.setAlignment(self.step, Qt.AlignmentFlag.AlignTop)

    def _look(self, *_: Any) -> None:
        """Show what there is and what can be done."""
        removing, sources = self.removal.busy, these_sources()
        busy = self.setup.busy or removing
        state = self.setup.home.state(sources.stamp)
        said = self.setup.home.current
        about: Dict[str, str] = {
            "none": tr(
                "geoiseg works in a Python environment of its own, which this button makes in your"
                " QGIS profile. QGIS's own Python stays as it is. It takes about 400 MB."
            ),
            "ready": tr("geoiseg {version} is set up.", version=said.get("version", "")),
            "older": tr("geoiseg {version} is set up, and this plugin brings another version.",
                        version=said.get("version", "")),
            "broken": tr("The environment of geoiseg is damaged: repair it."),
        }  # fmt: skip
        where = (
            tr("Everything is in the plugin: no network is needed.") if sources.offline
            else tr("The libraries come from the Python package index (about 130 MB).")
        )  # fmt: skip
        self.text.setText(f"{about[state]} {where}\n{self.setup.home.folder}")
        titles = {"none": tr("Set up"), "ready": tr("Repair"), "older": tr("Update"),
                  "broken": tr("Repair")}  # fmt: skip
        self.begin.setText(titles[state])
        self.begin.setEnabled(not busy)
        self.stop.setEnabled(self.setup.busy)
        self.remove.setEnabled(not busy and state != "none")
        self.bar.setRange(0, 0 if removing else STEPS)
        self.bar.setVisible(busy)

    def _progress(self, share: float, title: str) -> None:
        self.bar.setValue(round(share * STEPS))
        self.step.setText(tr(title))
        if not self.stop.isEnabled():  # what there is does not change on the way
            self._look()

    def _finished(self, version: str, error: Optional[SetupError]) -> None:
        self._look()
        if error is None:
            self.step.setText(tr("geoiseg {version} is ready: close this, and click on an object.",
                                 version=version))  # fmt: skip
            return
        self.step.setText(tr(error.line).format(**error.values))
        if self.setup.home.state(these_sources().stamp) == "none":
            self.begin.setText(tr("Try again"))

    def ask_to_remove(self) -> None:
        """Remove the environment, if that is really meant."""
        yes = QMessageBox.StandardButton.Yes
        answer = QMessageBox.question(
            self, self.windowTitle(),
            tr("Remove geoiseg's environment? Your layers and projects stay as they are."),
            yes | QMessageBox.StandardButton.No,
        )  # fmt: skip
        if answer == yes:
            self.remove_now()

    def remove_now(self) -> None:
        """Remove the environment; the window of QGIS goes on working."""
        self._stop_using()
        self.step.setText(tr("Removing…"))
        self.removal.start(self.setup.home)
        self._look()

    def _removed(self, error: Optional[OSError]) -> None:
        if error is None:
            self.step.setText(tr("geoiseg's environment is removed."))
        else:
            line = tr("{name} can not be removed ({why}): close other QGIS windows, then try again")
            self.step.setText(line.format(name=error.filename, why=error.strerror))
        self._look()

    def _copy(self) -> None:
        QApplication.clipboard().setText("\n".join(self.setup.log))
