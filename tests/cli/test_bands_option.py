"""``--bands`` and ``--sensor`` at the commands, and what ``info`` says of bands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner, Result

from geoiseg.cli.main import cli
from geoiseg.session import load_project
from tests.conftest import write_raster


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A lake that only the infrared shows, in six bands without names."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:256, :256]
    lake = np.hypot(x - 120, y - 130) < 60
    data = rng.normal(90, 3, (6, 256, 256))
    data[3:] = np.where(lake, 20, 160) + rng.normal(0, 3, (3, 256, 256))
    return write_raster(tmp_path / "lake.tif", data.astype(np.uint8), photometric="MINISBLACK")


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def test_info_says_what_bands_are_and_why(scene: Path) -> None:
    plain = run("info", scene)
    assert plain.exit_code == 0
    assert "band 4    not known" in plain.output
    by_sensor = run("info", scene, "--sensor", "landsat-7", "--bands", "swir16,nir,ndwi", "--json")
    facts = json.loads(by_sensor.output)
    assert facts["bands_used"] == [5, 4, "ndwi"]
    assert facts["composites"] == ["agriculture", "infrared", "natural", "short-wave"]
    assert facts["roles"][3] == {
        "band": 4, "name": None, "role": "nir08", "source": "Landsat 7 B4",
        "wavelength_um": 0.83, "scale": 1.0, "offset": 0.0,
    }  # fmt: skip
    with rasterio.open(scene, "r+") as target:
        target.descriptions = ("blue", "green", "red", "B08", "depth", "x")
    named = run("info", scene)
    assert "band 4    nir, by description 'B08'" in named.output
    assert "band 5    not known, called 'depth'" in named.output


def test_a_sensor_and_an_index_at_the_commands(scene: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.geojson"
    with rasterio.open(scene) as source:
        x, y = source.transform @ (120, 130)
    prompts.write_text(json.dumps({
        "type": "FeatureCollection",
        "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32631"}},
        "features": [{"type": "Feature", "properties": {"positive": 1},
                      "geometry": {"type": "Point", "coordinates": [x, y]}}],
    }))  # fmt: skip
    out, project = tmp_path / "out.geojson", tmp_path / "p.gpkg"
    done = run("segment", scene, prompts, out, "--bands", "ndwi", "--sensor", "landsat-7",
               "--project", project, "--json")  # fmt: skip
    assert done.exit_code == 0, done.output
    area = json.loads(done.output)["objects"][0]["area_m2"]
    assert area == pytest.approx(np.pi * 120**2, rel=0.1)
    saved = load_project(project)
    assert saved.bands == ("sensor=landsat-7", "ndwi")
    from geoiseg import Session

    again = Session.load(project)
    assert again.raster.bands == ("ndwi",)
    assert again.raster.roles["nir"] == 4


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--bands", "1,2"), 2, "one or three band numbers"),
        (("--bands", ""), 2, "between them"),
        (("--sensor", "sputnik"), 2, "there is no sensor 'sputnik'"),
        (("--bands", "infra=4"), 2, "'infra' is no role"),
        (("--bands", "nir"), 1, "nir is not known in"),
        (("--bands", "ndwi"), 1, "ndwi needs green"),
        (("--bands", "(a+b"), 1, "is no formula"),
        (("--sensor", "sentinel-2-l2a"), 1, "has 6 bands without names"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(words: tuple[str, ...], code: int, says: str, scene: Path) -> None:
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-m", "geoiseg", "info", scene, *words],
                          check=False, capture_output=True, text=True)  # fmt: skip
    assert done.returncode == code
    assert says in done.stderr
    if code == 1:
        assert len(done.stderr.strip().splitlines()) == 1
