"""The one dialog: where geoiseg is or how to get it, and how the map tool works."""

from __future__ import annotations

from typing import Optional

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import (
    QApplication,
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from .channel import Channel, CompanionError
from .environment import choose_python, chosen_python, find_python, instructions
from .preferences import prefer, preference

WHY = (
    "geoiseg works in a Python environment of its own, so that QGIS's stays as it is. Give the"
    " Python of that environment, or let it be found in the usual places. Nothing is downloaded"
    " or installed by the plugin, and geoiseg works without a network."
)
HOW = (
    "To make the environment, run these lines in a terminal (Python 3.11 or newer, with pip; the"
    " last one takes geoiseg's wheel or source folder too; on a machine without a network add"
    " --no-index --find-links FOLDER with a folder of wheels):"
)


class SettingsDialog(QDialog):
    """Where geoiseg is, checked; and the choices of the map tool."""

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("geoiseg")
        self.python = QLineEdit(chosen_python())
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.status.setMinimumHeight(self.status.fontMetrics().lineSpacing() * 3)
        self.model = QComboBox()
        self.model.setEditable(True)
        self.model.addItem(preference("model"))
        self.at_screen_scale = QCheckBox("Segment what is on the screen, at its scale")
        self.at_screen_scale.setChecked(preference("at_screen_scale"))
        self.simplify = QDoubleSpinBox()
        self.simplify.setRange(0, 100)
        self.simplify.setSingleStep(0.5)
        self.simplify.setSuffix(" px")
        self.simplify.setValue(preference("simplify"))
        self.smooth = QSpinBox()
        self.smooth.setRange(0, 5)
        self.smooth.setValue(preference("smooth"))
        self.square = QCheckBox("Make right angles, for buildings")
        self.square.setChecked(preference("square"))
        self._lay_out()
        self.resize(720, 640)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.addWidget(self._place())
        layout.addWidget(self._tool())
        layout.addStretch()
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout.addWidget(buttons)

    def _place(self) -> QGroupBox:
        group = QGroupBox("Where geoiseg is")
        inside = QVBoxLayout(group)
        inside.addWidget(_text(WHY))
        row = QHBoxLayout()
        row.addWidget(self.python)
        for title, slot in (("Browse…", self.browse), ("Find", self.find), ("Check", self.check)):
            button = QPushButton(title)
            button.clicked.connect(slot)
            row.addWidget(button)
        inside.addLayout(row)
        inside.addWidget(self.status)
        inside.addWidget(_text(HOW))
        commands = QPlainTextEdit(instructions())
        commands.setReadOnly(True)
        commands.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        commands.setFixedHeight(commands.fontMetrics().lineSpacing() * 7)
        inside.addWidget(commands)
        copy = QPushButton("Copy these lines")
        copy.clicked.connect(lambda: QApplication.clipboard().setText(instructions()))
        inside.addWidget(copy, 0, Qt.AlignmentFlag.AlignRight)
        return group

    def _tool(self) -> QGroupBox:
        group = QGroupBox("Map tool")
        form = QFormLayout(group)
        form.addRow("Model", self.model)
        form.addRow(self.at_screen_scale)
        form.addRow("Simplify outlines by", self.simplify)
        form.addRow("Rounds of smoothing", self.smooth)
        form.addRow(self.square)
        return group

    # -- where it is -----------------------------------------------------------------

    def browse(self) -> None:
        """Let the user point at a Python."""
        path, _ = QFileDialog.getOpenFileName(self, "The environment's Python", self.python.text())
        if path:
            self.python.setText(path)
            self.check()

    def find(self) -> None:
        """Look for geoiseg in the usual places."""
        with _Waiting():
            python = find_python()
        if python is None:
            self.status.setText("geoiseg is in none of the usual places: see below how to get it.")
        else:
            self.python.setText(python)
            self.check()

    def check(self) -> bool:
        """Start geoiseg where it is said to be, tell what answers, and say whether it does."""
        channel = Channel(self.python.text().strip())
        try:
            with _Waiting():
                models = channel.wait(channel.ask("models"))["models"]
            version = channel.version
        except CompanionError as error:
            self.status.setText(str(error))
            return False
        finally:
            channel.stop()
        self.status.setText(f"geoiseg {version} answers. Models: {', '.join(models)}.")
        chosen = self.model.currentText()
        self.model.clear()
        self.model.addItems(models if chosen in models else [chosen, *models])
        self.model.setCurrentText(chosen)
        return True

    def accept(self) -> None:
        """Keep everything."""
        choose_python(self.python.text().strip())
        prefer("model", self.model.currentText().strip() or "tiny")
        prefer("at_screen_scale", self.at_screen_scale.isChecked())
        prefer("simplify", self.simplify.value())
        prefer("smooth", self.smooth.value())
        prefer("square", self.square.isChecked())
        super().accept()


class _Waiting:
    """A waiting cursor for what takes a few seconds."""

    def __enter__(self) -> None:
        QgsApplication.setOverrideCursor(Qt.CursorShape.WaitCursor)

    def __exit__(self, *_: object) -> None:
        QgsApplication.restoreOverrideCursor()


def _text(words: str) -> QLabel:
    label = QLabel(words)
    label.setWordWrap(True)
    label.setMinimumHeight(label.fontMetrics().lineSpacing() * 4)
    return label
