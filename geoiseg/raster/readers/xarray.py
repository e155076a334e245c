"""Rasters held in xarray DataArrays, in memory or lazy (Dask)."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from geoiseg.errors import RasterError
from geoiseg.raster.arrays import BoolArray
from geoiseg.raster.crs import as_crs
from geoiseg.raster.facts import BandFacts
from geoiseg.raster.grid import Grid, Window
from geoiseg.raster.image import Stretch
from geoiseg.raster.readers.array_facts import array_facts
from geoiseg.raster.readers.bands import check_bands, choose_bands
from geoiseg.raster.readers.protocol import SAMPLE_PIXELS, Raster
from geoiseg.raster.turns import turn_of, unrolled_x

log = logging.getLogger(__name__)

Y_NAMES = ("y", "lat", "latitude", "northing")
NODATA_NAMES = ("_FillValue", "missing_value", "nodata", "nodatavals")
"""Attributes that say what stands for no data: CF's, and what GDAL and rasterio call it."""
EVEN = 0.01
"""Share of a pixel by which a coordinate may be off its place."""
TINY = 1e-6
"""The same, below which the ends say where all are."""
X_NAMES = ("x", "lon", "longitude", "easting")


class DataArrayRaster(Raster):
    """A DataArray with two spatial dimensions and at most one band dimension.

    The CRS is taken from rioxarray's or odc-geo's ``spatial_ref`` coordinate or a ``crs``
    attribute; the transform from its ``GeoTransform``, or else from evenly spaced
    coordinates, which are those of pixel centres.
    """

    bands: tuple[int, ...]

    def __init__(
        self, array: Any, bands: Sequence[int] | None = None, stretch: Stretch | None = None
    ) -> None:
        """Look at the array's dimensions and coordinates; nothing is computed.

        Raises:
            RasterError: The dimensions are not those of a raster, the coordinates are
                not evenly spaced, or there are no such bands.
        """
        super().__init__(stretch)
        y_dim, x_dim = _dim(array, Y_NAMES), _dim(array, X_NAMES)
        others = [dim for dim in array.dims if dim not in (y_dim, x_dim)]
        if len(others) > 1:
            raise RasterError(
                f"a DataArray needs (band, y, x) or (y, x), got {array.dims}; select one"
                f" {others[0]} first, e.g. array.isel({others[0]}=0)"
            )
        self._array = array.transpose(*others, y_dim, x_dim)
        if not others:
            self._array = self._array.expand_dims("band")
        self.name = str(array.name or "DataArray")
        labels = [str(label) for label in self._labels(others)]
        self.bands = check_bands(
            bands if bands is not None else choose_bands([""] * self.count, labels), self.count
        )
        crs, transform = _georeference(array, y_dim, x_dim)
        self.grid = Grid(crs, transform, self._array.shape[1:])
        self._nodata = _nodata(array)
        self._band_facts = array_facts(self._array, labels)

    def _labels(self, others: list[Any]) -> list[Any]:
        names = self._array.attrs.get("long_name")
        if isinstance(names, (list, tuple)) and len(names) == self.count:
            return list(names)
        if others and others[0] in self._array.coords:
            labels = self._array.coords[others[0]].values
            if labels.dtype.kind in "US":
                return list(labels)
        return [""] * self.count

    @property
    def count(self) -> int:
        """Number of bands."""
        return int(self._array.shape[0])

    @property
    def dtype(self) -> str:
        """NumPy name of the array's data type."""
        return str(self._array.dtype)

    @property
    def source_id(self) -> str:
        """Name, grid and bands, and a digest of a thin sample of the values."""
        data, _ = next(iter(self._samples()))
        thin = np.ascontiguousarray(data[:, :: max(1, data.shape[1] // 64)])
        text = f"{self.name}|{self.grid}|{self.bands}|{self.dtype}".encode()
        return hashlib.sha256(text + thin.tobytes()).hexdigest()[:32]

    @property
    def block_shape(self) -> tuple[int, int]:
        """Rows and columns of the largest chunk; 1, 1 of an array in memory."""
        chunks = self._array.chunks
        return (1, 1) if chunks is None else (max(chunks[1]), max(chunks[2]))

    def _facts(self) -> tuple[BandFacts, ...]:
        return self._band_facts

    def _with(self, numbers: Sequence[int]) -> DataArrayRaster:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.bands = tuple(numbers)
        return other

    def _read(self, level: int, window: Window) -> tuple[NDArray[Any], BoolArray]:
        grid = self.grid.level(level)
        full = self.grid.shape
        edges = [
            np.linspace(0, full[axis], grid.shape[axis] + 1)[slice_.start : slice_.stop + 1]
            for axis, slice_ in enumerate(window.slices)
        ]
        starts = [np.floor(edge + 1e-9).astype(int) for edge in edges]
        rows, cols = (slice(start[0], max(start[-1], start[0] + 1)) for start in starts)
        index = [band - 1 for band in self.bands]
        data = np.asarray(self._array[index, rows, cols].values)
        if np.iscomplexobj(data):
            data = np.abs(data)
        valid = self._valid(data)
        if level == 0:
            return data, valid
        return _average(data, valid, starts[0] - rows.start, starts[1] - cols.start)

    def _valid(self, data: NDArray[Any]) -> BoolArray:
        valid = np.ones(data.shape[1:], dtype=bool)
        if data.dtype.kind == "f":
            valid &= np.isfinite(data).all(axis=0)
        if len(self._nodata):
            known = self._nodata.astype(data.dtype) if data.dtype.kind == "f" else self._nodata
            valid &= ~np.isin(data, known).all(axis=0)
        return valid

    def _reopened(self, bands: Sequence[int], stretch: Stretch | None) -> Raster:
        return DataArrayRaster(self._array, bands, stretch)

    def _samples(self) -> Iterator[tuple[NDArray[Any], BoolArray]]:
        step = max(1, int(np.sqrt(np.prod(self.grid.shape) / SAMPLE_PIXELS)))
        index = [band - 1 for band in self.bands]
        data = np.asarray(self._array[index, ::step, ::step].values)
        data = np.abs(data) if np.iscomplexobj(data) else data
        yield data, self._valid(data)


def _average(
    data: NDArray[Any], valid: BoolArray, rows: NDArray[Any], cols: NDArray[Any]
) -> tuple[NDArray[Any], BoolArray]:
    """Return block means of the valid pixels between the given edges."""
    weights = valid.astype(np.float64)
    filled = np.where(valid, data, 0).astype(np.float64)

    def sums(array: NDArray[Any]) -> NDArray[Any]:
        down = np.add.reduceat(array, rows[:-1], axis=-2)
        across: NDArray[Any] = np.add.reduceat(down, cols[:-1], axis=-1)
        return across

    number = sums(weights)
    mean = sums(filled) / np.maximum(number, 1)
    if data.dtype.kind in "iu":
        mean = np.rint(mean)
    return mean.astype(data.dtype), number > 0


def _dim(array: Any, names: tuple[str, ...]) -> Any:
    for dim in array.dims:
        if str(dim).lower() in names:
            return dim
    raise RasterError(
        f"a DataArray needs a dimension called {' or '.join(names[:3])}, got {array.dims}"
    )


def _nodata(array: Any) -> NDArray[np.float64]:
    """Return the values that stand for no data, by CF's names for them and GDAL's.

    Each may be one value or several. What decoding has made NaN is not looked for again: the
    value in ``encoding`` is that of the packed numbers.
    """
    said = [array.attrs.get(name) for name in NODATA_NAMES]
    packed = {"scale_factor", "add_offset"} & array.encoding.keys()
    if not packed and not any(value is not None for value in said):
        said = [array.encoding.get(name) for name in NODATA_NAMES]
    found: list[float] = []
    for value in said:
        try:
            found.extend(np.asarray([] if value is None else value, dtype=np.float64).ravel())
        except (TypeError, ValueError) as error:
            raise RasterError(f"{value!r} can not be the array's nodata value") from error
    return np.unique([value for value in found if np.isfinite(value)])


def _georeference(array: Any, y_dim: Any, x_dim: Any) -> tuple[Any, Affine]:
    reference = array.coords.get("spatial_ref")
    attributes = {} if reference is None else dict(reference.attrs)
    text = attributes.get("crs_wkt") or attributes.get("spatial_ref") or array.attrs.get("crs")
    crs = as_crs(text)
    given = None
    if "GeoTransform" in attributes:
        numbers = [float(part) for part in str(attributes["GeoTransform"]).split()]
        given = Affine.from_gdal(*numbers)
        if y_dim not in array.coords or x_dim not in array.coords:
            return crs, given
        if numbers[2] or numbers[4]:  # rotated: one-dimensional coordinates can not tell
            return crs, given
    lines = [_line(array, dim, crs if dim == x_dim else None) for dim in (x_dim, y_dim)]
    if None in lines:
        return None, Affine.identity()
    (x0, dx, x_off), (y0, dy, y_off) = lines  # type: ignore[misc]
    dx = _step(dx, x_off * 2 / array.sizes[x_dim], None if given is None else given.a, abs(dy))
    dy = _step(dy, y_off * 2 / array.sizes[y_dim], None if given is None else given.e, -abs(dx))
    return crs, Affine.translation(x0 - dx / 2, y0 - dy / 2) @ Affine.scale(dx, dy)


def _step(measured: float, uncertain: float, given: float | None, square: float) -> float:
    """Return the size of a pixel along an axis, with its sign.

    Args:
        measured: From the coordinates; NaN of a single one.
        uncertain: By how much that may be off.
        given: What the array's ``GeoTransform`` says, if it has one.
        square: What makes pixels square; NaN where the other axis has one coordinate, too.

    Raises:
        RasterError: Nothing says it.
    """
    if given and not abs(given - measured) > uncertain:
        return given
    if np.isfinite(measured):
        return measured
    if not np.isfinite(square):
        raise RasterError(
            "the array has one pixel and no GeoTransform: the size of the pixel is unknown"
        )
    log.warning("the size of pixels along an axis of one is unknown: taken to be square")
    return square


def _line(array: Any, dim: Any, crs: Any) -> tuple[float, float, float] | None:
    """Return the first coordinate along a dimension, the even step, and how far off they may be.

    The step of a single coordinate is NaN. Longitudes may jump from 180 to -180.

    Raises:
        RasterError: The coordinates are not evenly spaced: farther from a straight line than
            a hundredth of a pixel, and than their own rounding to 32 bits.
    """
    if dim not in array.coords:
        return None
    values = np.asarray(array.coords[dim].values, dtype=np.float64)
    turn = turn_of(crs)
    values = values if turn is None else unrolled_x(values, turn)
    if values.size < 2:
        return float(values[0]), math.nan, 0.0
    number = np.arange(values.size)
    first, step = float(values[0]), float(values[-1] - values[0]) / (values.size - 1)
    off = float(np.abs(values - (first + step * number)).max())
    rounding = 0.0
    if not off <= TINY * abs(step):
        middle = number - number.mean()
        step = float((middle * values).sum() / (middle**2).sum())
        first = float(values.mean() - step * number.mean())
        off = float(np.abs(values - (first + step * number)).max())
        if (values == values.astype(np.float32)).all():
            rounding = float(np.spacing(np.abs(values).max().astype(np.float32)))
    if not (step and off <= max(EVEN * abs(step), min(rounding, abs(step)))):
        raise RasterError(
            f"the coordinate {dim} is not evenly spaced; resample the array to a regular grid"
        )
    return first, step, off
