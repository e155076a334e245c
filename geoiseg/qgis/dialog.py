"""The settings: where geoiseg is, and how the map tool works."""

from __future__ import annotations

from typing import List, Optional

from qgis.PyQt.QtWidgets import (
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
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from .channel import Channel
from .environment import candidates, choose_python, chosen_python, own_python
from .preferences import prefer, preference
from .words import tr


class SettingsDialog(QDialog):
    """Where geoiseg is, checked beside everything else; and the choices of the map tool."""

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("geoiseg")
        self.python = QLineEdit(chosen_python())
        self.status = _text("", 3)
        self.answers: Optional[bool] = None
        """Whether geoiseg answered when it was checked last; None while it is not known."""
        self._channel: Optional[Channel] = None
        self._left: List[str] = []
        self.model = QComboBox()
        self.model.setEditable(True)
        self.model.addItem(preference("model"))
        self.at_screen_scale = QCheckBox(tr("Segment what is on the screen, at its scale"))
        self.at_screen_scale.setChecked(preference("at_screen_scale"))
        self.simplify = QDoubleSpinBox()
        self.simplify.setRange(0, 100)
        self.simplify.setSingleStep(0.5)
        self.simplify.setSuffix(" px")
        self.simplify.setValue(preference("simplify"))
        self.smooth = QSpinBox()
        self.smooth.setRange(0, 5)
        self.smooth.setValue(preference("smooth"))
        self.square = QCheckBox(tr("Make right angles, for buildings"))
        self.square.setChecked(preference("square"))
        self._lay_out()
        self.finished.connect(self._hang_up)
        self.resize(720, 420)

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
        group = QGroupBox(tr("Where geoiseg is"))
        inside = QVBoxLayout(group)
        inside.addWidget(
            _text(
                tr(
                    "geoiseg works in a Python environment of its own, so that QGIS's stays as it"
                    " is. Set up, in the menu, makes one; or give the Python of another that has"
                    " geoiseg."
                ),
                2,
            )
        )
        row = QHBoxLayout()
        row.addWidget(self.python)
        for title, slot in (
            (tr("Browse…"), self.browse), (tr("Find"), self.find), (tr("Check"), self.check),
        ):  # fmt: skip
            button = QPushButton(title)
            button.clicked.connect(slot)
            row.addWidget(button)
        inside.addLayout(row)
        inside.addWidget(self.status)
        return group

    def _tool(self) -> QGroupBox:
        group = QGroupBox(tr("Map tool"))
        form = QFormLayout(group)
        form.addRow(tr("Model"), self.model)
        form.addRow(self.at_screen_scale)
        form.addRow(tr("Simplify outlines by"), self.simplify)
        form.addRow(tr("Rounds of smoothing"), self.smooth)
        form.addRow(self.square)
        return group

    # -- where it is -----------------------------------------------------------------

    def browse(self, *_: object) -> None:
        """Let the user point at a Python."""
        title = tr("The environment's Python")
        path, _kind = QFileDialog.getOpenFileName(self, title, self.python.text())
        if path:
            self.python.setText(path)
            self.check()

    def find(self, *_: object) -> None:
        """Look for geoiseg in the usual places, one after the other."""
        own = own_python()
        self._left = [*([own] if own else []), *candidates()]
        self._next()

    def _next(self) -> None:
        if not self._left:
            self.answers = False
            self.status.setText(tr("geoiseg is in none of the usual places: Set up makes one."))
            return
        self.python.setText(self._left.pop(0))
        self._ask()

    def check(self, *_: object) -> None:
        """Start geoiseg where it is said to be, and tell what answers, once it does."""
        self._left = []
        self._ask()

    def _ask(self) -> None:
        self._hang_up()
        self.answers = None
        self.status.setText(tr("Asking…"))
        channel = self._channel = Channel(self.python.text().strip(), self)
        channel.answered.connect(self._answered)
        channel.failed.connect(self._failed)
        channel.ask("models")

    def _answered(self, _number: int, result: object) -> None:
        if self._channel is None or not isinstance(result, dict):
            return
        models = result["models"]
        version = self._channel.version
        self._hang_up()
        self.answers = True
        self.status.setText(
            tr("geoiseg {version} answers. Models: {models}.", version=version,
               models=", ".join(models))
        )  # fmt: skip
        chosen = self.model.currentText()
        self.model.clear()
        self.model.addItems(models if chosen in models else [chosen, *models])
        self.model.setCurrentText(chosen)

    def _failed(self, _number: int, _kind: str, text: str) -> None:
        self._hang_up()
        if self._left:
            self._next()
            return
        self.answers = False
        self.status.setText(text)

    def _hang_up(self, *_: object) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.part()

    def accept(self) -> None:
        """Keep everything."""
        choose_python(self.python.text().strip())
        prefer("model", self.model.currentText().strip() or "tiny")
        prefer("at_screen_scale", self.at_screen_scale.isChecked())
        prefer("simplify", self.simplify.value())
        prefer("smooth", self.smooth.value())
        prefer("square", self.square.isChecked())
        super().accept()


def _text(words: str, lines: int) -> QLabel:
    label = QLabel(words)
    label.setWordWrap(True)
    label.setMinimumHeight(label.fontMetrics().lineSpacing() * lines)
    return label
