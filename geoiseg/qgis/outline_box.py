"""How outlines are drawn, as sliders: what is being drawn changes as they move."""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional

from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import Qt, QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QGridLayout,
    QLabel,
    QPushButton,
    QSlider,
    QWidget,
)

from .preferences import DEFAULTS, OUTLINE, prefer, preference
from .words import tr

STEPS = 100
"""Of a slider."""
WIDE = 16
"""Letters that the numbers have room for."""
WAIT_MS = 80
"""How long a slider rests before what it says is done."""


class Range(NamedTuple):
    """What can be said with a slider and the number beside it."""

    least: float
    most: float
    reach: float
    """The number at the slider's end; more can be typed."""
    power: int
    """The slider is finer near zero with a higher one."""
    digits: int
    unit: str


RANGES: Dict[str, Range] = {
    "simplify": Range(0, 100, 10, 2, 1, " px"),
    "smooth": Range(0, 5, 5, 1, 0, ""),
    "holes": Range(0, 1e12, 1e5, 4, 0, " m²"),
    "parts": Range(0, 1e12, 1e5, 4, 0, " m²"),
    "grow": Range(-1e6, 1e6, 100, 3, 1, " m"),
    "snap": Range(0, 1e4, 100, 3, 1, " m"),
}
"""By the names of the preferences."""


class Control(QWidget):
    """A slider and a number that say the same; the number says it exactly."""

    moved = pyqtSignal(float)

    def __init__(self, name: str, parent: Optional[QWidget] = None) -> None:
        super().__init__(parent)
        self.range = RANGES[name]
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(-STEPS if self.range.least < 0 else 0, STEPS)
        self.number = QDoubleSpinBox()
        self.number.setRange(self.range.least, self.range.most)
        self.number.setDecimals(self.range.digits)
        self.number.setSuffix(self.range.unit)
        self.number.setFixedWidth(self.number.fontMetrics().averageCharWidth() * WIDE)
        self.show_value(preference(name))
        self.slider.valueChanged.connect(self._slid)
        self.number.valueChanged.connect(self._typed)

    @property
    def value(self) -> float:
        """What is said."""
        return float(self.number.value())

    def show_value(self, value: float) -> None:
        """Show a number without saying that it was chosen."""
        for widget, shown in ((self.number, value), (self.slider, self._place(value))):
            widget.blockSignals(True)
            widget.setValue(shown)
            widget.blockSignals(False)

    def _place(self, value: float) -> int:
        share = min(abs(value) / self.range.reach, 1.0) ** (1 / self.range.power)
        return round(STEPS * share) * (-1 if value < 0 else 1)

    def _slid(self, place: int) -> None:
        share = (abs(place) / STEPS) ** self.range.power
        value = self.range.reach * share * (-1 if place < 0 else 1)
        self.number.blockSignals(True)
        self.number.setValue(value)
        self.number.blockSignals(False)
        self.moved.emit(self.value)

    def _typed(self, value: float) -> None:
        self.show_value(value)
        self.moved.emit(value)


class OutlineBox(QgsCollapsibleGroupBox):
    """The sliders; what they say is kept in the preferences."""

    changed = pyqtSignal()
    """How outlines are drawn is another, and no slider has moved for a moment."""

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(tr("Outline"), parent)
        self._grid = QGridLayout(self)
        self._grid.setColumnStretch(1, 1)
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(WAIT_MS)
        self._rest.timeout.connect(self.changed)
        self.controls: Dict[str, Control] = {}
        titles = {
            "simplify": tr("Simplify"), "smooth": tr("Smooth"), "holes": tr("Fill holes below"),
            "parts": tr("Drop parts below"), "grow": tr("Wider, narrower"),
            "snap": tr("Share borders within"),
        }  # fmt: skip
        for name, title in titles.items():
            self._add(name, title)
        self.square = self._check("square", tr("Make right angles, for buildings"))
        self.form = self._check("form", tr("Fill in the layer's form on accepting"))
        self.reset = QPushButton(tr("As segmented"))
        self.reset.setToolTip(tr("The outline as the raster has it: no slider changes it"))
        self.reset.clicked.connect(self.set_back)
        self._grid.addWidget(self.reset, self._grid.rowCount(), 0, 1, 3)
        self.setToolTip(
            tr("Changes the object in progress, or where there is none the selected features")
        )

    @property
    def waits(self) -> bool:
        """Whether a slider has moved and nothing was done yet."""
        return bool(self._rest.isActive())

    def show_preferences(self) -> None:
        """Show what the preferences say."""
        for name, control in self.controls.items():
            control.show_value(preference(name))
        for name, box in (("square", self.square), ("form", self.form)):
            box.blockSignals(True)
            box.setChecked(bool(preference(name)))
            box.blockSignals(False)

    def set_back(self, *_: Any) -> None:
        """Draw outlines as they were segmented."""
        for name in OUTLINE:
            prefer(name, DEFAULTS[name])
        self.show_preferences()
        self._rest.start()

    def _add(self, name: str, title: str) -> None:
        row = self._grid.rowCount()
        control = self.controls[name] = Control(name, self)
        self._grid.addWidget(QLabel(title), row, 0)
        self._grid.addWidget(control.slider, row, 1)
        self._grid.addWidget(control.number, row, 2)
        control.moved.connect(lambda value, name=name: self._say(name, value))

    def _check(self, name: str, title: str) -> QCheckBox:
        box = QCheckBox(title)
        box.setChecked(bool(preference(name)))
        box.toggled.connect(lambda on: self._say(name, on))
        self._grid.addWidget(box, self._grid.rowCount(), 0, 1, 3)
        return box

    def _say(self, name: str, value: Any) -> None:
        prefer(name, type(DEFAULTS[name])(value))
        if name in OUTLINE:
            self._rest.start()
