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
        for letter in "EHILNPSX1":
            event = QKeyEvent(QEvent.Type.ShortcutOverride, ord(letter), modifier, letter)
            event.ignore()
            if tool.eventFilter(canvas, event):
                taken[name].append(letter)
    tool.reviews, said = lambda: True, []
    tool.said.connect(said.append)
    for repeated in (False, True, True):
        event = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_T, modifiers[""], "t", autorep=repeated)
        tool.keyPressEvent(event)
        assert event.isAccepted()
    taken["held"] = said
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


def polygons(source, name, provider="memory"):
    from qgis.core import QgsVectorLayer

    layer = QgsVectorLayer(source, name, provider)
    assert layer.isValid(), source
    return layer


def add(layer, *rows):
    """Add squares with the values of fields."""
    from qgis.core import QgsFeature, QgsGeometry, QgsRectangle

    features = []
    for at, row in enumerate(rows):
        feature = QgsFeature(layer.fields())
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(at, 0, at + 0.9, 1)))
        feature.setAttributes(list(row))
        features.append(feature)
    assert layer.dataProvider().addFeatures(features)[0]


def review():
    """Return what becomes of states in a layer that is given, saved and not."""
    from geoiseg_qgis.review_layer import items_of, who_and_when, write_state

    source, kind = json.loads(sys.argv[4])
    layer = polygons(source, "objects", "memory" if kind == "memory" else "ogr")
    if kind == "memory":
        add(layer, ["a"], ["b"], ["c"])
    assert layer.startEditing()

    def items():
        return sorted(items_of(layer), key=lambda one: one.fid)

    def states():
        return [one.state for one in items()]

    seen = {"labels": [one.label for one in items()]}
    assert not write_state(layer, items(), "to check")
    assert not layer.isModified()
    assert write_state(layer, items()[2:], "rejected")
    layer.undoStack().undo()
    seen["undone"] = states()
    layer.undoStack().redo()
    assert write_state(layer, items()[:2], "checked")
    assert write_state(layer, items()[1:2], "to check")
    seen["states"] = states()
    assert layer.commitChanges(), layer.commitErrors()
    seen["saved"] = states()
    seen["who"], seen["when"] = who_and_when(layer, items()[0].fid)
    return seen


def review_refused():
    """Return what is said of layers that can not be reviewed."""
    from geoiseg_qgis.review_layer import items_of, why_not, write_state
    from geoiseg_qgis.target import TargetError
    from qgis.core import QgsProject

    def refused(layer):
        try:
            write_state(layer, list(items_of(layer))[:1], "checked")
        except TargetError as error:
            return str(error)
        return ""

    numbers = polygons("Polygon?field=id:integer&field=review:integer", "numbers")
    add(numbers, [1, None])
    own = polygons("Polygon?field=id:integer&field=review:string(40)", "own")
    add(own, [1, "by Bob"])
    for layer in (numbers, own):
        assert layer.startEditing()
    seen = {"number": refused(numbers), "own": refused(own)}
    cased = polygons("Polygon?field=id:integer&field=Review:string(40)", "cased")
    add(cased, [1, "mine"])
    alias = polygons("Polygon?field=id:integer&field=mine:string(40)", "alias")
    alias.setFieldAlias(1, "review")
    add(alias, [1, "kept"])
    assert cased.startEditing()
    assert alias.startEditing()
    seen["cased"], seen["alias"] = refused(cased), refused(alias)
    seen["kept"] = [next(one.getFeatures()).attributes() for one in (cased, alias)]
    seen["kept"][1][-1] = "when"
    seen["edits"] = numbers.undoStack().count() + own.undoStack().count()
    QgsProject.instance().addMapLayer(numbers)
    virtual = polygons(
        f"?query=SELECT * FROM {numbers.id()!r}".replace("'", '"'), "virtual", "virtual"
    )
    seen["virtual"] = why_not(virtual)
    return seen


def review_large():
    """Return how many features a review reads and sorts at first, and how many at each step."""
    from geoiseg_qgis import review_queue, review_watch
    from geoiseg_qgis.review_layer import write_state

    layer = polygons(
        "Polygon?field=label:string(9)&field=score:double&field=flags:string(20)", "many"
    )
    add(layer, *([f"c{n % 9}", n % 97 / 97, "moved" if n % 50 == 0 else ""] for n in range(20_000)))
    assert layer.startEditing()
    read, sorts = [], []
    items_of, doubt = review_watch.items_of, review_queue.doubt
    review_watch.items_of = lambda *which: (read.append(one.fid) or one for one in items_of(*which))
    review_queue.doubt = lambda one: sorts.append(one.fid) or doubt(one)
    watched = review_watch.ReviewedLayer()
    queue, item, steps = watched.queue, None, []
    watched.watch(layer)
    for _ in range(6):
        watched.catch_up()
        item = queue.beside(item, 1)
        queue.counts(), queue.place(item), queue.labels(), queue.flags()
        steps.append([len(read), len(sorts)])
        read.clear()
        sorts.clear()
        write_state(layer, [item], "checked")
    return {"steps": steps}


PIECES = {"review": review, "review_refused": review_refused, "review_large": review_large}
PIECES |= {"set_up": set_up, "keys": keys, "offer": offer, "rasters": rasters}
print(json.dumps(PIECES[sys.argv[2]]()))
