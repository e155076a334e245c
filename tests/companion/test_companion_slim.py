"""The companion's libraries without their tests: smaller, and as good as before."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from geoiseg.companion import slim
from geoiseg.companion.slim import LIBRARIES, main, unused

STILL_WORKS = """
import sys
sys.path.insert(0, sys.argv[1])
import cv2, geopandas, numpy, numpy.testing, pandas, shapely
assert all(m.__file__.startswith(sys.argv[1]) for m in (cv2, geopandas, numpy, pandas, shapely))
frame = geopandas.GeoDataFrame({"n": [1, 2]}, geometry=shapely.points([[0, 0], [3, 4]]))
assert frame.dissolve().geometry.convex_hull.length.iloc[0] == 5
mask = numpy.zeros((9, 9), numpy.uint8)
mask[2:7, 2:7] = 1
assert cv2.distanceTransform(mask, cv2.DIST_L2, 5)[4, 4] == 3
"""


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """The installed libraries, linked into a folder of their own."""
    folder = tmp_path / "site-packages"
    for name in (*LIBRARIES, "cv2"):
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        here = Path(spec.origin).parent
        for source in (here, *here.parent.glob(f"{name}.libs"), *here.parent.glob("opencv*.libs")):
            if not (folder / source.name).exists():
                shutil.copytree(
                    source, folder / source.name, copy_function=_linked, symlinks=True,
                    ignore=shutil.ignore_patterns("__pycache__"),
                )  # fmt: skip
    return folder


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # on another disk
        shutil.copy2(source, target)


def test_tests_and_samples_go_and_all_works_still(
    packages: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path for path in packages.rglob("*") if path.is_file()}
    (packages / "tests").mkdir()  # another package's
    own = packages / "geoiseg" / "tests"
    own.mkdir(parents=True)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(packages))
    monkeypatch.setattr(sys, "base_prefix", "elsewhere")
    assert main() == 0
    gone = before - {path for path in packages.rglob("*") if path.is_file()}
    assert gone
    assert all("tests" in path.parts or path.suffix == ".xml" for path in gone)
    assert any("pandas" in path.parts for path in gone)
    assert {path for path in before if path.name.startswith("haarcascade")} <= gone  # not in 5.0
    assert own.is_dir()
    assert (packages / "tests").is_dir()
    assert unused(packages) == []
    assert " MB of tests and samples removed from " in capsys.readouterr().out
    assert main() == 0, "again, there is nothing to do"
    subprocess.run([sys.executable, "-I", "-c", STILL_WORKS, str(packages)], check=True)


def test_what_is_linked_from_elsewhere_stays(tmp_path: Path) -> None:
    checkout, packages = tmp_path / "checkout", tmp_path / "site-packages"
    (checkout / "tests").mkdir(parents=True)
    (checkout / "tests" / "mine.py").write_text("keep")
    samples = tmp_path / "samples"
    samples.mkdir()
    (samples / "mine.xml").write_text("keep")
    (packages / "pandas").mkdir(parents=True)
    (packages / "cv2").mkdir()
    (packages / "numpy").symlink_to(checkout)
    (packages / "cv2" / "data").symlink_to(samples)
    (packages / "pandas" / "tests").symlink_to(checkout / "tests")
    assert slim.slim(packages) < 1000
    assert (checkout / "tests" / "mine.py").read_text() == "keep"
    assert (samples / "mine.xml").read_text() == "keep"
    assert not (packages / "pandas" / "tests").exists()


def test_only_an_environment_of_its_own_is_slimmed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(slim, "slim", lambda packages: pytest.fail(f"{packages} touched"))
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    assert main() == 1
    assert "is no virtual environment" in capsys.readouterr().err


def test_what_cannot_be_removed_is_said_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    held = tmp_path / "numpy" / "tests"
    held.mkdir(parents=True)

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(shutil, "rmtree", refuse)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(sys, "base_prefix", "elsewhere")
    assert main() == 1
    assert capsys.readouterr().err == f"cannot remove {str(held)!r}: Permission denied\n"
