"""A chip as a graph of superpixels: the heavy half of the engines without weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import PromptError
from geoiseg.raster import BoolArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class SuperpixelGraph:
    """Superpixels of a chip, what they look like and how strongly neighbours differ."""

    image: NDArray[np.uint8]
    """``(y, x, 3)`` the chip."""
    labels: NDArray[np.int32]
    """``(y, x)`` superpixel of each pixel, -1 where there is no data."""
    features: FloatArray
    """``(n, 4)`` mean L, a, b and texture, in units of the chip's own median contrast."""
    centres: FloatArray
    """``(n, 2)`` mean ``x, y`` in the continuous pixel frame."""
    sizes: FloatArray
    """``(n,)`` pixels."""
    edges: NDArray[np.int32]
    """``(m, 2)`` neighbouring superpixels, the lower first, sorted."""
    contrast: FloatArray
    """``(m,)`` how different the two neighbours are; the median is 1."""
    border: FloatArray
    """``(m,)`` length of the common border in pixels."""

    @property
    def count(self) -> int:
        """Number of superpixels."""
        return len(self.sizes)

    @property
    def valid(self) -> BoolArray:
        """``(y, x)`` True where there is data."""
        return np.asarray(self.labels >= 0)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the graph as arrays by name, for an ``Embedding``."""
        return {name: getattr(self, name) for name in self.__slots__}

    def matrix(self, weights: NDArray[np.floating[Any]]) -> csr_array:
        """Return the symmetric ``(n, n)`` sparse matrix with a weight for each edge."""
        from scipy.sparse import coo_array

        first, second = self.edges.T
        rows, columns = np.concatenate([first, second]), np.concatenate([second, first])
        values = np.concatenate([weights, weights]).astype(np.float64)
        return coo_array((values, (rows, columns)), shape=(self.count, self.count)).tocsr()

    def mean(self, plane: NDArray[Any]) -> NDArray[np.float64]:
        """Return the ``(n,)`` mean of a ``(y, x)`` plane over each superpixel."""
        valid = self.labels >= 0
        total = np.bincount(self.labels[valid], plane[valid].astype(np.float64), self.count)
        return np.asarray(total / np.maximum(self.sizes, 1))

    def paint(self, values: NDArray[np.floating[Any]], elsewhere: float = 0.0) -> FloatArray:
        """Return ``(y, x)`` float32 with each superpixel's value, ``elsewhere`` without data."""
        table = np.append(values, elsewhere).astype(np.float32)
        return np.asarray(table[self.labels])


def build_graph(
    image: NDArray[np.uint8], valid: BoolArray, count: int = 1500, compactness: float = 10.0
) -> SuperpixelGraph:
    """Return the graph of about ``count`` SLIC superpixels of a chip.

    Fewer are made of a small chip: a superpixel covers 30 pixels or more. Those that
    straddle the edge of the data are cut there.

    Args:
        image: ``(y, x, 3)`` uint8.
        valid: ``(y, x)`` True where there is data.
        count: Superpixels aimed at.
        compactness: SLIC's weight of distance against colour.

    Raises:
        PromptError: The image is not ``(y, x, 3)`` uint8 or ``valid`` has another shape.
    """
    check_chip(image, valid)
    lab, texture = _appearance(image)
    labels = _segment(image, valid, min(count, max(1, valid.size // 30)), compactness)
    found = int(labels.max(initial=-1)) + 1
    sizes = np.bincount(labels[valid], minlength=found).astype(np.float32)
    rows, columns = np.indices(valid.shape, dtype=np.float32)
    planes = [*np.moveaxis(lab, 2, 0), texture, columns + 0.5, rows + 0.5]
    means = np.stack([_mean(labels, valid, plane, sizes) for plane in planes], axis=1)
    edges, slope, border = _borders(labels, _gradient(lab), found)
    colours = means[:, :4]
    step = np.linalg.norm(colours[edges[:, 0]] - colours[edges[:, 1]], axis=1)
    unit = max(float(np.median(step)) if len(step) else 0.0, 0.5)
    rise = slope / max(float(np.median(slope)) if len(slope) else 0.0, 0.25)
    return SuperpixelGraph(
        image=image.copy(),
        labels=labels,
        features=(colours / unit).astype(np.float32),
        centres=means[:, 4:].astype(np.float32),
        sizes=sizes,
        edges=edges,
        contrast=(0.5 * (step / unit + rise)).astype(np.float32),
        border=border,
    )


def check_chip(image: NDArray[np.uint8], valid: BoolArray) -> None:
    """Raise unless a chip is what the protocol says.

    Raises:
        PromptError: The image is not ``(y, x, 3)`` uint8 or ``valid`` has another shape.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise PromptError(f"a chip is (y, x, 3) uint8, got {image.shape} {image.dtype}")
    if valid.shape != image.shape[:2] or valid.dtype != bool:
        raise PromptError(
            f"valid must be bool of the chip's shape {image.shape[:2]},"
            f" got {valid.dtype} {valid.shape}"
        )


def _appearance(image: NDArray[np.uint8]) -> tuple[FloatArray, FloatArray]:
    """Return L, a, b and the local deviation of L, all in Lab units."""
    import cv2

    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    light = np.ascontiguousarray(lab[:, :, 0])
    mean = cv2.GaussianBlur(light, (0, 0), 2.5)
    square = cv2.GaussianBlur(light * light, (0, 0), 2.5)
    deviation = np.sqrt(np.maximum(square - mean * mean, 0))
    return np.asarray(lab, np.float32), np.asarray(deviation, np.float32)


def _segment(
    image: NDArray[np.uint8], valid: BoolArray, count: int, compactness: float
) -> NDArray[np.int32]:
    """Return SLIC labels, connected, numbered from 0, with -1 where there is no data."""
    from skimage.measure import label
    from skimage.segmentation import slic

    raw = slic(
        image, n_segments=count, compactness=compactness, sigma=0.7, max_num_iter=6, start_label=1
    )
    if not valid.all():
        raw = label(np.where(valid, raw, 0), background=0, connectivity=1)  # type: ignore[no-untyped-call]
    return np.asarray(raw, dtype=np.int32) - 1


def _mean(
    labels: NDArray[np.int32], valid: BoolArray, plane: FloatArray, sizes: FloatArray
) -> NDArray[np.float64]:
    total = np.bincount(labels[valid], plane[valid], len(sizes))
    return np.asarray(total / np.maximum(sizes, 1))


def _gradient(lab: FloatArray) -> FloatArray:
    """Return the gradient magnitude of the slightly smoothed Lab image."""
    import cv2

    smooth = cv2.GaussianBlur(lab, (0, 0), 1.2)
    dx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=0.125)
    dy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=0.125)
    return np.asarray(np.sqrt((dx * dx + dy * dy).sum(2)))


def _borders(
    labels: NDArray[np.int32], gradient: FloatArray, count: int
) -> tuple[NDArray[np.int32], FloatArray, FloatArray]:
    """Return neighbouring pairs, the mean gradient along their border and its length."""
    keys, values = [], []
    for a, b, ga, gb in (
        (labels[:, :-1], labels[:, 1:], gradient[:, :-1], gradient[:, 1:]),
        (labels[:-1], labels[1:], gradient[:-1], gradient[1:]),
    ):
        meet = (a != b) & (a >= 0) & (b >= 0)
        low, high = np.minimum(a[meet], b[meet]), np.maximum(a[meet], b[meet])
        keys.append(low.astype(np.int64) * count + high)
        values.append(np.maximum(ga[meet], gb[meet]))
    unique, inverse = np.unique(np.concatenate(keys), return_inverse=True)
    length = np.bincount(inverse, minlength=len(unique))
    slope = np.bincount(inverse, np.concatenate(values), len(unique)) / np.maximum(length, 1)
    edges = np.stack([unique // max(count, 1), unique % max(count, 1)], axis=1).astype(np.int32)
    return edges, slope.astype(np.float32), length.astype(np.float32)
