"""The classes of a project: names in an order, each with a colour, chosen by the keys 1 to 9."""

from __future__ import annotations

import json
from typing import Any, List, NamedTuple

from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsFillSymbol,
    QgsProject,
    QgsRendererCategory,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QColor

PALETTE = (
    "#ffd400", "#00b0ff", "#ff4081", "#00e676", "#d05cff",
    "#ff9100", "#1de9b6", "#ff5252", "#8c9eff",
)  # fmt: skip
"""The colours that geoiseg's other faces give to classes."""
SCOPE, KEY = "geoiseg", "classes"
"""Where the project keeps them."""
MADE = "geoiseg/made"
"""Marks layers that the plugin made: their style follows the classes."""


class ObjectClass(NamedTuple):
    """A class."""

    name: str
    colour: str
    """``#rrggbb``."""


def classes() -> List[ObjectClass]:
    """Return the classes of the project."""
    text, _ = QgsProject.instance().readEntry(SCOPE, KEY, "[]")
    try:
        return [ObjectClass(str(name), str(colour)) for name, colour in json.loads(text)]
    except (ValueError, TypeError):
        return []


def keep(listed: List[ObjectClass]) -> None:
    """Keep classes in the project, and show layers that the plugin made in their colours."""
    QgsProject.instance().writeEntry(SCOPE, KEY, json.dumps([list(one) for one in listed]))
    for layer in QgsProject.instance().mapLayers().values():
        if isinstance(layer, QgsVectorLayer) and layer.customProperty(MADE):
            colour_layer(layer)


def with_class(name: str) -> List[ObjectClass]:
    """Return the classes with one of a name, with the first colour that is free if it is new."""
    listed = classes()
    if not name or any(one.name == name for one in listed):
        return listed
    used = {one.colour for one in listed}
    free = [colour for colour in PALETTE if colour not in used]
    return [*listed, ObjectClass(name, free[0] if free else PALETTE[len(listed) % len(PALETTE)])]


def colour_of(name: str) -> QColor:
    """Return the colour of a class; the first of the palette for none."""
    for one in classes():
        if one.name == name:
            return QColor(one.colour)
    return QColor(PALETTE[0])


def classes_of(layer: Any, field: str) -> List[ObjectClass]:
    """Return the classes that a layer's own style tells apart by a field."""
    renderer = layer.renderer() if isinstance(layer, QgsVectorLayer) else None
    if not isinstance(renderer, QgsCategorizedSymbolRenderer):
        return []
    if renderer.classAttribute().strip('"') != field:
        return []
    return [
        ObjectClass(str(one.value()), one.symbol().color().name())
        for one in renderer.categories()
        if one.symbol() is not None and isinstance(one.value(), str) and one.value()
    ]


def colour_layer(layer: QgsVectorLayer) -> None:
    """Show a layer in the colours of the classes."""
    parts = [QgsRendererCategory(one.name, _symbol(one.colour), one.name) for one in classes()]
    parts.append(QgsRendererCategory("", _symbol("#ffffff"), ""))
    layer.setRenderer(QgsCategorizedSymbolRenderer("label", parts))
    layer.triggerRepaint()
    layer.emitStyleChanged()


def _symbol(colour: str) -> Any:
    rgb = QColor(colour)
    fill = f"{rgb.red()},{rgb.green()},{rgb.blue()},90"
    return QgsFillSymbol.createSimple(
        {"color": fill, "outline_color": colour, "outline_width": "0.46"}
    )
