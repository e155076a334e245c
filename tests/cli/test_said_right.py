"""What commands say: of a raster, of a failure, with and without a console, as JSON."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.control import GroundControlPoint
from rasterio.vrt import WarpedVRT

import geoiseg
from geoiseg.atomic import why_failed
from geoiseg.errors import ExportError
from geoiseg.files import export_features
from geoiseg.files.vectors import list_layers
from geoiseg.plain_json import json_text
from tests.cli.test_cli import run
from tests.conftest import UTM, Disk, disk_pixels, write_raster


@pytest.fixture
def marks(disk: Disk, tmp_path: Path) -> tuple[Path, Path]:
    """A file of one click, and one of the outline that it is to give."""
    click = gpd.GeoDataFrame({"label": ["disk"]}, geometry=[shapely.Point(disk.centre)], crs=UTM)
    click.to_file(tmp_path / "clicks.gpkg")
    truth = click.set_geometry(click.buffer(80))
    truth.to_file(tmp_path / "truth.gpkg")
    return tmp_path / "clicks.gpkg", tmp_path / "truth.gpkg"


def strict(text: str) -> Any:
    """Return a document that is JSON, as all but Python reads it."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


# -- info ------------------------------------------------------------------------------


@pytest.mark.parametrize("bands", ["1,2,3", "2,1,1", "1", "3,2,1"])
def test_bands_are_told_as_numbers(capsys, disk: Disk, bands: str) -> None:
    code, text, _ = run(capsys, "info", disk.path, "--bands", bands)
    told = {line.split("  ")[0].strip(): line.split("  ")[-1].strip() for line in text.splitlines()}
    assert code == 0
    assert told["bands used"] == ", ".join(bands.split(","))
    assert told["bands"] == "3"
    assert told["rotated"] == "no"


def test_numbers_that_equal_yes_and_no_are_numbers(capsys, tmp_path: Path) -> None:
    one = write_raster(tmp_path / "a.tif", np.full((1, 1, 1), 9, np.uint8),
                       transform=rasterio.Affine(1, 0, 0, 0, -1, 1), crs=None)  # fmt: skip
    _, text, _ = run(capsys, "info", one)
    told = dict(line.split("  ", 1) for line in text.splitlines())
    assert "yes" not in (told[name].strip() for name in told)
    assert told["transform"].strip() == "1, 0, 0, 0, -1, 1"
    assert (told["width"].strip(), told["levels"].strip()) == ("1", "1")


def test_an_alpha_that_warping_adds_is_no_band_of_the_file(tmp_path: Path) -> None:
    pixels, _ = disk_pixels()
    points = [GroundControlPoint(0, 0, 5e5, 4.5e6), GroundControlPoint(0, 200, 500_400, 4.5e6),
              GroundControlPoint(200, 0, 5e5, 4_499_600)]  # fmt: skip
    path = tmp_path / "gcps.tif"
    with rasterio.open(path, "w", driver="GTiff", count=3, height=200, width=200, dtype="uint8",
                       gcps=points, crs=UTM) as target:  # fmt: skip
        target.write(pixels)
    raster = geoiseg.open_raster(path)
    assert raster.count == 3
    assert raster.read(raster.grid.whole)[1].any(), "the alpha is still what says where data is"
    with pytest.raises(geoiseg.GeoisegError, match="bands 1 to 3"):
        geoiseg.open_raster(path, (1, 2, 4))
    write_raster(tmp_path / "plain.tif", pixels)
    with rasterio.open(tmp_path / "plain.tif") as plain, WarpedVRT(plain, add_alpha=True) as warped:
        assert warped.count == 4
        assert geoiseg.open_raster(warped).count == 3
    with rasterio.open(tmp_path / "rgba.tif", "w", driver="GTiff", count=4, height=9, width=9,
                       dtype="uint8", photometric="rgb", alpha="yes") as target:  # fmt: skip
        target.write(np.full((4, 9, 9), 255, np.uint8))
    assert geoiseg.open_raster(tmp_path / "rgba.tif").count == 4, "an alpha of its own is one"


# -- JSON ------------------------------------------------------------------------------


def test_what_is_no_number_is_null() -> None:
    odd = {
        "a": [float("nan"), float("inf"), 1.5, (-float("inf"), {"b": np.float64("nan")})],
        "c": 1,
    }
    assert strict(json_text(odd)) == {"a": [None, None, 1.5, [None, {"b": None}]], "c": 1}
    assert strict(json_text(np.float64(2.5))) == 2.5
    assert json_text({"yes": True, "no": None}) == '{"yes": true, "no": null}'


def test_every_json_is_json(capsys, disk: Disk, marks, tmp_path: Path) -> None:
    """Of a raster and layers without a CRS, whose measures are all NaN."""
    pixels, _ = disk_pixels()
    plain = write_raster(tmp_path / "plain.tif", pixels, crs=None)
    clicks, truth = marks
    frames = {path: gpd.read_file(path).set_crs(None, allow_override=True) for path in marks}
    for path, frame in frames.items():
        path.unlink()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frame.assign(area_m2=np.nan, date="2001-01-01").to_file(path)
    out = tmp_path / "out.gpkg"
    for given in (
        ["info", plain], ["segment", plain, clicks, out, "-m", "grabcut"],
        ["clean", truth, out], ["check", truth, out], ["shoreline", truth, out],
        ["shoreline", truth, out, "--spacing", 50],
        ["map", plain, out, "-m", "superpixel-walk"],
        ["evaluate", plain, "--labels", truth, "-m", "grabcut", "--clicks", 1],
        ["embed", plain, "--yes"], ["cache", "info"], ["models", "list"],
    ):  # fmt: skip
        code, text, err = run(capsys, *given, "--json")
        assert code == 0, (given, err)
        assert strict(text)


# -- failed writes ---------------------------------------------------------------------


SUFFIXES = ("gpkg", "shp", "geojson", "fgb", "parquet", "tif")


def places(folder: Path, suffix: str) -> dict[str, tuple[Path, str]]:
    """Return where nothing can be written, and what is to be said of it."""
    (folder / f"folder.{suffix}").mkdir(exist_ok=True)
    (folder / "file").touch()
    return {
        "a folder that is missing": (folder / "none" / f"x.{suffix}", "does not exist"),
        "a folder in the place": (folder / f"folder.{suffix}", "it is a folder"),
        "a file for a folder": (folder / "file" / f"x.{suffix}", "is not a folder"),
        "a name too long": (folder / f"{'x' * 300}.{suffix}", "File name too long"),
    }


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failed_write_says_the_real_cause(capsys, disk, marks, tmp_path, suffix: str) -> None:
    clicks, truth = marks
    for name, (place, says) in places(tmp_path, suffix).items():
        commands = [["segment", disk.path, clicks, place, "-m", "grabcut"]]
        if suffix != "tif":
            commands += [["clean", truth, place], ["check", truth, place],
                         ["shoreline", truth, place]]  # fmt: skip
        if suffix in ("gpkg", "parquet", "tif"):
            commands.append(["map", disk.path, place, "-m", "superpixel-walk"])
        if suffix == "gpkg":
            out = tmp_path / "o.gpkg"
            commands += [
                ["segment", disk.path, clicks, out, "-m", "grabcut", "--project", place],
                ["qgis-project", place.with_suffix(".qgz"), truth]
                if name != "a folder in the place"
                else ["segment", disk.path, clicks, place],
                ["map", disk.path, out, "-m", "superpixel-walk", "--quicklook", place],
                ["evaluate", disk.path, "--labels", truth, "-m", "grabcut", "--report", place],
            ]
        for command in commands:
            code, _, err = run(capsys, *command)
            assert code == 1, (name, command)
            assert err.splitlines()[-1].startswith("geoiseg: can not write"), (name, command, err)
            assert says in err, (name, command)
            assert "full" not in err.replace(str(tmp_path), "")
            assert "geoiseg-" not in err, "no name of a temporary folder"
            assert not (tmp_path / "o.gpkg").exists(), "said before the work"


def test_a_long_name_that_is_allowed_is_written(capsys, disk: Disk, marks, tmp_path: Path) -> None:
    clicks, _ = marks
    for suffix in (".geojson", ".fgb", ".parquet", ".tif"):
        out = tmp_path / f"{'x' * (250 - len(suffix))}{suffix}"
        code, _, err = run(capsys, "segment", disk.path, clicks, out, "-m", "grabcut")
        assert (code, err) == (0, "")
        assert out.stat().st_size > 0


MOUNTED = pytest.mark.skipif(
    os.geteuid() != 0 or sys.platform != "linux", reason="mounts a small file system"
)


@pytest.fixture
def mounted(tmp_path: Path):
    """Return a function that mounts a file system in memory, or goes without."""
    made: list[Path] = []

    def mount(options: str) -> Path:
        place = tmp_path / f"mount{len(made)}"
        place.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place],
                              capture_output=True, check=False)  # fmt: skip
        if done.returncode:
            pytest.skip("may not mount a tmpfs here")
        made.append(place)
        return place

    yield mount
    for place in made:
        subprocess.run(["umount", place], check=True)


@MOUNTED
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_disk_says_itself_what_is_wrong_with_it(disk, marks, mounted, suffix: str) -> None:
    frame = gpd.read_file(marks[1]).assign(id=1)
    grid = geoiseg.open_raster(disk.path).grid
    locked, full = mounted("size=1m,ro"), mounted("size=64k")
    filler = (full / "filler").open("wb", buffering=0)
    with filler, contextlib.suppress(OSError):
        while filler.write(bytes(4096)):
            pass
    for place, says in ((locked, "Read-only file system"), (full, "No space left on device")):
        with pytest.raises(ExportError, match=says):
            export_features(frame, place / f"x.{suffix}", grid=grid)
        assert {file.name for file in place.iterdir()} <= {"filler"}
    with pytest.raises(geoiseg.GeoisegError, match="Read-only file system"):
        geoiseg.segment_raster(disk.path, locked / "x.gpkg", model="superpixel-walk")
    with pytest.raises(geoiseg.GeoisegError, match="No space left on device"):
        geoiseg.segment_raster(disk.path, full / "x.gpkg", model="superpixel-walk")
    session = geoiseg.Session(disk.path, "grabcut")
    session.add_point(*disk.centre)
    session.accept("disk")
    for place, says in ((locked, "Read-only file system"), (full, "No space left on device")):
        with pytest.raises(ExportError, match=says):
            session.save(place / "p.gpkg")


def test_what_a_library_says_is_told_where_the_disk_is_well(tmp_path: Path) -> None:
    assert why_failed(ValueError("a  cell\nis odd"), tmp_path / "x") == "a cell is odd"
    chained = RuntimeError("GDAL is unhappy")
    chained.__cause__ = PermissionError(13, "Permission denied")
    assert why_failed(chained, tmp_path / "x") == "Permission denied"
    assert why_failed(RuntimeError("gone"), tmp_path / "none" / "x") == "No such file or directory"


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_folder_of_somebody_else_is_told() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        code = (
            "import os, pathlib\nfrom geoiseg.atomic import written\n"
            "os.setgid(65534); os.setuid(65534)\n"
            f"try:\n with written(pathlib.Path({str(folder / 'x.gpkg')!r})) as t: t.touch()\n"
            "except Exception as error: print(error)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert done.stdout == f"can not write {folder / 'x.gpkg'}: Permission denied\n", done.stderr


# -- no console ------------------------------------------------------------------------


ALONE = """
import sys
sys.stdout = sys.stderr = {lost}
try:
    {code}
    open({said!r}, "w").write("ok")
except BaseException as error:
    open({said!r}, "w").write(type(error).__name__ + ": " + str(error))
"""
CODES = {
    "session": "import geoiseg; s = geoiseg.Session(raster); s.add_point(*xy); s.accept('a');"
    " s.export(out)",
    "segment_raster": "import geoiseg; geoiseg.segment_raster(raster, out, model='superpixel-walk')",
    "with prompts": "import geoiseg; geoiseg.segment_raster(raster, out, model='grabcut',"
    " prompts=clicks, workers=2)",
    **{
        f"geoiseg {name}": f"from geoiseg.cli import main; main(['{name}', {given}])"
        for name, given in {
            "segment": "raster, clicks, out",
            "map": "raster, out, '-m', 'superpixel-walk'",
            "evaluate": "raster, '--labels', truth, '-m', 'grabcut', '--clicks', '1'",
            "embed": "raster",
            "clean": "truth, out",
            "info": "raster",
            "demo": "'--out', folder, '--size', '128', '-m', 'grabcut'",
        }.items()
    },
}


@pytest.mark.parametrize("lost", ["None", "closed"])
@pytest.mark.parametrize("name", CODES)
def test_without_a_console_all_is_done(disk, marks, tmp_path, name: str, lost: str) -> None:
    said, out = tmp_path / "said", tmp_path / "out.gpkg"
    values = {"raster": str(disk.path), "clicks": str(marks[0]), "truth": str(marks[1]),
              "out": str(out), "xy": disk.centre, "folder": str(tmp_path / "demo")}  # fmt: skip
    stream = "None" if lost == "None" else "open(__import__('os').devnull, 'w')"
    start = "".join(f"{key} = {value!r}; " for key, value in values.items())
    code = ALONE.format(lost=stream, code=start + CODES[name], said=str(said))
    if lost == "closed":
        code = code.replace("try:", "sys.stdout.close()\ntry:", 1)
    subprocess.run([sys.executable, "-c", code], check=False)
    assert said.read_text() == "ok"
    if "out" in CODES[name].replace("--out", ""):
        assert len(gpd.read_file(out, layer="features")) >= 1


@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_descriptors_end_no_command(disk: Disk, marks, tmp_path: Path, closed: str) -> None:
    out = tmp_path / "out.gpkg"
    program = f"{sys.executable} -m geoiseg"
    given = f"segment {disk.path} {marks[0]} {out} {closed}"
    done = subprocess.run(f"{program} {given}", shell=True, check=False)
    assert done.returncode == 0
    frame = gpd.read_file(out)
    assert len(frame) == 1
    wrong = subprocess.run(f"{program} segment --nonsense {closed}", shell=True, check=False)
    assert wrong.returncode == 2
    fault = subprocess.run(f"{program} info {tmp_path}/none.tif {closed}", shell=True, check=False)
    assert fault.returncode == 1


# -- one layer -------------------------------------------------------------------------


def test_readers_of_what_is_written_are_not_warned(capsys, disk: Disk, marks, tmp_path) -> None:
    clicks, truth = marks
    made = {
        "segment": [disk.path, clicks, "OUT"], "clean": [truth, "OUT"], "check": [truth, "OUT"],
        "shoreline": [truth, "OUT"], "map": [disk.path, "OUT", "-m", "superpixel-walk"],
        "map prompts": [disk.path, "OUT", "--prompts", clicks, "-m", "grabcut", "--label", "a"],
    }  # fmt: skip
    for name, given in made.items():
        out = tmp_path / f"{name.replace(' ', '-')}.gpkg"
        code, _, err = run(
            capsys, name.split()[0], *[out if one == "OUT" else one for one in given]
        )
        assert code == 0, err
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            frame = gpd.read_file(out)
        assert len(frame) >= 1
        assert [layer for layer, _ in list_layers(out)] == ["features"]
    style = (tmp_path / "segment.qml").read_text()
    assert 'attr="label"' in style
    assert 'value="disk"' in style


def test_a_style_goes_inside_where_a_geopackage_has_other_layers(tmp_path: Path) -> None:
    frame = gpd.GeoDataFrame({"label": ["a"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=UTM)
    out = tmp_path / "out.gpkg"
    export_features(frame, out)
    assert [name for name, _ in list_layers(out)] == ["features"]
    assert out.with_suffix(".qml").exists()
    export_features(frame, tmp_path / "becomes.gpkg", becomes=".geojson")
    assert [name for name, _ in list_layers(tmp_path / "becomes.gpkg")] == [
        "features", "layer_styles"
    ]  # fmt: skip
    out.with_suffix(".qml").write_text("<qgis>my own</qgis>")
    export_features(frame, out)
    assert out.with_suffix(".qml").read_text() == "<qgis>my own</qgis>", "somebody's own stays"


# -- first sight -----------------------------------------------------------------------


def shades(low: int, high: int) -> np.ndarray:
    """Return ``(3, y, x)`` uint8 pixels of all values from ``low`` to ``high``."""
    ramp = np.linspace(low, high, 200 * 200).reshape(200, 200)
    return np.stack([ramp, ramp, ramp]).round().astype(np.uint8)


@pytest.mark.parametrize(
    ("low", "high", "as_it_is"),
    [(0, 255, True), (0, 150, True), (30, 200, True), (0, 136, False), (10, 120, False),
     (40, 90, False), (200, 250, False), (0, 30, False)],
)  # fmt: skip
def test_dark_bytes_are_shown_and_bright_ones_left_alone(
    tmp_path: Path, low: int, high: int, as_it_is: bool
) -> None:
    raster = geoiseg.open_raster(write_raster(tmp_path / "a.tif", shades(low, high)))
    assert (raster.stretch == geoiseg.Stretch((0.0,) * 3, (255.0,) * 3)) is as_it_is
    rgb = raster.chip(raster.grid.whole).rgb
    if as_it_is:
        assert np.array_equal(rgb, np.moveaxis(shades(low, high), 0, -1))
    else:
        span = high - low
        assert raster.stretch.low == pytest.approx((low + 0.02 * span,) * 3, abs=1)
        assert raster.stretch.high == pytest.approx((high - 0.02 * span,) * 3, abs=1)
        assert np.percentile(rgb, 97) > 240, "no longer black"
        assert np.percentile(rgb, 3) < 15


def test_a_project_keeps_the_contrast_it_was_made_with(tmp_path: Path) -> None:
    pixels, _ = disk_pixels()
    path = write_raster(tmp_path / "a.tif", (pixels * 0.6).astype(np.uint8))
    old = geoiseg.Stretch((0.0,) * 3, (255.0,) * 3)
    session = geoiseg.Session(geoiseg.open_raster(path, stretch=old), "grabcut")
    session.add_point(500_200, 4_499_820)
    session.accept("disk")
    session.save(tmp_path / "p.gpkg")
    assert geoiseg.open_raster(path).stretch != old
    for raster in (None, path, str(path)):
        assert geoiseg.Session.load(tmp_path / "p.gpkg", raster=raster).raster.stretch == old
    for raster in (path, geoiseg.open_raster(path)):
        shown = geoiseg.SegmentMap(raster, project=tmp_path / "p.gpkg")
        assert shown.session.raster.stretch == old
        shown.close()


def test_a_project_moved_elsewhere_keeps_its_bands(tmp_path: Path) -> None:
    pixels, _ = disk_pixels()
    path = write_raster(tmp_path / "a.tif", np.concatenate([pixels, pixels[:1]]))
    session = geoiseg.Session(geoiseg.open_raster(path, (4, 2, 1)), "grabcut")
    session.save(tmp_path / "p.gpkg")
    moved = path.rename(tmp_path / "b.tif")
    assert geoiseg.Session.load(tmp_path / "p.gpkg", raster=moved).raster.bands == (4, 2, 1)


def test_detail_without_prompts_is_refused(
    disk: Disk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, "map", disk.path, tmp_path / "out.gpkg", "--detail", "seen")
    assert code == 2
    assert "--detail is of objects that --prompts marks" in err
    assert not (tmp_path / "out.gpkg").exists()
