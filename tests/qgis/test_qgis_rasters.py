"""Rasters of every kind that are files for GDAL, opened by QGIS and segmented as QGIS names them."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import shapely
from rasterio.shutil import copy

from geoiseg.companion.fields import Fields
from geoiseg.companion.objects import Objects
from geoiseg.segment import Watch
from tests.conftest import Disk
from tests.qgis.test_qgis_pieces import piece
from tests.qgis.test_qgis_tool import iou

pytestmark = [pytest.mark.qgis]

SERVER = Path(__file__).parents[1] / "range_server.py"


@pytest.fixture
def served(disk: Disk) -> Iterator[str]:
    """Return the address of the disk on a server."""
    server = subprocess.Popen(
        [sys.executable, str(SERVER), str(disk.path.parent)], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    port = server.stdout.readline().strip()
    yield f"http://127.0.0.1:{port}/{disk.path.name}"
    server.kill()
    server.wait()
    server.stdout.close()


def kinds(disk: Disk, folder: Path, address: str) -> dict[str, str]:
    """Write the disk in many formats; return how a layer of QGIS's is of each."""
    options: dict[str, dict[str, Any]] = {
        "GPKG": {},
        "JP2OpenJPEG": {"QUALITY": 100, "REVERSIBLE": "YES"},
        "netCDF": {},
        "VRT": {},
    }
    places = {"GPKG": "d.gpkg", "JP2OpenJPEG": "d.jp2", "netCDF": "d.nc", "VRT": "d.vrt"}
    for driver, name in places.items():
        copy(str(disk.path), str(folder / name), driver=driver, **options[driver])
    with zipfile.ZipFile(folder / "d.zip", "w") as archive:
        archive.write(disk.path, "inside/disk.tif")
    return {
        "a table of a GeoPackage": f"GPKG:{folder / 'd.gpkg'}:d",
        "JPEG 2000": str(folder / "d.jp2"),
        "a variable of a netCDF": f'NETCDF:"{folder / "d.nc"}":Band1',
        "a virtual raster": str(folder / "d.vrt"),
        "in an archive": f"/vsizip/{folder / 'd.zip'}/inside/disk.tif",
        "on a server": f"/vsicurl/{address}",
        "with a driver's option": f"{disk.path}|option:NUM_THREADS=1",
    }


def test_every_kind_of_raster_is_segmented_as_qgis_names_it(
    disk: Disk, tmp_path: Path, served: str
) -> None:
    sources = kinds(disk, tmp_path, served)
    told = piece(tmp_path / "profile", "rasters", json.dumps(list(sources.values())))
    click = {"prompts": [{"kind": "point", "xy": list(disk.centre), "positive": True}]}
    objects, wrong = Objects(), {}
    for kind, source in sources.items():
        assert told[source] is not None, f"QGIS can not open {kind}"
        path, bands, crs = told[source]
        params = {"raster": path, "bands": bands, "steps": [click]}
        try:
            answer = objects.answer(Fields(params), Watch(), lambda *_: None)
            same = iou(shapely.from_wkb(answer["wkb"]), disk.truth, disk.transform)
        except Exception as error:  # each kind is told, not the first alone
            wrong[kind] = f"{path}: {error}"
            continue
        if same < 0.95 or crs != "EPSG:32631":
            wrong[kind] = f"{path}: {crs}, {same:.2f}"
    assert wrong == {}
