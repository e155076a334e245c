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
from qgis.PyQt.QtCore import QCoreApplication, Qt, QTimer
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QDockWidget, QPushButton
from qgis.utils import iface, plugins

PATIENCE = 400
BUTTONS = {"left": Qt.MouseButton.LeftButton, "right": Qt.MouseButton.RightButton}
KEYS = {
    "enter": Qt.Key.Key_Return,
    "backspace": Qt.Key.Key_Backspace,
    "esc": Qt.Key.Key_Escape,
    "z": Qt.Key.Key_Z,
    "y": Qt.Key.Key_Y,
    "f": Qt.Key.Key_F,
    "h": Qt.Key.Key_H,
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
        self.raster = QgsRasterLayer(job["raster"], job.get("name", "raster"))
        assert self.raster.isValid(), job["raster"]
        self.project.addMapLayer(self.raster)
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
        source = source or self.raster.crs()
        return QgsCoordinateTransform(source, self.crs, self.project.transformContext())

    def zoom(self, extent=None):
        box = QgsRectangle(*extent) if extent else self.raster.extent()
        self.canvas.setExtent(self.moved().transformBoundingBox(box))
        self.canvas.refresh()

    def at(self, xy):
        """Return the canvas's pixel of a place in the raster's CRS."""
        place = self.moved().transform(QgsPointXY(*xy))
        return self.canvas.getCoordinateTransform().transform(place).toQPointF().toPoint()

    def wait(self, until, what):
        end = time.monotonic() + PATIENCE
        while not until():
            QCoreApplication.processEvents()
            time.sleep(0.01)
            if time.monotonic() > end:
                raise TimeoutError(what)

    def settle(self):
        self.wait(lambda: not self.canvas.isDrawing(), "drawing")
        self.wait(lambda: not self.desk.channel.busy, "answers")

    # -- the user ----------------------------------------------------------------

    def do(self, step):
        getattr(self, "do_" + step["do"])(**{k: v for k, v in step.items() if k != "do"})
        if step["do"] not in ("kill", "rush", "unload"):
            self.settle()

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

    def do_label(self, text):
        self.desk.label.setText(text)

    def do_new_layer(self):
        self.desk.make_layer()
        self.layer = iface.activeLayer()

    def do_kill(self):
        os.kill(self.desk.channel.pid, signal.SIGKILL)

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
        assert self.desk.setup_window.isVisible()

    def offered(self, bar):
        buttons = bar.currentItem().findChildren(QPushButton) if bar.currentItem() else []
        return next((one for one in buttons if one.text() in ("Set up", "Update")), None)

    def do_set_up(self, picture="", cancel_at=""):
        """Press the button of the window, and wait for the end; or stop at a line of the log."""
        window = self.desk.set_up()
        setup, beats = window.setup, []
        pulse = QTimer()
        pulse.timeout.connect(lambda: beats.append(time.monotonic()))
        pulse.start(20)
        QTest.mouseClick(window.begin, BUTTONS["left"])
        assert setup.busy
        if cancel_at:
            self.wait(lambda: any(cancel_at in line for line in setup.log), cancel_at)
            if picture:
                window.grab().save(picture)
            QTest.mouseClick(window.stop, BUTTONS["left"])
        self.wait(lambda: not setup.busy, "set up")
        if picture and not cancel_at:
            QTest.qWait(100)
            window.grab().save(picture)
        gaps = [after - before for before, after in itertools.pairwise(beats)]
        self.about = {"step": window.step.text(), "button": window.begin.text(), "log": setup.log,
                      "still": max(gaps, default=0), "text": window.text.text()}  # fmt: skip

    def do_remove(self):
        window = self.desk.set_up()
        window.remove_now()
        self.about = {"step": window.step.text(), "button": window.begin.text()}

    def do_tidy(self):
        """Make room for the map, for a picture."""
        window = iface.mainWindow()
        window.resize(1280, 800)
        for dock in window.findChildren(QDockWidget):
            dock.setVisible(dock.objectName() == "Layers")
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
        return {
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
            "about": self.about,
            "python": self.desk.channel.python,
            "foreign": sorted({"geoiseg", "rasterio", "onnxruntime", "cv2"} & set(sys.modules)),
        }


def sockets(pid):
    """Return the sockets that a process holds; there are none where it only has pipes."""
    folder = Path(f"/proc/{pid}/fd")
    if not pid or not folder.is_dir():
        return None
    links = [os.readlink(link) for link in folder.iterdir() if link.is_symlink()]
    return [link for link in links if link.startswith("socket:")]


def main():
    job = json.loads(Path(os.environ["GEOISEG_DRIVE"]).read_text())
    answer = {"seen": []}
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
