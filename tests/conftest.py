"""Scenes and places that many tests share."""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import settings

UTM = "EPSG:32631"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Whoever starts the tests in the background may have them ignore Ctrl+C, and with them
    # every program that they start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


# A machine that is busy with other work is slow, which is no fault of what is tested.
settings.register_profile("geoiseg", deadline=None)
settings.load_profile("geoiseg")


def data_folder() -> Path:
    """Folder with the labelled scenes, whether it is there or not."""
    default = Path(__file__).parents[2] / "shared" / "data"
    return Path(os.environ.get("GEOISEG_TEST_DATA", default))


def missing(what: str) -> NoReturn:
    """Skip for want of a tool, or fail where nothing may be left out: in CI, for one."""
    if os.environ.get("CI") or os.environ.get("GEOISEG_REQUIRE_DATA"):
        pytest.fail(what, pytrace=False)
    pytest.skip(what, allow_module_level=True)


def needed(module: str) -> Any:
    """Return a module of the development extra, or go without as ``missing`` says."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        reason = str(error)
    missing(f"{module} can not be imported ({reason}): pip install 'geoiseg[dev]'")


@pytest.fixture(scope="session", autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests, and the servers they start, out of the user's own caches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEOISEG_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test find what another one has left in the caches."""
    monkeypatch.setenv("GEOISEG_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One browser for all tests of a process: there can be no second one."""
    from tests.widget.browser.harness import CHROMIUM, FLAGS

    if not Path(CHROMIUM).exists():
        missing(f"there is no Chromium at {CHROMIUM}: install it, or set GEOISEG_CHROMIUM")
    with needed("playwright.sync_api").sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def data() -> Path:
    folder = data_folder()
    if not (folder / "scenes").is_dir():
        if os.environ.get("GEOISEG_REQUIRE_DATA"):
            pytest.fail(f"{folder} has no scenes")
        pytest.skip("set GEOISEG_TEST_DATA to the folder with the labelled scenes")
    return folder


@dataclass(frozen=True)
class Disk:
    """A bright disk on a dark, textured ground: what every engine must find."""

    path: Path
    truth: np.ndarray
    transform: Affine
    centre: tuple[float, float]
    """In the CRS."""
    outside: tuple[float, float]
    """A place off the disk, in the CRS."""


def write_raster(path: Path, data: np.ndarray, **profile: object) -> Path:
    """Write ``(band, y, x)`` as a GeoTIFF, in UTM with 2 m pixels unless told otherwise."""
    options: dict[str, object] = {
        "driver": "GTiff",
        "count": data.shape[0],
        "height": data.shape[1],
        "width": data.shape[2],
        "dtype": data.dtype,
        "crs": UTM,
        "transform": Affine(2, 0, 500_000, 0, -2, 4_500_000),
        **profile,
    }
    with rasterio.open(path, "w", **options) as target:
        target.write(data)
    return path


def disk_pixels(size: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return ``(3, y, x)`` uint8 pixels and ``(y, x)`` truth of a disk in the middle."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] + 0.5
    truth = np.hypot(x - size * 0.5, y - size * 0.45) < size * 0.2
    ground = np.array([70, 90, 60])[:, None, None] + rng.normal(0, 8, (3, size, size))
    disk = np.array([170, 150, 90])[:, None, None] + rng.normal(0, 8, (3, size, size))
    return np.clip(np.where(truth, disk, ground), 0, 255).astype(np.uint8), truth


@pytest.fixture(scope="session")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Disk:
    pixels, truth = disk_pixels()
    path = write_raster(tmp_path_factory.mktemp("disk") / "disk.tif", pixels)
    transform = Affine(2, 0, 500_000, 0, -2, 4_500_000)
    return Disk(path, truth, transform, transform @ (100, 90), transform @ (20, 20))


@pytest.fixture
def bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let networks be asked for in bfloat16 on any CPU: all can, though few are faster for it."""
    monkeypatch.setattr(
        "geoiseg.models.sam.device.halves",
        lambda device: ("bf16",) if device.type == "cpu" else (),
    )
