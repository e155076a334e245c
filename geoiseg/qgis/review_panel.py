"""The panel of the review: how much is done, what is looked at, what is shown, and the buttons."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from qgis.PyQt.QtCore import QEvent, QObject, Qt, pyqtSignal
from qgis.PyQt.QtGui import QKeySequence
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QDockWidget,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QShortcut,
    QVBoxLayout,
    QWidget,
)

from .reviewed import CHECKED, REJECTED, TO_CHECK, Wanted
from .words import tr

HELD = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
"""With these a key is not for a list or a box."""
KEYS = {"next": ".", "previous": ",", CHECKED: "Y", REJECTED: "T", "close": "I"}
"""Keys of what is asked, as in the notebook."""


class Seen(NamedTuple):
    """What the panel shows."""

    layer: str = ""
    """The name of the layer; empty where there is none."""
    place: Optional[int] = None
    """The feature's number from 1 among those that are shown."""
    counts: Tuple[int, int, int] = (0, 0, 0)
    """To check, checked, rejected, of what is shown."""
    about: str = ""
    """The feature that is looked at, or what can be done."""
    hint: str = ""
    """Why no state can be given now."""
    state: str = ""
    """The state of the feature; empty where none is looked at."""
    wanted: Wanted = Wanted()
    labels: Optional[List[str]] = None
    """Classes to choose from; None where the layer has none."""
    flags: Optional[List[str]] = None
    scored: bool = False


class ReviewPanel(QDockWidget):
    """Shows and asks; the review does what is asked."""

    asked = pyqtSignal(str)
    """``next``, ``previous``, ``close``, or a state."""
    filtered = pyqtSignal(object)
    """What is wanted from now on, a :class:`~geoiseg.qgis.reviewed.Wanted`."""

    def __init__(self, parent: Optional[QWidget] = None) -> None:
        super().__init__(tr("geoiseg review"), parent)
        self.setObjectName("geoiseg_review")
        body = QWidget()
        self._layout = QVBoxLayout(body)
        self.count = QLabel()
        self.count.setWordWrap(True)
        self._layout.addWidget(self.count)
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self._layout.addWidget(self.progress)
        self.about = QLabel()
        self.about.setWordWrap(True)
        self.about.setTextFormat(Qt.TextFormat.PlainText)
        self.about.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.about.setMinimumHeight(self.about.fontMetrics().lineSpacing() * 3)
        self._layout.addWidget(self.about)
        self._add_buttons()
        self.hint = QLabel()
        self.hint.setWordWrap(True)
        self.hint.setTextFormat(Qt.TextFormat.PlainText)
        self._layout.addWidget(self.hint)
        self._add_filters()
        self._layout.addStretch()
        self.setWidget(body)
        for what, key in KEYS.items():
            shortcut = QShortcut(QKeySequence(key), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.setAutoRepeat(False)
            shortcut.activated.connect(lambda what=what: self.asked.emit(what))
        self.show_seen(Seen())

    def _add_buttons(self) -> None:
        grid = QGridLayout()
        self.buttons: Dict[str, QPushButton] = {}
        for number, (what, title, tip) in enumerate((
            ("previous", tr("Previous (,)"), tr("The feature before this one")),
            ("next", tr("Next (.)"), tr("The next feature, the doubtful first")),
            (CHECKED, tr("Checked (Y)"), tr("Right, and on to the next; again takes it back")),
            (REJECTED, tr("Rejected (T)"), tr("Wrong, and on to the next; it stays in the layer")),
            (TO_CHECK, tr("To check again"), tr("Take back what was said of it")),
        )):  # fmt: skip
            button = QPushButton(title)
            button.setToolTip(tip)
            button.clicked.connect(lambda *_, what=what: self.asked.emit(what))
            self.buttons[what] = button
            grid.addWidget(button, number // 2, number % 2, 1, 2 if what == TO_CHECK else 1)
        self._layout.addLayout(grid)

    def _add_filters(self) -> None:
        self.state = self._combo(tr("State to go through"))
        for text, state in ((tr("To check"), TO_CHECK), (tr("Checked"), CHECKED),
                            (tr("Rejected"), REJECTED), (tr("All states"), None)):  # fmt: skip
            self.state.addItem(text, state)
        self.label = self._combo(tr("Class to go through"))
        self.flag = self._combo(tr("Flag to go through"))
        self.scores = QWidget()
        row = QHBoxLayout(self.scores)
        row.setContentsMargins(0, 0, 0, 0)
        self.least = self._score(0.0, tr("Least score to go through"))
        self.most = self._score(1.0, tr("Greatest score to go through"))
        for widget in (QLabel(tr("Score")), self.least, QLabel(tr("to")), self.most):
            row.addWidget(widget)
        row.addStretch()
        for widget in (self.state, self.label, self.flag, self.scores):
            self._layout.addWidget(widget)
        for combo in (self.state, self.label, self.flag):
            combo.currentIndexChanged.connect(self._filter)
        for box in (self.least, self.most):
            box.valueChanged.connect(self._filter)
        lists = (self.state, self.label, self.flag)
        for widget in (self.least, self.most, *lists, *(one.view() for one in lists)):
            widget.installEventFilter(self)

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """Let a list or a box have the keys that are typed in it: they give no state there."""
        if event.type() == QEvent.Type.ShortcutOverride and not event.modifiers() & HELD:
            event.accept()
            return True
        return False

    def _combo(self, tip: str) -> QComboBox:
        combo = QComboBox()
        combo.setToolTip(tip)
        combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        return combo

    def _score(self, value: float, tip: str) -> QDoubleSpinBox:
        box = QDoubleSpinBox()
        box.setRange(0.0, 1.0)
        box.setSingleStep(0.05)
        box.setDecimals(2)
        box.setValue(value)
        box.setToolTip(tip)
        box.setKeyboardTracking(False)
        return box

    @property
    def wanted(self) -> Wanted:
        """What is chosen in the lists and boxes."""
        least, most = self.least.value(), self.most.value()
        label, flag = self.label.currentData(), self.flag.currentData()
        return Wanted(
            self.state.currentData(),
            label,
            flag,
            least if least > 0 else None,
            most if most < 1 else None,
        )

    def _filter(self, *_: Any) -> None:
        self.filtered.emit(self.wanted)

    # -- what is shown ---------------------------------------------------------------

    def show_seen(self, seen: Seen) -> None:
        """Show how far the review is, and what is looked at."""
        to_check, checked, rejected = seen.counts
        total = sum(seen.counts)
        self.count.setText(self._counted(seen))
        self.progress.setRange(0, max(1, total))
        self.progress.setValue(checked + rejected)
        self.progress.setToolTip(
            tr("{done} of {count} reviewed", done=total - to_check, count=total)
        )
        self.about.setText(seen.about)
        self.hint.setText(seen.hint)
        self.hint.setVisible(bool(seen.hint))
        for what, button in self.buttons.items():
            button.setEnabled(bool(total) if what in ("next", "previous") else bool(seen.state))
        self.buttons[TO_CHECK].setEnabled(seen.state in (CHECKED, REJECTED))
        self._show_filters(seen)

    def _counted(self, seen: Seen) -> str:
        to_check, checked, rejected = seen.counts
        if not seen.layer:
            return ""
        return tr(
            "{place} of {count}: {checked} checked, {rejected} rejected, {to_check} to check",
            place="–" if seen.place is None else seen.place, count=sum(seen.counts),
            checked=checked, rejected=rejected, to_check=to_check,
        )  # fmt: skip

    def _show_filters(self, seen: Seen) -> None:
        none, wanted = tr("(none)"), seen.wanted
        labels = [(name or none, name) for name in seen.labels or []]
        flags: List[Tuple[str, Any]] = [(tr("Any flag"), True), (tr("No flag"), False)]
        flags += [(name, name) for name in seen.flags or []]
        _choose(self.state, wanted.state)
        _offer(self.label, [(tr("All classes"), None), *labels], wanted.label)
        _offer(self.flag, [(tr("Flagged or not"), None), *flags], wanted.flag)
        for box, value, none_is in ((self.least, wanted.least, 0.0), (self.most, wanted.most, 1.0)):
            box.blockSignals(True)
            box.setValue(none_is if value is None else value)
            box.blockSignals(False)
        self.label.setVisible(seen.labels is not None)
        self.flag.setVisible(seen.flags is not None)
        self.scores.setVisible(seen.scored)


def _offer(combo: QComboBox, offered: List[Tuple[str, Any]], chosen: Any) -> None:
    """Let a list offer texts with their values; what is chosen stays there, also if it is gone."""
    if all(value is not chosen and value != chosen for _, value in offered):
        offered = [*offered, (str(chosen), chosen)]
    shown = [(combo.itemText(at), combo.itemData(at)) for at in range(combo.count())]
    if shown != offered:
        combo.blockSignals(True)
        combo.clear()
        for text, value in offered:
            combo.addItem(text, value)
        combo.blockSignals(False)
    _choose(combo, chosen)


def _choose(combo: QComboBox, value: Any) -> None:
    at = next((at for at in range(combo.count()) if _same(combo.itemData(at), value)), 0)
    combo.blockSignals(True)
    combo.setCurrentIndex(at)
    combo.blockSignals(False)


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other
