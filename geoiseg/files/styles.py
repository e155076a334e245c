"""Styles for QGIS, coloured by class: as QML text, inside a GeoPackage, or beside a file.

The XML is that of QGIS 3; both ways of writing symbol properties are in it, ``Option`` (since
3.18) and ``prop`` (before), as QGIS itself writes them.
"""

from __future__ import annotations

import re
import sqlite3
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from geoiseg.errors import ExportError

PALETTE = (
    "#ffd400", "#00b0ff", "#ff4081", "#00e676", "#d05cff",
    "#ff9100", "#1de9b6", "#ff5252", "#8c9eff",
)  # fmt: skip
"""Bright on imagery, and told apart by most colour-blind people side by side."""
REST = "#ffffff"
"""Colour of features without a class."""
FILL_ALPHA = 90
"""Of 255: the raster is seen through the features."""
OUTLINE_MM = 0.46
LINE_MM = 0.66
QML_VERSION = "3.22.0"
"""The oldest QGIS that is tested; newer ones read what it reads."""
DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
MARK = "made by geoiseg"
"""In every file of ours: what has no such mark is somebody's own and stays."""
STYLE_NAME = "geoiseg"
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")

LAYER_STYLES = """CREATE TABLE IF NOT EXISTS layer_styles (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  f_table_catalog TEXT(256), f_table_schema TEXT(256), f_table_name TEXT(256),
  f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
  useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
  update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))"""
"""The table in which QGIS looks for styles of a GeoPackage's layers."""
COUNT_OTHERS = """SELECT count(*) FROM layer_styles WHERE f_table_name = ?
  AND ifnull(f_geometry_column, '') = ? AND ifnull(styleName, '') <> ? AND useAsDefault"""
DELETE_OURS = """DELETE FROM layer_styles WHERE f_table_name = ?
  AND ifnull(f_geometry_column, '') = ? AND styleName = ?"""


@dataclass(frozen=True, slots=True)
class Style:
    """Colours by the values of a column."""

    classes: tuple[tuple[str, str], ...] = ()
    """``(value, colour)`` in order; a colour is ``#rrggbb``."""
    column: str = "label"
    geometry: str = "polygon"
    """``polygon`` or ``line``."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Names to show instead of those of columns that had to be cut."""

    def __post_init__(self) -> None:
        for name, colour in self.classes:
            if not _COLOUR.fullmatch(colour):
                raise ExportError(f"the colour of {name!r} is written #rrggbb, got {colour!r}")

    @classmethod
    def of(
        cls, values: Iterable[Any], classes: Sequence[tuple[str, str]] = (),
        column: str = "label", geometry: str = "polygon",
    ) -> Style:  # fmt: skip
        """Return a style in which every value has a colour.

        Args:
            values: Values of the column.
            classes: ``(value, colour)`` that are chosen already; the others get colours that
                are still free, and so do those whose colour is none: a layer is not left
                unwritten for it.
            column: Name of the column.
            geometry: ``polygon`` or ``line``.
        """
        known = {name: colour for name, colour in classes if _COLOUR.fullmatch(colour)}
        used = {colour.lower() for colour in known.values()}
        free = [colour for colour in PALETTE if colour not in used] or list(PALETTE)
        new = [text for text in dict.fromkeys(map(_text, values)) if text and text not in known]
        chosen = {text: free[place % len(free)] for place, text in enumerate(sorted(new))}
        return cls((*known.items(), *chosen.items()), column, geometry)

    def qml(self) -> str:
        """Return the style as a QML document."""
        told = "Symbology|Fields" if self.aliases else "Symbology"
        root = ET.Element("qgis", version=QML_VERSION, styleCategories=told)
        root.append(ET.Comment(MARK))
        root.append(self.renderer())
        if self.aliases:
            shown = ET.SubElement(root, "aliases")
            for name, alias in self.aliases.items():
                ET.SubElement(shown, "alias", field=name, name=alias, index="-1")
        ET.indent(root)
        return DOCTYPE + ET.tostring(root, encoding="unicode")

    def renderer(self) -> ET.Element:
        """Return the element ``renderer-v2``: one category for each class, one for the rest."""
        shared = {"forceraster": "0", "symbollevels": "0", "enableorderby": "0"}
        about = {"type": "categorizedSymbol", "attr": self.column, **shared}
        renderer = ET.Element("renderer-v2", about)
        categories = ET.SubElement(renderer, "categories")
        symbols = ET.SubElement(renderer, "symbols")
        for number, (value, colour) in enumerate([*self.classes, ("", REST)]):
            label = value or "other"
            shown = {"value": value, "label": label, "symbol": str(number), "render": "true"}
            ET.SubElement(categories, "category", shown)
            symbols.append(self._symbol(str(number), colour))
        return renderer

    def _symbol(self, name: str, colour: str) -> ET.Element:
        rgb = ",".join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))
        line = self.geometry == "line"
        about = {"name": name, "type": "line" if line else "fill", "alpha": "1"}
        symbol = ET.Element("symbol", {**about, "clip_to_extent": "1", "force_rhr": "0"})
        kind = "SimpleLine" if line else "SimpleFill"
        layer = ET.SubElement(
            symbol, "layer", {"class": kind, "enabled": "1", "locked": "0", "pass": "0"}
        )
        values = _line(rgb) if line else _fill(rgb)
        options = ET.SubElement(layer, "Option", type="Map")
        for key, value in values.items():
            ET.SubElement(options, "Option", name=key, value=value, type="QString")
            ET.SubElement(layer, "prop", k=key, v=value)
        return symbol


def _fill(rgb: str) -> dict[str, str]:
    return {
        "color": f"{rgb},{FILL_ALPHA}",
        "joinstyle": "round",
        "outline_color": f"{rgb},255",
        "outline_style": "solid",
        "outline_width": str(OUTLINE_MM),
        "outline_width_unit": "MM",
        "style": "solid",
    }


def _line(rgb: str) -> dict[str, str]:
    return {
        "capstyle": "round",
        "joinstyle": "round",
        "line_color": f"{rgb},255",
        "line_style": "solid",
        "line_width": str(LINE_MM),
        "line_width_unit": "MM",
    }


def _text(value: Any) -> str:
    """Return a value as QGIS compares it; none for missing ones."""
    missing = value is None or value != value  # noqa: PLR0124 - NaN
    return "" if missing or str(value) == "<NA>" else str(value)


def embed_style(path: Path, layer: str, style: Style) -> bool:
    """Put a style into a GeoPackage as a layer's default, and say whether that was done.

    It stays undone where the layer has a default style of somebody else.

    Raises:
        sqlite3.Error: The file can not be written.
    """
    with closing(sqlite3.connect(path)) as base, base:
        base.execute(LAYER_STYLES)
        base.execute(
            "INSERT OR IGNORE INTO gpkg_contents (table_name, data_type, identifier, srs_id)"
            " VALUES ('layer_styles', 'attributes', 'layer_styles', 0)"
        )
        row = base.execute(
            "SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?", (layer,)
        ).fetchone()
        column = "" if row is None else str(row[0])
        place = (layer, column, STYLE_NAME)
        if base.execute(COUNT_OTHERS, place).fetchone()[0]:
            return False
        base.execute(DELETE_OURS, place)
        base.execute(
            "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name,"
            " f_geometry_column, styleName, styleQML, styleSLD, useAsDefault, description, owner)"
            " VALUES ('', '', ?, ?, ?, ?, '', 1, ?, '')",
            (*place, style.qml(), f"coloured by {style.column}, {MARK}"),
        )
    return True


def write_sidecar(target: Path, place: Path, style: Style) -> bool:
    """Write the QML that QGIS looks for beside a vector file, and say whether that was done.

    Args:
        target: The vector file as it is written now, perhaps in a temporary folder.
        place: Where it will be: a style of somebody else's there stays.
        style: The style.
    """
    there = place.with_suffix(".qml")
    if there.exists() and MARK not in there.read_text(encoding="utf-8", errors="replace"):
        return False
    target.with_suffix(".qml").write_text(style.qml(), encoding="utf-8")
    return True
