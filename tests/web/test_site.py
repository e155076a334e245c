"""``geoiseg web`` writes a folder, whole, and nothing else's."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from geoiseg.cli import main
from geoiseg.errors import WeightsError
from geoiseg.models import get_model
from geoiseg.models.tiny.model import TinyModel
from geoiseg.web import site
from tests.conftest import write_raster


def run(*arguments: object) -> int:
    try:
        main([str(one) for one in arguments])
    except SystemExit as done:
        return int(done.code or 0)
    return 0


def test_the_folder_has_all_that_the_page_asks_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raster = write_raster(tmp_path / "scene.tif", np.ones((3, 40, 50), np.uint8))
    out = tmp_path / "deep" / "site"
    assert run("web", out, raster) == 0
    told = capsys.readouterr().out
    assert "python -m http.server" in told
    assert "open http://localhost:8000" in told
    listed = json.loads((out / "files.json").read_text())
    there = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert there == {*listed["names"], "files.json", "scene.tif"}
    assert json.loads((out / "site.json").read_text()) == {"raster": "scene.tif"}
    assert (out / "scene.tif").read_bytes() == raster.read_bytes()
    model = get_model("tiny")
    assert isinstance(model, TinyModel)
    for name in ("encoder.onnx", "decoder.onnx"):
        digest = hashlib.sha256((out / "model" / name).read_bytes()).hexdigest()
        assert digest == model.card["sha256"][name]
    licences = (out / "vendor" / "LICENCES.txt").read_text()
    for library in ("onnxruntime-web", "geotiff", "leaflet", "proj4", "flatgeobuf", "opencv-js"):
        assert library in licences
    text = "".join(path.read_text() for path in out.rglob("*.js") if "vendor" not in path.parts)
    text += (out / "index.html").read_text()
    assert "http://" not in text  # and so nothing is asked of anybody else
    assert "https://" not in text


def test_a_site_is_written_anew_and_nothing_else_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, own = tmp_path / "site", tmp_path / "own"
    assert run("web", out) == 0
    (out / "app.js").unlink()
    assert run("web", out) == 0
    assert (out / "app.js").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["site"]
    own.mkdir()
    (own / "thesis.txt").write_text("three years")
    capsys.readouterr()
    assert run("web", own) == 1
    assert "holds other files" in capsys.readouterr().err
    assert [path.name for path in own.iterdir()] == ["thesis.txt"]
    assert run("web", own / "thesis.txt") == 1
    assert (own / "thesis.txt").read_text() == "three years"


def test_what_can_not_be_shown_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = write_raster(tmp_path / "scene.png", np.ones((3, 9, 9), np.uint8), driver="PNG")
    assert run("web", tmp_path / "site", picture) == 1
    assert "gdal_translate -of COG scene.png scene.tif" in capsys.readouterr().err
    assert run("web", tmp_path / "site", tmp_path / "none.tif") == 2
    assert run("web", tmp_path / "site", "-m", "superpixel-walk") == 1
    assert "superpixel-walk" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()


def test_a_damaged_archive_is_not_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = site.VENDOR.read_bytes()
    damaged = tmp_path / "vendor.tar.xz"
    damaged.write_bytes(whole[: len(whole) // 2])
    monkeypatch.setattr(site, "VENDOR", damaged)
    with pytest.raises(WeightsError, match="reinstall geoiseg"):
        site.write_site(tmp_path / "site")
    assert not (tmp_path / "site").exists()
