"""Runs in QGIS's Python, without its window: parts of the plugin, each on its own.

python pieces.py PLUGINS WHAT PROFILE [MORE]
"""

import json
import sys

from qgis.core import QgsApplication
from qgis.gui import QgsMapCanvas, QgsMessageBar
from qgis.PyQt import sip
from qgis.PyQt.QtCore import QEvent, QEventLoop, Qt
from qgis.PyQt.QtGui import QKeyEvent
from qgis.PyQt.QtWidgets import QMainWindow

sys.path.insert(0, sys.argv[1])
application = QgsApplication([], True, sys.argv[3])
application.initQgis()


def set_up():
    """Return how set-up goes in these surroundings."""
    from geoiseg_qgis.setup.home import wait_for_sweepers
    from geoiseg_qgis.setup.runner import Setup

    setup, loop, ends = Setup(), QEventLoop(), []
    setup.finished.connect(lambda _version, error: ends.append(str(error or "")))
    setup.finished.connect(loop.quit)
    setup.start()
    loop.exec()
    wait_for_sweepers()
    left = sorted(path.name for path in setup.home.folder.iterdir())
    return {"ends": ends, "log": setup.log, "busy": setup.busy, "left": left}


def keys():
    """Return which keys mean something to the map tool while nothing is in progress."""
    from geoiseg_qgis.answers import Answers
    from geoiseg_qgis.channel import Channel
    from geoiseg_qgis.finder import Finder
    from geoiseg_qgis.journal import Journal
    from geoiseg_qgis.preview import Preview
    from geoiseg_qgis.shaping import Shaping
    from geoiseg_qgis.tool import ObjectTool, Parts
    from geoiseg_qgis.work import ObjectInProgress

    canvas, channel = QgsMapCanvas(), Channel("")
    work = ObjectInProgress(channel)
    parts = Parts(work, Finder(channel, work.source), Preview(channel, work),
                  Answers(channel, work), Shaping(channel), Journal())  # fmt: skip
    tool = ObjectTool(canvas, parts, lambda: False, lambda: False)
    canvas.setMapTool(tool)
    modifiers = {"": Qt.KeyboardModifier.NoModifier, "alt": Qt.KeyboardModifier.AltModifier,
                 "meta": Qt.KeyboardModifier.MetaModifier}  # fmt: skip
    taken = {}
    for name, modifier in modifiers.items():
        taken[name] = []
        for letter in "EHLNPSX1":
            event = QKeyEvent(QEvent.Type.ShortcutOverride, ord(letter), modifier, letter)
            event.ignore()
            if tool.eventFilter(canvas, event):
                taken[name].append(letter)
    return taken


class Window:
    """What of QGIS's window the button needs."""

    def __init__(self):
        self._window, self._bar = QMainWindow(), QgsMessageBar()

    def mainWindow(self):
        return self._window

    def messageBar(self):
        return self._bar


def offer():
    """Return what is left of the button's offer and window once the plugin is gone."""
    from geoiseg_qgis.channel import Channel
    from geoiseg_qgis.setting_up import SettingUp

    iface = Window()
    first = SettingUp(iface, Channel(""), lambda: None)
    application.processEvents()
    seen = [len(iface.messageBar().items())]
    window = first.show()
    first.remove()
    application.sendPostedEvents(window, QEvent.Type.DeferredDelete)
    seen += [len(iface.messageBar().items()), int(not sip.isdeleted(window))]
    gone_at_once = SettingUp(iface, Channel(""), lambda: None)
    gone_at_once.remove()
    application.processEvents()
    return {"seen": [*seen, len(iface.messageBar().items())]}


def rasters():
    """Return what the companion is told about layers of the sources that are given."""
    from geoiseg_qgis.rasters import raster_of
    from qgis.core import QgsRasterLayer

    told = {}
    for source in json.loads(sys.argv[4]):
        raster = raster_of(QgsRasterLayer(source, "a", "gdal"))
        told[source] = None if raster is None else [raster.path, raster.bands, raster.crs.authid()]
    return told


PIECES = {"set_up": set_up, "keys": keys, "offer": offer, "rasters": rasters}
print(json.dumps(PIECES[sys.argv[2]]()))
