"""A raster layer as geoiseg sees it: a file, the bands on the screen, a CRS."""

from __future__ import annotations

from typing import Any, List, NamedTuple, Optional

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsDistanceArea,
    QgsMapLayer,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
)

OPTION = "|option:"
"""Begins what QGIS tells GDAL's driver besides."""


class Raster(NamedTuple):
    """What the companion is told about a layer."""

    path: str
    """A file, or what else GDAL opens."""
    bands: List[int]
    """One or three numbers from 1; empty for the raster's own colours."""
    crs: QgsCoordinateReferenceSystem
    """As the layer has it: prompts and outlines are in its coordinates."""
    name: str
    """Of the layer."""


def raster_of(layer: Any) -> Optional[Raster]:
    """Return what the companion can open of a layer; None where it is no raster of GDAL's."""
    if not isinstance(layer, QgsRasterLayer) or not layer.isValid():
        return None
    if layer.providerType() != "gdal":
        return None
    path = layer.source().partition(OPTION)[0]  # GDAL's own way to name it
    return Raster(path, shown_bands(layer), layer.crs(), layer.name())


def shown_bands(layer: QgsRasterLayer) -> List[int]:
    """Return the bands that a layer is drawn from, where geoiseg can take the same."""
    renderer = layer.renderer()
    if renderer is None or renderer.type() not in ("multibandcolor", "singlebandgray"):
        return []
    bands = renderer.usesBands()
    return bands if len(bands) in (1, 3) and min(bands) > 0 else []


def first_raster(layers: List[QgsMapLayer]) -> Optional[QgsRasterLayer]:
    """Return the topmost raster layer that the companion can open, or else that QGIS draws."""
    rasters = [one for one in layers if isinstance(one, QgsRasterLayer) and one.isValid()]
    files = (one for one in rasters if raster_of(one) is not None)
    return next(files, rasters[0] if rasters else None)


def ground_size(canvas: Any) -> Optional[float]:
    """Return the metres on the ground of one pixel of a map canvas, in its middle."""
    middle, step = canvas.extent().center(), canvas.mapUnitsPerPixel()
    ruler = QgsDistanceArea()
    ruler.setSourceCrs(
        canvas.mapSettings().destinationCrs(), QgsProject.instance().transformContext()
    )
    ruler.setEllipsoid("EPSG:7030")
    metres = ruler.measureLine(middle, QgsPointXY(middle.x() + step, middle.y()))
    return metres if 0 < metres < 1e7 else None
