"""In and out of every vector format, label rasters, styles and QGIS projects.

In: features or tables, and any file a user has. Out: files that are there whole or not at all,
and tables read from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoiseg.lazy import lazy

if TYPE_CHECKING:
    from geoiseg.files.export import (
        check_format,
        export_features,
        style_of,
        write_picture,
    )
    from geoiseg.files.fitting import FORMS, fitted, storable
    from geoiseg.files.keeping import begin_with, check_apart, check_layer_free, is_project
    from geoiseg.files.qgis_project import check_replaceable, export_qgis_project
    from geoiseg.files.review import write_review
    from geoiseg.files.shore_layer import (
        LineOptions,
        TideOptions,
        cast,
        changed,
        crossed,
        drawn,
        given_transects,
        usable,
    )
    from geoiseg.files.styles import PALETTE, embed_style
    from geoiseg.files.vector_file import read_layer
    from geoiseg.files.vectors import layer_info, list_layers, read_frame, write_frames
    from geoiseg.files.vectors.archives import in_archive, there
    from geoiseg.files.vectors.rows import (
        blank_rows,
        left_out,
        polygon_rows,
        polygons_of,
        rows_said,
    )
    from geoiseg.files.waterline_layer import RasterLineOptions, appended, drawn_from_raster

__all__ = [
    "FORMS",
    "PALETTE",
    "LineOptions",
    "RasterLineOptions",
    "TideOptions",
    "appended",
    "begin_with",
    "blank_rows",
    "cast",
    "changed",
    "check_apart",
    "check_format",
    "check_layer_free",
    "check_replaceable",
    "crossed",
    "drawn",
    "drawn_from_raster",
    "embed_style",
    "export_features",
    "export_qgis_project",
    "fitted",
    "given_transects",
    "in_archive",
    "is_project",
    "layer_info",
    "left_out",
    "list_layers",
    "polygon_rows",
    "polygons_of",
    "read_frame",
    "read_layer",
    "rows_said",
    "storable",
    "style_of",
    "there",
    "usable",
    "write_frames",
    "write_picture",
    "write_review",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "export": ["check_format", "export_features", "style_of", "write_picture"],
        "fitting": ["FORMS", "fitted", "storable"],
        "keeping": ["begin_with", "check_apart", "check_layer_free", "is_project"],
        "qgis_project": ["check_replaceable", "export_qgis_project"],
        "review": ["write_review"],
        "shore_layer": [
            "LineOptions",
            "TideOptions",
            "cast",
            "changed",
            "crossed",
            "drawn",
            "given_transects",
            "usable",
        ],
        "waterline_layer": ["RasterLineOptions", "appended", "drawn_from_raster"],
        "styles": ["PALETTE", "embed_style"],
        "vector_file": ["read_layer"],
        "vectors.archives": ["in_archive", "there"],
        "vectors": ["layer_info", "list_layers", "read_frame", "write_frames"],
        "vectors.rows": ["blank_rows", "left_out", "polygon_rows", "polygons_of", "rows_said"],
    },
)
