"""Rasters that GDAL opens: GeoTIFF and all its kin, local, remote or in an archive."""

from __future__ import annotations

import hashlib
import logging
import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.windows import Window as RioWindow

from geoiseg.errors import GeoisegError, RasterError
from geoiseg.raster.arrays import BoolArray
from geoiseg.raster.facts import BandFacts
from geoiseg.raster.gdal_facts import band_facts
from geoiseg.raster.grid import Window
from geoiseg.raster.image import Stretch
from geoiseg.raster.readers.bands import check_bands, choose_bands
from geoiseg.raster.readers.blocks import SAMPLE_COST, sample_blocks
from geoiseg.raster.readers.headers import added_alpha, common_type, palette_of, validity_of
from geoiseg.raster.readers.identity import SourceIdentity, local_file
from geoiseg.raster.readers.opening import (
    GDAL_OPTIONS,
    cause,
    georeferenced,
    grid_of,
    opened,
    own_or_shared,
)
from geoiseg.raster.readers.protocol import SAMPLE_PIXELS, Raster
from geoiseg.raster.sensors.beside import with_companions
from geoiseg.raster.sensors.catalogue import Sensor
from geoiseg.raster.sensors.product_names import product_of

log = logging.getLogger(__name__)


class RasterioRaster(Raster):
    """A raster read through rasterio, one dataset per thread."""

    bands: tuple[int, ...]

    def __init__(
        self,
        source: str | Path | rasterio.DatasetReader,
        bands: Sequence[int] | None = None,
        stretch: Stretch | None = None,
        name: str | None = None,
    ) -> None:
        """Open the source and look at its header; no pixel is read.

        Args:
            source: What rasterio opens, or has opened.
            bands: One or three numbers from 1.
            stretch: Contrast limits.
            name: What to call it, where its path is no name: that of a virtual dataset.

        Raises:
            RasterError: It can not be opened, or has no such bands.
            GeoreferenceError: Its transform is damaged.
        """
        super().__init__(stretch)
        self._shared, self._path = own_or_shared(source)
        self.name = name or self._path
        self._init_handles()
        try:
            self._see(bands)
        except (RasterioError, CPLE_BaseError) as error:
            raise RasterError(
                f"can not read the header of {self.name}: {cause(error)}; the file may be damaged"
            ) from error

    def _see(self, bands: Sequence[int] | None) -> None:
        """Take over what the header says, and choose the bands."""
        with rasterio.Env(**GDAL_OPTIONS):
            dataset = self._dataset()
            self._count = dataset.count - added_alpha(dataset)
            if not dataset.count:
                inner = ", ".join(dataset.subdatasets[:3])
                hint = f"; open one of its subdatasets: {inner}" if inner else ""
                raise RasterError(f"{self.name} has no bands{hint}")
            self._palette = palette_of(dataset)
            kinds = [kind.name.lower() for kind in dataset.colorinterp]
            chosen = choose_bands(kinds, dataset.descriptions) if bands is None else bands
            self.bands = check_bands(chosen, self._count)
            if self._palette is not None and len(self.bands) > 1:
                self._palette = None
            types = self._look(dataset)
            if self._mixed:
                several = ", ".join(dict.fromkeys(types))
                log.warning("%s: bands of %s are read as %s", self.name, several, self._dtype)
            self._overviews = max(dataset.overviews(self.bands[0]), default=1)
            self._block = dataset.block_shapes[self.bands[0] - 1]
            self.grid = grid_of(dataset, self.name)
            self._band_facts = band_facts(dataset, self._count)
            self._all_facts: tuple[BandFacts, ...] | None = None
            self._tags = dict(dataset.tags())
            self._types = tuple(map(str, dataset.dtypes))
            self._identity = SourceIdentity.of(self._path, dataset)

    def _look(self, dataset: Any) -> list[str]:
        """See how the chosen bands are read, and return their types."""
        types = [str(dataset.dtypes[band - 1]) for band in self.bands]
        self._dtype, self._mixed = common_type(types), len(set(types)) > 1
        self._flagged = validity_of(dataset, self.bands, self._mixed)
        self._nodata = dataset.nodatavals[self.bands[0] - 1]
        return types

    @property
    def _mask_kind(self) -> str:
        """Where validity comes from: ``none``, ``nodata`` (the values) or ``mask``."""
        if self._flagged == "alpha":
            return "none" if self._alpha_told else "mask"
        return self._flagged

    def _init_handles(self) -> None:
        self._local = threading.local()
        self._opened: weakref.WeakSet[Any] = weakref.WeakSet()
        self._shared_lock = threading.RLock()

    @property
    def count(self) -> int:
        """Number of bands in the source."""
        return int(self._count)

    @property
    def dtype(self) -> str:
        """NumPy name of the source's data type."""
        return self._dtype

    @property
    def source_id(self) -> str:
        """A digest of the content as far as it is cheap to look at, and of how it is read.

        A file that was moved keeps it; one that was changed does not. See
        ``geoiseg.raster.readers.identity``.
        """
        palette = None if self._palette is None else self._palette.tobytes()
        reading = (self.bands, self._dtype, self.grid.shape, tuple(self.grid.transform),
                   self._mask_kind, self._nodata, palette)  # fmt: skip
        return hashlib.sha256(f"{self._identity.text()}|{reading}".encode()).hexdigest()[:32]

    @property
    def lasting(self) -> bool:
        """Whether the source can be opened again and known again by another process."""
        return self._shared is None and self._identity.lasting

    @property
    def overview_factor(self) -> int:
        """Reduction of the coarsest overview; 1 where there is none."""
        return int(self._overviews)

    @property
    def block_shape(self) -> tuple[int, int]:
        """Rows and columns of a block of the file."""
        return int(self._block[0]), int(self._block[1])

    def _dataset(self) -> Any:
        """Return this thread's dataset, opened at its first use."""
        if self._shared is not None:
            return self._shared
        dataset = getattr(self._local, "dataset", None)
        if dataset is None or dataset.closed:
            dataset = georeferenced(opened(self._path), self.name)
            self._local.dataset = dataset
            self._opened.add(dataset)
        return dataset

    def _reopen_later(self) -> None:
        """Close this thread's dataset after a failure.

        GDAL keeps what it has of a block that it failed to read, and gives that out as if it
        were data when it is asked for the block again.
        """
        dataset = getattr(self._local, "dataset", None)
        if dataset is not None:
            self._local.dataset = None
            dataset.close()

    def _read(self, level: int, window: Window) -> tuple[NDArray[Any], BoolArray]:
        grid = self.grid.level(level)
        sx, sy = self.grid.width / grid.width, self.grid.height / grid.height
        where = RioWindow(window.col * sx, window.row * sy, window.width * sx, window.height * sy)
        average = level > 0 and self._palette is None
        how = Resampling.average if average else Resampling.nearest
        return self._fetch(where, window.shape, how)

    def _with(self, numbers: Sequence[int]) -> RasterioRaster:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.bands, other._palette = tuple(numbers), None
        with self._shared_lock if self._shared is not None else _NO_LOCK:
            other._look(self._dataset())
        return other

    def _read_numbered(
        self, level: int, window: Window, numbers: Sequence[int]
    ) -> tuple[NDArray[Any], BoolArray]:
        """Return bands by number; those of several types as the one that holds all."""
        kinds: dict[str, list[int]] = {}
        for number in numbers:
            kinds.setdefault(self._types[number - 1], []).append(number)
        if len(kinds) == 1:
            return super()._read_numbered(level, window, numbers)
        valid = np.zeros(window.shape, dtype=bool)
        planes: dict[int, NDArray[Any]] = {}
        for same in kinds.values():
            data, known = super()._read_numbered(level, window, same)
            planes.update(zip(same, data, strict=True))
            valid |= known
        return np.stack([planes[number] for number in numbers]), valid

    @property
    def facts(self) -> tuple[BandFacts, ...]:
        """What the file itself says of each band."""
        return self._band_facts

    def _facts(self) -> tuple[BandFacts, ...]:
        if self._all_facts is None:
            file = local_file(self.name)
            self._all_facts = with_companions(self._band_facts, self.name, file, self._tags)
        return self._all_facts

    @property
    def virtual(self) -> str | None:
        """The text of the VRT that stands for a folder or a list of files; None for others."""
        return self._path if self._path.startswith("<VRTDataset") else None

    def _product(self) -> Sensor | None:
        return product_of(self.name)

    def _fetch(
        self, where: RioWindow, shape: tuple[int, int], how: Resampling
    ) -> tuple[NDArray[Any], BoolArray]:
        """Return data and valid of a full-resolution window, resampled to ``shape``."""
        target = (len(self.bands), *shape)
        with self._shared_lock if self._shared is not None else _NO_LOCK:
            try:
                with rasterio.Env(**GDAL_OPTIONS):
                    dataset = self._dataset()
                    data = self._values(dataset, where, target, how)
                    mask = None
                    if self._mask_kind == "mask":
                        mask = dataset.read_masks(
                            list(self.bands), window=where, out_shape=target
                        ).any(axis=0)
            except (RasterioError, CPLE_BaseError, OSError, ValueError, MemoryError) as error:
                if isinstance(error, GeoisegError):
                    raise
                self._reopen_later()
                raise RasterError(
                    f"can not read {self.name} at rows {where.row_off:.0f}.., columns"
                    f" {where.col_off:.0f}..: {cause(error)}; the file may be truncated or damaged"
                ) from error
        return self._interpret(data, mask)

    def _values(
        self, dataset: Any, where: RioWindow, target: tuple[int, ...], how: Resampling
    ) -> NDArray[Any]:
        """Return ``(band, y, x)`` values; bands of several types become one that holds all."""
        how_read = {"window": where, "resampling": how}
        if not self._mixed:
            read: NDArray[Any] = dataset.read(list(self.bands), out_shape=target, **how_read)
            return read
        bands = [dataset.read(band, out_shape=target[1:], **how_read) for band in self.bands]
        return np.stack(bands).astype(self._dtype, copy=False)

    def _interpret(
        self, data: NDArray[Any], mask: BoolArray | None
    ) -> tuple[NDArray[Any], BoolArray]:
        if np.iscomplexobj(data):
            data = np.abs(data)
        valid = np.ones(data.shape[1:], dtype=bool) if mask is None else mask
        if self._mask_kind == "nodata" and not np.isnan(self._nodata):
            valid &= (data != np.asarray(self._nodata, dtype=np.float64)).any(axis=0)
        if data.dtype.kind == "f":
            valid &= np.isfinite(data).all(axis=0)
        if self._palette is not None:
            colours = self._palette[np.clip(data[0], 0, len(self._palette) - 1)]
            valid &= colours[..., 3] > 0
            data = np.moveaxis(colours[..., :3], -1, 0)
        return data, valid

    def _samples(self) -> Iterator[tuple[NDArray[Any], BoolArray]]:
        level = next(k for k in range(64) if np.prod(self.grid.level(k).shape) <= SAMPLE_PIXELS)
        cost = self.grid.height * self.grid.width / min(self._overviews, 1 << level) ** 2
        if cost <= SAMPLE_COST:
            try:
                whole = self._read(level, self.grid.level(level).whole)
            except RasterError as error:
                log.warning("%s; going on with what can be read", error)
            else:
                yield whole
                return
        yield from self._sample_blocks()

    def _sample_blocks(self) -> Iterator[tuple[NDArray[Any], BoolArray]]:
        """Yield blocks spread over the raster, damaged ones left out unless all are."""
        damage: RasterError | None = None
        count = 0
        for shift in (0.5, 0.25, 0.75):
            found = False
            for block in sample_blocks(self.grid.shape, self._block, shift):
                try:
                    data, valid = self._read(0, block)
                except RasterError as error:
                    damage = error
                    continue
                count += 1
                found = found or bool(valid.any() and np.ptp(data[:, valid]) > 0)
                yield data, valid
            if found:
                return
        if damage is not None and not count:
            raise damage

    def _reopened(self, bands: Sequence[int], stretch: Stretch | None) -> Raster:
        return RasterioRaster(self._shared or self._path, bands, stretch, self.name)

    def close(self) -> None:
        """Close the datasets of all threads; a dataset of the caller's own stays open."""
        for dataset in list(self._opened):
            dataset.close()

    def __getstate__(self) -> dict[str, Any]:
        if self._shared is not None:
            raise RasterError(
                f"{self.name} was given as an open in-memory or warped dataset and can not be sent"
                " to another process; write it to a file and open that"
            )
        state = super().__getstate__()
        for handle in ("_local", "_opened", "_shared_lock"):
            del state[handle]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._init_handles()


class _NoLock:
    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


_NO_LOCK = _NoLock()
