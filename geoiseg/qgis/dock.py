"""The dock: what goes on in plain words, what the mouse does, words, classes, and the keys."""

from __future__ import annotations

from typing import Any, List, Optional

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QIcon, QPixmap
from qgis.PyQt.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QColorDialog,
    QDockWidget,
    QFrame,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from .classes import ObjectClass, classes, keep, with_class
from .outline_box import OutlineBox
from .tool import CLICK, CLICK_OFF, STROKE, STROKE_OFF
from .words import tr

STEPS = 100
"""Of the slider and of the progress bar."""
BAR = 20
"""Pixels for a scroll bar."""


class Dock(QDockWidget):
    """Shows and asks; the desk does what is asked."""

    mode = pyqtSignal(str)
    look = pyqtSignal(str)
    """Words to look for."""
    asked = pyqtSignal(str)
    """``stop``, ``accept_all``, ``reject_all``, ``like``, ``refine``, ``follow``, ``sharpen``,
    ``other``, ``review``."""
    threshold = pyqtSignal(float)
    label = pyqtSignal(str)
    """The class that was chosen."""
    hover = pyqtSignal(bool)
    relisted = pyqtSignal(object)
    """The classes that there were before they were changed."""

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__("geoiseg", parent)
        self.setObjectName("geoiseg_dock")
        body = QWidget()
        self._layout = QVBoxLayout(body)
        self.state = QLabel()
        self.state.setWordWrap(True)
        self.state.setMinimumHeight(self.state.fontMetrics().lineSpacing() * 3)
        self.state.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._layout.addWidget(self.state)
        self.layer = QLabel()
        self.layer.setWordWrap(True)
        self.layer.hide()
        self._layout.addWidget(self.layer)
        self._add_progress()
        self.today = QLabel()
        self._layout.addWidget(self.today)
        self._add_modes()
        self.outline = OutlineBox()
        self.outline.setObjectName("geoiseg_outline")
        self.outline.setCollapsed(True)
        self._layout.addWidget(self.outline)
        self._add_words()
        self._add_classes()
        self._layout.addWidget(self._keys())
        self._layout.addStretch()
        around = QScrollArea()
        around.setWidgetResizable(True)
        around.setFrameShape(QFrame.Shape.NoFrame)
        around.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        around.setWidget(body)
        around.setMinimumWidth(body.minimumSizeHint().width() + BAR)
        self.setWidget(around)

    def _button(self, title: str, what: str) -> QPushButton:
        button = QPushButton(title)
        button.clicked.connect(lambda *_: self.asked.emit(what))
        return button

    def _add_progress(self) -> None:
        row = QHBoxLayout()
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.stop = self._button(tr("Stop (Esc)"), "stop")
        row.addWidget(self.progress)
        row.addWidget(self.stop)
        self._layout.addLayout(row)
        self.show_progress(busy=False)

    def _add_modes(self) -> None:
        grid = QGridLayout()
        self._modes = QButtonGroup(self)
        self.mode_buttons = {}
        for number, (mode, title) in enumerate((
            (CLICK, tr("Click or box (P)")), (CLICK_OFF, tr("Click off it (N)")),
            (STROKE, tr("Stroke on it (S)")), (STROKE_OFF, tr("Stroke off it (X)")),
        )):  # fmt: skip
            button = QToolButton()
            button.setText(title)
            button.setCheckable(True)
            button.setSizePolicy(
                button.sizePolicy().Policy.Expanding, button.sizePolicy().Policy.Fixed
            )
            button.clicked.connect(lambda *_, mode=mode: self.mode.emit(mode))
            self._modes.addButton(button)
            self.mode_buttons[mode] = button
            grid.addWidget(button, number // 2, number % 2)
        self.mode_buttons[CLICK].setChecked(True)
        self.refine = self._button(tr("Refine selected (E)"), "refine")
        self.like = self._button(tr("More like selected (L)"), "like")
        self.follow = self._button(tr("Follow (F)"), "follow")
        self.sharpen = self._button(tr("Sharpen (D)"), "sharpen")
        self.other = self._button(tr("Other answer (Tab)"), "other")
        self.review = self._button(tr("Review (I)"), "review")
        self.review.setToolTip(tr("Go through the features of the layer, the doubtful first"))
        buttons = (self.refine, self.like, self.follow, self.sharpen, self.other, self.review)
        for number, button in enumerate(buttons, 4):
            grid.addWidget(button, number // 2, number % 2)
        self.preview = QCheckBox(tr("Preview under the mouse (H)"))
        self.preview.toggled.connect(self.hover)
        grid.addWidget(self.preview, 5, 0, 1, 2)
        self._layout.addLayout(grid)

    def _add_words(self) -> None:
        group = QGroupBox(tr("Find by words"))
        inside = QVBoxLayout(group)
        row = QHBoxLayout()
        self.words = QLineEdit()
        self.words.setPlaceholderText(tr("water, trees, roofs…"))
        self.words.returnPressed.connect(lambda: self.look.emit(self.words.text()))
        find = QPushButton(tr("Find"))
        find.clicked.connect(lambda *_: self.look.emit(self.words.text()))
        row.addWidget(self.words)
        row.addWidget(find)
        inside.addLayout(row)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, STEPS)
        self.slider.setToolTip(tr("Least score of what is shown"))
        self.slider.valueChanged.connect(lambda value: self.threshold.emit(value / STEPS))
        self.count = QLabel()
        self.count.setWordWrap(True)
        self.count.setMinimumHeight(self.count.fontMetrics().lineSpacing() * 2)
        row = QHBoxLayout()
        self.accept_all = self._button(tr("Accept all"), "accept_all")
        self.reject_all = self._button(tr("Reject all"), "reject_all")
        row.addWidget(self.accept_all)
        row.addWidget(self.reject_all)
        for widget in (self.slider, self.count):
            inside.addWidget(widget)
        inside.addLayout(row)
        self._layout.addWidget(group)
        self.show_candidates(0, 0, 0.0)

    def _add_classes(self) -> None:
        group = QGroupBox(tr("Classes (keys 1 to 9)"))
        inside = QVBoxLayout(group)
        self.classes = QListWidget()
        self.classes.setMaximumHeight(self.classes.fontMetrics().lineSpacing() * 5)
        self.classes.setToolTip(tr("Double click: another colour"))
        self.classes.currentRowChanged.connect(self._choose)
        self.classes.itemDoubleClicked.connect(self._recolour)
        inside.addWidget(self.classes)
        row = QHBoxLayout()
        self.new_class = QLineEdit()
        self.new_class.setPlaceholderText(tr("another class"))
        self.new_class.returnPressed.connect(self.add_class)
        row.addWidget(self.new_class)
        for title, slot in ((tr("Add"), self.add_class), (tr("Remove class"), self.drop_class)):
            button = QPushButton(title)
            button.clicked.connect(lambda *_, slot=slot: slot())
            row.addWidget(button)
        inside.addLayout(row)
        self._layout.addWidget(group)
        self.list_classes()

    def _keys(self) -> QLabel:
        text = tr(
            "Right click: off the object. Enter: accept. Backspace: back. Esc: stop, discard."
            " W: where next."
        )
        label = QLabel(text)
        label.setWordWrap(True)
        label.setEnabled(False)
        return label

    # -- what is shown ---------------------------------------------------------------

    def show_progress(self, busy: bool, share: Optional[float] = None) -> None:
        """Show how far something is; without a share, that it goes on."""
        self.progress.setRange(0, STEPS if share is not None or not busy else 0)
        self.progress.setValue(round(STEPS * (share or 0)))
        self.progress.setEnabled(busy)
        self.stop.setEnabled(busy)

    def show_mode(self, mode: str) -> None:
        """Show what the left mouse button does."""
        self.mode_buttons[mode].setChecked(True)

    def show_candidates(self, shown: int, there: int, threshold: float) -> None:
        """Show how many candidates there are, and from which score on."""
        for widget in (self.slider, self.accept_all, self.reject_all):
            widget.setEnabled(bool(there))
        self.slider.blockSignals(True)
        self.slider.setValue(round(threshold * STEPS))
        self.slider.blockSignals(False)
        self.count.setText(
            tr("{shown} shown of {there}. Click takes one, right click rejects it.", shown=shown,
               there=there) if there else ""
        )  # fmt: skip

    # -- classes ---------------------------------------------------------------------

    def list_classes(self) -> None:
        """Show the project's classes."""
        chosen = self.classes.currentItem()
        name = chosen.data(Qt.ItemDataRole.UserRole) if chosen is not None else ""
        self.classes.blockSignals(True)
        self.classes.clear()
        for number, one in enumerate(classes(), 1):
            patch = QPixmap(16, 16)
            patch.fill(QColor(one.colour))
            title = f"{number}  {one.name}" if number <= 9 else f"    {one.name}"
            item = QListWidgetItem(QIcon(patch), title)
            item.setData(Qt.ItemDataRole.UserRole, one.name)
            self.classes.addItem(item)
            if one.name == name:
                self.classes.setCurrentItem(item)
        self.classes.blockSignals(False)

    def choose_class(self, number: int) -> bool:
        """Choose a class by its number from 1, and say whether there is one."""
        if not 1 <= number <= self.classes.count():
            return False
        self.classes.setCurrentRow(number - 1)
        self._choose(number - 1)
        return True

    def add_class(self) -> None:
        """Add the class that was typed, and choose it."""
        name = self.new_class.text().strip()
        if name:
            listed = with_class(name)
            self._relist(listed)
            self.new_class.clear()
            self.list_classes()
            self.choose_class([one.name for one in listed].index(name) + 1)

    def drop_class(self) -> None:
        """Remove the chosen class from the list; features keep theirs."""
        row = self.classes.currentRow()
        listed: List[ObjectClass] = classes()
        if 0 <= row < len(listed):
            self._relist([*listed[:row], *listed[row + 1 :]])
            self.list_classes()

    def _relist(self, listed: List[ObjectClass]) -> None:
        before = classes()
        keep(listed)
        if listed != before:
            self.relisted.emit(before)

    def _choose(self, row: int) -> None:
        item = self.classes.item(row)
        if item is not None:
            self.label.emit(item.data(Qt.ItemDataRole.UserRole))

    def _recolour(self, item: Any) -> None:
        name = item.data(Qt.ItemDataRole.UserRole)
        dialog = QColorDialog(self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.colorSelected.connect(lambda colour: self._coloured(name, colour.name()))
        dialog.open()

    def _coloured(self, name: str, colour: str) -> None:
        self._relist([one._replace(colour=colour) if one.name == name else one
                      for one in classes()])  # fmt: skip
        self.list_classes()
        self.label.emit(name)
