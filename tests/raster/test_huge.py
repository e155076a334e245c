"""One click on a raster of 100,000 x 100,000 pixels: memory, and the blocks that are read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.windows import Window as RioWindow

import geoiseg
from geoiseg.errors import RasterError
from geoiseg.raster.grid import Window
from geoiseg.raster.image import Stretch
from geoiseg.raster.readers.blocks import SAMPLE_COST
from geoiseg.raster.readers.geotiff import RasterioRaster
from tests.conftest import disk_pixels

SIDE = 100_000
BLOCK = 512
TRANSFORM = Affine(0.5, 0, 400_000, 0, -0.5, 5_000_000)


@pytest.fixture(scope="module")
def huge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sparse BigTIFF of 30 GB of pixels with something to click on in the middle."""
    path = tmp_path_factory.mktemp("huge") / "huge.tif"
    profile = {
        "driver": "GTiff", "width": SIDE, "height": SIDE, "count": 3, "dtype": "uint8",
        "crs": "EPSG:32631", "transform": TRANSFORM, "tiled": True, "blockxsize": BLOCK,
        "blockysize": BLOCK, "sparse_ok": True, "bigtiff": "yes", "compress": "deflate",
        "interleave": "pixel",
    }  # fmt: skip
    pixels, _ = disk_pixels(1024)
    with rasterio.open(path, "w", **profile) as target:
        for row in (49_664, 50_688):
            for col in (49_664, 50_688):
                target.write(pixels, window=RioWindow(col, row, 1024, 1024))
    return path


CLICK = """
import json, resource, sys
import numpy as np
import geoiseg
from geoiseg.models.registry import get_model
model = get_model(sys.argv[2])
flat = np.zeros((64, 64, 3), np.uint8); flat[16:48, 16:48] = 200
from geoiseg.prompting.pixel import PixelPrompts
warm = model.embed(flat, np.ones((64, 64), bool))
model.decode(warm, PixelPrompts(np.array([[32.0, 32.0]]), np.array([True])))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
session = geoiseg.Session(sys.argv[1], model)
session.add_point(float(sys.argv[3]), float(sys.argv[4]))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"mb": (after - before) / 1024, "area": session.geometry.area}))
"""


@pytest.mark.parametrize("model", geoiseg.model_names())
def test_memory_for_one_click_does_not_depend_on_the_raster(huge: Path, model: str) -> None:
    x, y = TRANSFORM @ (50_176, 50_125)
    done = subprocess.run(
        [sys.executable, "-c", CLICK, huge, model, str(x), str(y)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert told["mb"] < 400
    assert told["area"] > 0


def poisoned(path: Path, keep: set[tuple[int, int]]) -> int:
    """Damage every written block but those kept, and return how many were damaged."""
    damaged = 0
    places = {}
    with rasterio.open(path) as dataset:
        for row in range(49_664 // BLOCK, 51_712 // BLOCK):
            for col in range(49_664 // BLOCK, 51_712 // BLOCK):
                offset = dataset.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=1)
                size = dataset.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=1)
                places[row, col] = int(offset), int(size)
    with path.open("r+b") as file:
        for place, (offset, size) in places.items():
            if place not in keep:
                file.seek(offset)
                file.write(b"\xff" * size)
                damaged += 1
    return damaged


@pytest.mark.parametrize("model", ["grabcut", geoiseg.model_names()[0]])
def test_only_the_blocks_of_the_chip_are_read(huge: Path, tmp_path: Path, model: str) -> None:
    """Every other block is damaged, so that touching it would fail."""
    path = tmp_path / "copy.tif"
    subprocess.run(["cp", "--sparse=always", huge, path], check=True)
    byte = Stretch((0.0,) * 3, (255.0,) * 3)
    session = geoiseg.Session(geoiseg.open_raster(path, stretch=byte), model, gsd=0.5)
    x, y = TRANSFORM @ (50_176, 50_125)
    session.add_point(x, y)
    chip = session.outcome.frame.window
    rows = range(chip.row // BLOCK, -(-chip.stop[0] // BLOCK))
    cols = range(chip.col // BLOCK, -(-chip.stop[1] // BLOCK))
    touched = {(row, col) for row in rows for col in cols}
    assert len(touched) <= 9
    expected = session.mask.array
    session.raster.close()
    assert poisoned(path, touched) >= 7
    again = geoiseg.Session(geoiseg.open_raster(path, stretch=byte), model, gsd=0.5)
    again.add_point(x, y)
    np.testing.assert_array_equal(again.mask.array, expected)
    with pytest.raises(RasterError, match="damaged"):
        again.raster.read(Window(49_664, 49_664, 2048, 2048))


class Counting(RasterioRaster):
    """The real reader, which also counts the pixels asked of it."""

    pixels = 0

    def _read(self, level, window):
        self.pixels += window.height * window.width
        return super()._read(level, window)


def test_the_stretch_of_a_huge_raster_looks_at_few_pixels(huge: Path) -> None:
    raster = Counting(str(huge))
    assert raster.stretch.low == (0.0,) * 3
    assert 0 < raster.pixels <= 3 * SAMPLE_COST, "three passes at most"
