"""The outline a user keeps: exact, simplified, squared on the ground."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from rasterio.features import rasterize

from geoiseg.errors import PromptError
from geoiseg.outline.draw import OutlineOptions, outline
from geoiseg.raster.grid import Grid
from geoiseg.segment.masks import Mask


def mask_of(shape: shapely.Geometry, transform: Affine, crs: str, size=(300, 300)) -> Mask:
    """Burn a shape given in the CRS."""
    burned = rasterize([shape], out_shape=size, transform=transform)
    return Mask(burned.astype(bool), Grid(crs, transform, size))


def test_an_empty_mask_has_no_outline() -> None:
    grid = Grid("EPSG:32631", Affine(1, 0, 0, 0, -1, 0), (5, 5))
    assert outline(Mask(np.zeros((5, 5), bool), grid)) is None


def test_corners_are_square_on_the_ground_not_in_degrees() -> None:
    """A building turned by 30 degrees, at 60 degrees north, where a degree east is half as long."""
    local = pyproj.CRS("+proj=aeqd +lat_0=60 +lon_0=10 +datum=WGS84")
    to_lonlat = pyproj.Transformer.from_crs(local, "EPSG:4326", always_xy=True)
    to_metres = pyproj.Transformer.from_crs("EPSG:4326", local, always_xy=True)
    house = shapely.affinity.rotate(shapely.box(-30, -18, 30, 18), 30)
    lonlat = shapely.transform(house, to_lonlat.transform, interleaved=False)
    step = 5e-6
    transform = Affine(step, 0, 10 - 300 * step, 0, -step, 60 + 150 * step)
    mask = mask_of(lonlat, transform, "EPSG:4326", (300, 600))
    drawn = outline(mask, OutlineOptions(square=True))
    back = shapely.transform(drawn, to_metres.transform, interleaved=False)
    assert len(back.exterior.coords) == 5
    xy = np.asarray(back.exterior.coords)
    edges = np.diff(xy, axis=0)
    unit = edges / np.linalg.norm(edges, axis=1)[:, None]
    np.testing.assert_allclose(np.abs((unit[:-1] * unit[1:]).sum(axis=1)), 0, atol=0.01)
    assert back.intersection(house).area / back.union(house).area > 0.95


@pytest.mark.parametrize(
    "options",
    [OutlineOptions(simplify=1.5), OutlineOptions(smooth=2), OutlineOptions(1.0, 1),
     OutlineOptions(square=True, smooth=1)],
)  # fmt: skip
@pytest.mark.parametrize(
    "transform",
    [Affine(2, 0, 5e5, 0, -2, 4.5e6), Affine(2, 0, 5e5, 0, 2, 4.5e6),
     Affine.translation(5e5, 4.5e6) @ Affine.rotation(25) @ Affine.scale(2, -3)],
    ids=["north-up", "south-up", "rotated"],
)  # fmt: skip
def test_shaped_outlines_stay_valid_near_and_of_the_same_area(options, transform) -> None:
    pixels = shapely.Point(150, 150).buffer(90).difference(shapely.box(130, 130, 160, 150))
    shape = shapely.transform(pixels, lambda xy: np.column_stack(transform @ tuple(xy.T)))
    mask = mask_of(shape, transform, "EPSG:32631")
    exact, drawn = outline(mask), outline(mask, options)
    assert drawn.is_valid
    assert drawn.area == pytest.approx(exact.area, rel=0.06)
    assert drawn.symmetric_difference(exact).area < 0.08 * exact.area
    assert not drawn.contains(shapely.Point(transform @ (145, 140))), "the hole is kept"


@pytest.mark.parametrize(
    "wrong", [{"simplify": -1}, {"simplify": 1e6}, {"smooth": 6}, {"max_area_change": 0}]
)
def test_senseless_options_are_refused_with_their_value(wrong) -> None:
    with pytest.raises(PromptError, match=str(next(iter(wrong.values()))).split(".")[0]):
        OutlineOptions(**wrong)
