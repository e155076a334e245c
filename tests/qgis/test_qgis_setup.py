"""One button in the whole QGIS: from the package index, and from the bundle without a network."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from geoiseg import __version__
from geoiseg.companion import bundle
from tests.conftest import Disk
from tests.qgis.qgis_app import Qgis, program

pytestmark = [pytest.mark.qgis, pytest.mark.slow]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "Zoë's QGIS"


def pictures(folder: Path) -> Path:
    """Where pictures of windows go; a folder of its own to look at them."""
    return Path(os.environ.get("GEOISEG_TEST_PICTURES", folder))


def clicking(disk: Disk) -> list[dict[str, object]]:
    return [{"do": "activate"}, {"do": "click", "xy": disk.centre}]


def test_the_button_sets_up_from_the_index_and_again(folder: Path, disk: Disk) -> None:
    folder.mkdir()
    qgis = Qgis.made(folder, python="")
    job = {"raster": str(disk.path), "canvas_crs": "EPSG:32631"}
    seen = qgis.drive(
        [
            {"do": "offered"},
            {
                "do": "set_up",
                "cancel_at": "Collecting",
                "picture": str(pictures(folder) / "busy.png"),
            },
            {"do": "set_up", "picture": str(pictures(folder) / "done.png")},
            *clicking(disk),
            {"do": "key", "key": "esc"},
            {"do": "remove"},
        ],
        **job,
    )["seen"]
    start, stopped, made, _, clicked, _, removed = seen
    assert start["python"] == ""
    assert stopped["about"]["step"] == "stopped: nothing was changed"
    assert stopped["python"] == ""
    assert stopped["about"]["button"] == "Try again"
    assert made["about"]["step"].startswith(f"geoiseg {__version__} is ready")
    assert made["about"]["button"] == "Repair"
    home = folder / "profiles/default/geoiseg"
    assert made["python"].startswith(str(home / "env-"))
    assert any(line.startswith("Successfully installed") for line in made["about"]["log"])
    assert clicked["found"] is not None
    assert clicked["sockets"] == []
    assert clicked["foreign"] == []
    assert removed["about"]["step"] == "geoiseg's environment is removed."
    assert not home.exists()


def test_without_a_network_it_is_told_in_a_line(folder: Path, disk: Disk) -> None:
    folder.mkdir()
    qgis = Qgis.made(folder, python="", networked=False)
    job = {"raster": str(disk.path), "canvas_crs": "EPSG:32631"}
    failed, *_ = qgis.drive([{"do": "set_up"}, {"do": "activate"}], **job)["seen"]
    assert "the package index can not be reached" in failed["about"]["step"]
    assert failed["about"]["button"] == "Try again"
    left = folder / "profiles/default/geoiseg"
    assert not list(left.glob("env-*"))


def test_the_bundle_needs_no_network(folder: Path, disk: Disk, tmp_path: Path) -> None:
    program("unshare")
    packed = tmp_path / "bundle.zip"
    assert bundle.main([str(packed), "--python", "3.11"]) == 0
    folder.mkdir()
    qgis = Qgis.made(folder, packed, python="", networked=False)
    job = {"raster": str(disk.path), "canvas_crs": "EPSG:32631"}
    made, _, clicked = qgis.drive([{"do": "set_up"}, *clicking(disk)], **job)["seen"]
    assert made["about"]["step"].startswith(f"geoiseg {__version__} is ready")
    assert clicked["found"] is not None
    said = json.loads((folder / "profiles/default/geoiseg/current.json").read_text())
    assert said["version"] == __version__
