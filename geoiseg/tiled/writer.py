"""Objects of a whole raster as a file, in batches: memory does not grow with their number."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from geoiseg.atomic import why_failed
from geoiseg.errors import ExportError, VectorError, require
from geoiseg.features import compactness
from geoiseg.files import write_frames
from geoiseg.files.label_raster import label_dtype, stripes, write_windows
from geoiseg.raster import Grid, Window, measure_all
from geoiseg.tiled.assemble import MappedObject
from geoiseg.tiled.ledger import Ledger
from geoiseg.tiled.plan import WindowPlan

FORMATS = (".gpkg", ".parquet", ".tif")
"""What is written in batches."""
BATCH = 4096
"""Objects in memory together."""
LAYER = "features"


@dataclass(frozen=True, slots=True)
class Provenance:
    """What every row says about how it was made."""

    label: str
    model: str
    weights: str
    gsd: float | None
    source: str
    words: str = ""
    """What was looked for; empty where it was all objects."""
    negative: str = ""
    """What it should not be."""
    by: str = ""
    """Indices and thresholds that told it apart."""


def check_mapped_format(path: Path) -> str:
    """Return the suffix in lower case.

    Raises:
        ExportError: It stands for no format that is written in batches.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise ExportError(
            f"{path.name!r}: a whole raster is mapped to {', '.join(FORMATS)};"
            " convert from there if need be"
        )
    return suffix


def frames(
    found: Iterable[MappedObject], grid: Grid, about: Provenance
) -> Iterator[gpd.GeoDataFrame]:
    """Yield the objects as tables of at most ``BATCH`` rows, in the CRS of the grid."""
    for batch in _batches(found):
        pixels = np.array([item.geometry for item in batch], object)
        shapes = shapely.orient_polygons(shapely.transform(pixels, grid.to_crs))
        sizes = measure_all(shapes, grid.crs).tolist()
        table = {
            "id": np.array([item.id for item in batch], np.int64),
            "label": [about.label] * len(batch),
            "area_m2": np.array([area for area, _ in sizes], np.float64),
            "perimeter_m": np.array([length for _, length in sizes], np.float64),
            "compactness": np.array([compactness(*size) for size in sizes], np.float64),
            "score": np.array([item.score for item in batch], np.float64),
            "pieces": np.array([item.pieces for item in batch], np.int64),
            "model": [about.model] * len(batch),
            "weights": [about.weights] * len(batch),
            "gsd": np.full(len(batch), np.nan if about.gsd is None else about.gsd),
            "source": [about.source] * len(batch),
        }
        said = {"words": about.words, "words_negative": about.negative, "words_by": about.by}
        table |= {name: [value] * len(batch) for name, value in said.items() if value}
        yield gpd.GeoDataFrame(table, geometry=shapes, crs=grid.crs)


def _batches(found: Iterable[MappedObject]) -> Iterator[list[MappedObject]]:
    """Yield lists of objects; one at least, so that an empty layer has its columns too."""
    empty = True
    batch: list[MappedObject] = []
    for item in found:
        batch.append(item)
        if len(batch) == BATCH:
            yield batch
            batch, empty = [], False
    if batch or empty:
        yield batch


def write_gpkg(tables: Iterable[gpd.GeoDataFrame], path: Path) -> int:
    """Write tables to a GeoPackage, one after the other, and return the number of rows.

    Raises:
        ExportError: It can not be written, or rows are missing.
    """
    try:
        return write_frames(
            tables, path, layer=LAYER, geometry_type="MultiPolygon", promote_to_multi=True
        )
    except (VectorError, OSError, RuntimeError, ValueError) as error:
        raise _failed(path, error) from error


def write_parquet(tables: Iterable[gpd.GeoDataFrame], path: Path) -> int:
    """Write tables to a GeoParquet file, a row group each, and return the number of rows.

    Raises:
        ExportError: It can not be written.
        MissingExtraError: pyarrow is not installed.
    """
    pyarrow: Any = require("pyarrow", "parquet")
    parquet: Any = require("pyarrow.parquet", "parquet")
    rows = 0
    with contextlib.ExitStack() as stack:
        writer = None
        for table in tables:
            group = _arrow(pyarrow, table)
            try:
                if writer is None:
                    made = parquet.ParquetWriter(path, group.schema, compression="zstd")
                    writer = stack.enter_context(made)
                writer.write_table(group)
            except OSError as error:
                raise _failed(path, error) from error
            rows += len(table)
    return rows


def _arrow(pyarrow: Any, table: gpd.GeoDataFrame) -> Any:
    """Return a table as GeoParquet 1.1 has it: WKB, and each row's box for quick filters."""
    plain = pyarrow.Table.from_pandas(table.drop(columns="geometry"), preserve_index=False)
    plain = plain.set_column(1, "label", plain["label"].cast(pyarrow.string()))
    for name in ("model", "weights", "source"):
        place = plain.schema.get_field_index(name)
        plain = plain.set_column(place, name, plain[name].cast(pyarrow.string()))
    sides = ("xmin", "ymin", "xmax", "ymax")
    columns = [
        pyarrow.array(column, pyarrow.float64()) for column in table.geometry.bounds.T.values
    ]
    plain = plain.append_column("bbox", pyarrow.StructArray.from_arrays(columns, sides))
    wkb = pyarrow.array(shapely.to_wkb(table.geometry.to_numpy()), pyarrow.binary())
    plain = plain.append_column("geometry", wkb)
    about = {
        "encoding": "WKB",
        "geometry_types": ["Polygon", "MultiPolygon"],
        "crs": None if table.crs is None else table.crs.to_json_dict(),
        "covering": {"bbox": {side: ["bbox", side] for side in sides}},
    }
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": about}}
    return plain.replace_schema_metadata({"geo": json.dumps(geo)})


def _failed(path: Path, error: BaseException) -> ExportError:
    return ExportError(f"can not write {path.name}: {why_failed(error, path)}")


def write_label_raster(ledger: Ledger, plan: WindowPlan, grid: Grid, path: Path, top: int) -> None:
    """Write each pixel's object, 0 where there is none, as a cloud-optimised GeoTIFF.

    Args:
        ledger: With the labels of the cores, its objects numbered.
        plan: How the raster was cut.
        grid: Of the level.
        path: Where to write.
        top: The greatest number of an object.

    Raises:
        ExportError: It can not be written.
    """
    dtype = label_dtype(top)
    write_windows(grid, path, dtype, _label_windows(ledger, plan, grid, dtype))


def _label_windows(
    ledger: Ledger, plan: WindowPlan, grid: Grid, dtype: str
) -> Iterator[tuple[Window, NDArray[Any]]]:
    for window in stripes(grid):
        pixels = np.zeros(window.shape, dtype)
        for number in plan.windows_under(window):
            kept = ledger.core_labels(number)
            if kept is None:
                continue
            core = plan.core(number)
            both = core.intersection(window)
            labels = kept[0].unpacked()
            table = np.zeros(int(labels.max(initial=0)) + 1, dtype)
            for label, item in kept[1].items():
                table[label] = item
            here = Window(both.row - core.row, both.col - core.col, both.height, both.width)
            there = Window(both.row - window.row, both.col - window.col, both.height, both.width)
            pixels[there.slices] = table[labels[here.slices]]
        if pixels.any():
            yield window, pixels
