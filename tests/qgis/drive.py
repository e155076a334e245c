"""Runs inside QGIS: what a user does with mouse and keys, told by a list of steps.

``GEOISEG_DRIVE`` names a JSON file: ``{"raster", "canvas_crs", "layer", "steps", "out"}``. What
is seen after each step is written to ``out``. QGIS ends at the end.
"""

import itertools
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path

from qgis.core import (
    Qgis,
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QCoreApplication, QPoint, Qt, QTimer
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QDockWidget, QPushButton
from qgis.utils import iface, plugins

PATIENCE = 100
BUTTONS = {"left": Qt.MouseButton.LeftButton, "right": Qt.MouseButton.RightButton}
KEYS = {
    "enter": Qt.Key.Key_Return,
    "backspace": Qt.Key.Key_Backspace,
    "esc": Qt.Key.Key_Escape,
    "tab": Qt.Key.Key_Tab,
    "backtab": Qt.Key.Key_Backtab,
    "z": Qt.Key.Key_Z,
    "y": Qt.Key.Key_Y,
    "f": Qt.Key.Key_F,
    **{letter: getattr(Qt.Key, "Key_" + letter.upper()) for letter in "bdehilmnpstwx123"},
    ".": Qt.Key.Key_Period,
    ",": Qt.Key.Key_Comma,
}


class Driver:
    def __init__(self, job):
        self.job = job
        self.canvas = iface.mapCanvas()
        self.desk = plugins["geoiseg_qgis"].desk
        self.said = []
        self.about = {}
        QgsApplication.messageLog().messageReceived[str, str, Qgis.MessageLevel].connect(self.hear)
        self.project = QgsProject.instance()
        self.raster = QgsRasterLayer(
            job["raster"], job.get("name", "raster"), job.get("raster_provider", "gdal")
        )
        assert self.raster.isValid(), job["raster"]
        self.project.addMapLayer(self.raster)
        self.whole = QgsRectangle(self.raster.extent())
        self.own_crs = QgsCoordinateReferenceSystem(self.raster.crs())
        self.layer = None
        if job.get("layer"):
            self.layer = QgsVectorLayer(job["layer"], "objects", job.get("provider", "ogr"))
            assert self.layer.isValid(), job["layer"]
            self.project.addMapLayer(self.layer)
            assert self.layer.startEditing()
            iface.setActiveLayer(self.layer)
        QTest.qWait(300)  # QGIS takes the CRS of the first layer, a little later
        self.do_canvas_crs(job["canvas_crs"])
        self.settle()

    def hear(self, text, tag, _level):
        if tag == "geoiseg":
            self.said.append(text)

    # -- the map -----------------------------------------------------------------

    def moved(self, source=None):
        source = source or self.own_crs
        return QgsCoordinateTransform(source, self.crs, self.project.transformContext())

    def zoom(self, extent=None):
        box = QgsRectangle(*extent) if extent else QgsRectangle(self.whole)
        self.canvas.setExtent(self.moved().transformBoundingBox(box))
        self.canvas.refresh()

    def at(self, xy):
        """Return the canvas's pixel of a place in the raster's CRS."""
        place = self.moved().transform(QgsPointXY(*xy))
        return self.canvas.getCoordinateTransform().transform(place).toQPointF().toPoint()

    def wait(self, until, what, patience=PATIENCE):
        end = time.monotonic() + patience
        while not until():
            QCoreApplication.processEvents()
            time.sleep(0.01)
            if time.monotonic() > end:
                raise TimeoutError(what)

    def settle(self):
        self.wait(lambda: not self.canvas.isDrawing(), "drawing")
        self.wait(lambda: not self.desk.chips.busy, "pictures")
        self.wait(lambda: not self.desk.channel.busy, "answers")
        self.wait(lambda: not self.desk.credits.busy, "credits")

    # -- the user ----------------------------------------------------------------

    def do(self, step):
        self.begin(step)
        if step["do"] not in ("kill", "rush", "unload"):
            self.settle()

    def begin(self, step):
        getattr(self, "do_" + step["do"])(**{k: v for k, v in step.items() if k != "do"})

    def do_activate(self):
        self.desk.action.trigger()
        self.canvas.setFocus()

    def do_click(self, xy, button="left", control=False):
        held = Qt.KeyboardModifier.ControlModifier if control else Qt.KeyboardModifier.NoModifier
        QTest.mouseClick(self.canvas.viewport(), BUTTONS[button], held, self.at(xy))

    def do_rush(self, places):
        """Click several times without waiting for an answer."""
        for xy in places:
            self.do_click(xy)

    def do_at_once(self, steps):
        """Do several things, the later ones while the first is still computed."""
        self.about = {}
        for step in steps:
            self.about.setdefault("busy", []).append(self.desk.work.busy)
            self.begin(step)

    def do_drag(self, xy, to):
        start, end = self.at(xy), self.at(to)
        view, left = self.canvas.viewport(), BUTTONS["left"]
        QTest.mousePress(view, left, Qt.KeyboardModifier.NoModifier, start)
        for share in (0.3, 0.7, 1.0):
            QTest.mouseMove(view, start + (end - start) * share)
            QTest.qWait(20)
        QTest.mouseRelease(view, left, Qt.KeyboardModifier.NoModifier, end)

    def do_key(self, key, control=False):
        held = Qt.KeyboardModifier.ControlModifier if control else Qt.KeyboardModifier.NoModifier
        QTest.keyClick(self.canvas, KEYS[key], held)

    def do_stroke(self, places, **held):
        """Drag along places."""
        way = [self.at(xy) for xy in places]
        view, left, none = self.canvas.viewport(), BUTTONS["left"], Qt.KeyboardModifier.NoModifier
        QTest.mousePress(view, left, none, way[0])
        for place in way:
            QTest.mouseMove(view, place)
            QTest.qWait(20)
        QTest.mouseRelease(view, left, none, way[-1])

    def do_hover(self, xy):
        """Move the mouse, and wait for what a click there would give."""
        QTest.mouseMove(self.canvas.viewport(), self.at(xy) + QPoint(9, 9))
        QTest.mouseMove(self.canvas.viewport(), self.at(xy))
        preview = self.desk.preview
        self.wait(lambda: preview.shape is not None and not preview.busy, "a preview")
        self.about = {"area": preview.shape.area(), "ms": preview.milliseconds,
                      "drawn": self.desk.sketch.preview.asGeometry().area()}  # fmt: skip

    def do_time(self, places):
        """Take the times from a click to its drawn outline, and from the mouse to its preview."""
        view, preview, work = self.canvas.viewport(), self.desk.preview, self.desk.work
        clicks, hovers = [], []
        for xy in places:
            since = time.perf_counter()
            self.do_click(xy)
            self.wait(lambda: not work.busy, "an outline")
            clicks.append(time.perf_counter() - since)
            work.clear()
            self.settle()
            since = time.perf_counter()  # the chip is encoded by now
            QTest.mouseMove(view, self.at(xy) + QPoint(11, 7))
            self.wait(lambda: preview.shape is not None and not preview.busy, "a preview")
            hovers.append(time.perf_counter() - since)
            preview.clear()
        self.about = {"clicks": clicks, "hovers": hovers}

    def do_find(self, words):
        dock = self.desk.dock
        dock.words.setText(words)
        QTest.keyClick(dock.words, Qt.Key.Key_Return)
        self.wait(lambda: not self.desk.finder.busy, "candidates")

    def do_threshold(self, value):
        self.desk.dock.slider.setValue(value)

    def do_press(self, button):
        """Press a button of the dock."""
        QTest.mouseClick(getattr(self.desk.dock, button), BUTTONS["left"])

    def do_class(self, name):
        self.desk.dock.new_class.setText(name)
        QTest.keyClick(self.desk.dock.new_class, Qt.Key.Key_Return)

    def do_select(self, ids):
        """Select features by their ids, or the largest of those that are new."""
        layer = iface.activeLayer()
        if ids == "new":
            new = [one for one in layer.getFeatures() if one.id() < 0]
            assert new, self.said
            ids = [max(new, key=lambda one: one.geometry().area()).id()]
        layer.selectByIds(ids)

    def do_drop_layer(self):
        self.project.removeMapLayer(self.layer.id())
        self.layer = None

    def do_slide(self, name, value):
        """Say a number of the outline's box, and wait until it is done."""
        box = self.desk.dock.outline
        box.controls[name].number.setValue(value)
        self.wait(lambda: not box.waits, "a slider at rest")
        self.wait(lambda: not self.desk.shaping.busy, "another shape")
        self.about = {"slider": box.controls[name].slider.value()}

    def do_set_back(self):
        QTest.mouseClick(self.desk.dock.outline.reset, BUTTONS["left"])
        self.wait(lambda: not self.desk.dock.outline.waits, "a slider at rest")

    def do_unfold(self):
        self.desk.dock.outline.setCollapsed(False)

    def do_review(self, press="", key="", choose=(), select=None, map_key="", at=""):
        """Press a button or a key of the review's panel, or choose what it goes through."""
        review, panel = self.desk.reviewing, self.desk.reviewing.panel
        self.wait(lambda: not review.waits, "what the panel shows")
        if press:
            QTest.mouseClick(panel.buttons[press], BUTTONS["left"])
        if key:
            QApplication.setActiveWindow(iface.mainWindow())  # there is no window manager
            name, _, popup = at.partition(" ")
            widget = getattr(panel, name) if name else panel.buttons["next"]
            if popup:
                widget.showPopup()
                widget = widget.view()
            widget.setFocus()
            QTest.keyClick(widget, KEYS[key])
            if popup:
                getattr(panel, name).hidePopup()
        if map_key:
            self.canvas.setFocus()
            self.do_key(map_key)
        for name, value in dict(choose).items():
            widget = getattr(panel, name)
            if name in ("least", "most"):
                widget.setValue(value)
            else:
                widget.setCurrentIndex(widget.findText(value))
                assert widget.currentText() == value, [
                    widget.itemText(n) for n in range(widget.count())
                ]
        if select is not None:
            self.layer.selectByIds(select)
        QCoreApplication.processEvents()
        self.wait(lambda: not review.waits, "what the panel shows")
        layer = review.layer
        chosen = layer.selectedFeatures() if layer is not None else []
        box = (
            self.moved(layer.crs()).transformBoundingBox(chosen[0].geometry().boundingBox())
            if chosen
            else None
        )
        view = self.canvas.extent()
        self.about = {
            "open": review.open,
            "focus": panel.isAncestorOf(QApplication.focusWidget()) if QApplication.focusWidget() else False,
            "layer": layer.name() if layer is not None else None,
            "chosen": [one.id() for one in chosen],
            "seen": box is not None and view.contains(box) and box.width() > view.width() / 10,
            "queue": review.queue.left,
            "count": panel.count.text(),
            "done": panel.progress.value(),
            "about": panel.about.text(),
            "hint": panel.hint.text(),
            "enabled": sorted(name for name, one in panel.buttons.items() if one.isEnabled()),
            "filters": [name for name in ("state", "label", "flag", "scores")
                        if getattr(panel, name).isVisible()],
            "edits": layer.undoStack().count() if layer is not None else 0,
            "fields": layer.fields().names() if layer is not None else [],
        }  # fmt: skip

    def do_undo_edit(self, redo=False):
        """Take the layer's last edit back, as QGIS's own undo does."""
        stack = self.layer.undoStack()
        stack.redo() if redo else stack.undo()

    def do_drop_fields(self, names):
        fields = self.layer.fields()
        assert self.layer.deleteAttributes([fields.indexFromName(name) for name in names])

    def do_behind(self):
        """Put another panel before that of the review."""
        window, panel = iface.mainWindow(), self.desk.reviewing.panel
        other = QDockWidget("other", window)
        window.addDockWidget(window.dockWidgetArea(panel), other)
        window.tabifyDockWidget(panel, other)
        other.show()
        other.raise_()
        self.wait(lambda: not self.desk.reviewing.open, "a panel behind another")

    def do_delete(self, ids):
        assert self.layer.deleteFeatures(ids)

    def do_edit(self, on):
        """Toggle editing; what was changed is saved."""
        assert self.layer.startEditing() if on else self.layer.commitChanges(), (
            self.layer.commitErrors()
        )

    def do_ask_for_attributes(self, on):
        self.desk.dock.outline.form.setChecked(on)

    def do_fill_in(self, picture="", confirm=True, **values):
        """Fill in the form that accepting has opened, and confirm it."""
        form = self.desk.form
        self.wait(lambda: form.dialog is not None, "a form")
        dialog = form.dialog
        self.about = {"modal": dialog.isModal(), "fields": sorted(values)}
        for name, value in values.items():
            dialog.attributeForm().changeAttribute(name, value)
        QTest.qWait(100)
        if picture:
            dialog.grab().save(picture)
        dialog.accept() if confirm else dialog.reject()

    def do_follow_and_stop(self):
        """Press F, and Esc while it goes on."""
        self.do_key("f")
        self.about = {"busy": self.desk.work.busy, "stop": self.desk.dock.stop.isEnabled()}
        self.do_key("esc")
        self.about["after"] = self.desk.work.busy

    def do_source(self, source):
        """Put another service in the layer's place."""
        self.raster.setDataSource(source, "service", "wms")
        self.desk.chips.clear()
        self.desk.work.clear()

    def do_rotate(self, degrees):
        self.canvas.setRotation(degrees)
        self.settle()

    def do_attribute(self, text):
        metadata = self.raster.metadata()
        metadata.setRights([text])
        self.raster.setMetadata(metadata)

    def do_paths(self, text):
        """Say where folders of this machine are on the other one."""
        from geoiseg_qgis.preferences import prefer

        prefer("paths", text)

    def do_label(self, text):
        self.desk.label.setText(text)

    def do_new_layer(self):
        self.desk.make_layer()
        self.layer = iface.activeLayer()

    def do_kill(self):
        os.kill(self.desk.channel.pid, signal.SIGKILL)

    def do_away(self, here=False):
        """Take the raster's file away, or bring it back."""
        path = Path(self.raster.source())
        away = path.with_suffix(".away")
        away.rename(path) if here else path.rename(away)

    def do_python(self, path):
        """Say what the companion is started with from now on."""
        self.desk.channel.python = path

    def do_kill_in(self, step):
        """Do something, and kill the companion as soon as it is asked for it."""
        channel, starts = self.desk.channel, self.desk.channel.starts
        ask = channel.ask

        def asked(what, params=None):
            number = ask(what, params)
            if channel.ask is asked and what != "open":
                channel.ask = ask
                self.do_kill()
            return number

        channel.ask = asked
        self.do(step)
        channel.ask = ask
        self.about = {**self.about, "again": channel.starts - starts}

    def do_read_only(self):
        assert self.layer.rollBack()
        self.layer.setReadOnly(True)

    def do_read_only_now(self):
        self.layer.setReadOnly(True)

    def do_drop_raster(self):
        """Remove the raster's layer while the object on it is asked for."""
        self.project.removeMapLayer(self.raster.id())

    def do_lose_crs(self):
        self.raster.setCrs(QgsCoordinateReferenceSystem())
        self.canvas.setExtent(self.raster.extent())
        self.canvas.refresh()

    def do_zoom(self, extent):
        self.zoom(extent)

    def do_canvas_crs(self, crs):
        self.crs = QgsCoordinateReferenceSystem(crs)
        self.project.setCrs(self.crs)
        assert self.canvas.mapSettings().destinationCrs() == self.crs
        self.zoom(self.job.get("extent"))

    def do_picture(self, path, window=False):
        QTest.qWait(300)
        (iface.mainWindow() if window else self.canvas).grab().save(path)

    def do_settings(self, python, path):
        """Look at the settings: what a Python answers, and what they look like."""
        from geoiseg_qgis.dialog import SettingsDialog

        dialog = SettingsDialog(iface.mainWindow())
        dialog.python.setText(python)
        dialog.check()
        dialog.show()
        self.wait(lambda: dialog.answers is not None, "an answer")
        QTest.qWait(300)
        dialog.grab().save(path)
        self.said.append(f"{dialog.answers}: {dialog.status.text()}")
        dialog.close()

    def do_offered(self):
        """Press the button that the message bar offers at the start."""
        bar = iface.messageBar()
        self.wait(lambda: self.offered(bar), "an offer")
        self.offered(bar).click()
        assert self.desk.setting_up.window.isVisible()

    def offered(self, bar):
        buttons = bar.currentItem().findChildren(QPushButton) if bar.currentItem() else []
        return next((one for one in buttons if one.text() in ("Set up", "Update")), None)

    def do_set_up(self, picture="", cancel_at=""):
        """Press the button of the window, and wait for the end; or stop at a line of the log."""
        window = self.desk.setting_up.show()
        setup, beats = window.setup, []
        pulse = QTimer()
        pulse.timeout.connect(lambda: beats.append(time.monotonic()))
        pulse.start(20)
        QTest.mouseClick(window.begin, BUTTONS["left"])
        assert setup.busy
        if cancel_at:
            self.wait(lambda: any(cancel_at in line for line in setup.log), cancel_at, 200)
            if picture:
                window.grab().save(picture)
            QTest.mouseClick(window.stop, BUTTONS["left"])
        self.wait(lambda: not setup.busy, "set up", 400)
        if picture and not cancel_at:
            QTest.qWait(100)
            window.grab().save(picture)
        gaps = [after - before for before, after in itertools.pairwise(beats)]
        self.about = {"step": window.step.text(), "button": window.begin.text(), "log": setup.log,
                      "still": max(gaps, default=0), "text": window.text.text()}  # fmt: skip

    def do_remove(self):
        window = self.desk.setting_up.show()
        beats, pulse = [], QTimer()
        pulse.timeout.connect(lambda: beats.append(time.monotonic()))
        pulse.start(20)
        window.remove_now()
        assert not window.begin.isEnabled()
        self.wait(lambda: not window.removal.busy, "all to be removed")
        gaps = [after - before for before, after in itertools.pairwise(beats)]
        self.about = {
            "still": max(gaps, default=0),
            "step": window.step.text(),
            "button": window.begin.text(),
        }

    def do_tidy(self):
        """Make room for the map, for a picture."""
        window = iface.mainWindow()
        window.resize(1280, 800)
        for dock in window.findChildren(QDockWidget):
            dock.setVisible(
                dock.objectName() in ("Layers", "geoiseg_dock")
                or (dock is self.desk.reviewing.panel and self.desk.reviewing.open)
            )
        QTest.qWait(300)
        self.zoom(self.job.get("extent"))

    def do_save(self):
        assert self.layer.commitChanges(), self.layer.commitErrors()

    def do_unload(self):
        import qgis.utils

        qgis.utils.unloadPlugin("geoiseg_qgis")

    # -- what is seen ------------------------------------------------------------

    def seen(self):
        work, channel = self.desk.work, self.desk.channel
        pid, found, shape = channel.pid, work.found, self.desk.sketch.shape
        features = list(self.layer.getFeatures()) if self.layer is not None else []
        answers = self.desk.answers
        return {
            "answers": [answers.choice, answers.count],
            "classes": [one.name for one in sys.modules["geoiseg_qgis.classes"].classes()],
            "pid": pid,
            "starts": channel.starts,
            "sockets": sockets(pid),
            "marks": [[mark.kind, mark.positive] for mark in work.marks],
            "found": found.geometry.asWkt(17) if found else None,
            "facts": {k: v for k, v in found.facts.items() if k != "wkb"} if found else None,
            "shown": shape.asGeometry().area() if shape.numberOfVertices() else 0,
            "pins": len(self.desk.sketch.marks),
            "features": [
                {
                    "wkt": f.geometry().asWkt(17),
                    "valid": f.geometry().isGeosValid(),
                    **{
                        name: value if isinstance(value, (str, int, float)) else None
                        for name, value in f.attributeMap().items()
                    },
                }
                for f in features
            ],
            "said": list(self.said),
            "state": self.desk.dock.state.text(),
            "today": self.desk.dock.today.text(),
            "label": self.desk.label.text(),
            "layer": self.desk.dock.layer.text(),
            "raster": self.desk.work.raster.path if self.desk.work.raster else None,
            "candidates": [[one.number, one.score] for one in self.desk.finder.shown],
            "drawn": self.desk.sketch.found.asGeometry().area(),
            "about": self.about,
            "python": self.desk.channel.python,
            "foreign": sorted({"geoiseg", "rasterio", "onnxruntime", "cv2"} & set(sys.modules)),
        }


def sockets(pid):
    """Return the sockets that a process holds; there are none where it only has pipes."""
    folder = Path(f"/proc/{pid}/fd")
    if not pid or not folder.is_dir():
        return None
    try:
        links = [os.readlink(link) for link in folder.iterdir() if link.is_symlink()]
    except OSError:  # it was killed, and ends while it is looked at
        return None
    return [link for link in links if link.startswith("socket:")]


def caught(answer):
    """Return what keeps mistakes of the plugin's own slots, which Qt only prints."""

    def keep(kind, value, trace):
        answer["error"] = "".join(traceback.format_exception(kind, value, trace))

    return keep


def main():
    job = json.loads(Path(os.environ["GEOISEG_DRIVE"]).read_text())
    answer = {"seen": []}
    sys.excepthook = caught(answer)
    try:
        driver = Driver(job)
        for step in job["steps"]:
            driver.do(step)
            if step["do"] == "unload":
                break
            answer["seen"].append(driver.seen())
            answer["last_pid"] = driver.desk.channel.pid
    except Exception:
        answer["error"] = traceback.format_exc()
    Path(job["out"]).write_text(json.dumps(answer))
    os._exit(0)


QTimer.singleShot(500, main)
