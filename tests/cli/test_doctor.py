"""``geoiseg doctor`` tells the truth about what is there, and how to get what is not."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from geoiseg.cli import doctor, main
from geoiseg.errors import ModelError
from geoiseg.version import __version__


def run(*arguments: str) -> int:
    try:
        main(["doctor", *arguments])
    except SystemExit as done:
        return int(done.code or 0)
    return 0


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    return {one["part"]: one for one in json.loads(capsys.readouterr().out)}


def test_what_is_there_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GEOISEG_HOME", str(tmp_path / "kept"))
    assert run("--json") == 0
    found = told(capsys)
    assert __version__ in found["geoiseg"]["text"]
    assert found["model"]["state"] in ("ok", "slow")
    assert "first click" in found["model"]["text"]
    assert str(tmp_path / "kept") in found["cache"]["text"]
    assert not (tmp_path / "kept").exists()  # it only looks
    for part, module in {"torch": "torch", "app": "voila", "cluster": "distributed"}.items():
        there = importlib.util.find_spec(module) is not None
        assert (found[part]["state"] == "ok") == there


def test_what_is_missing_says_how_to_get_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda _: None)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert run("--json") == 0
    found = told(capsys)
    wanted = {"torch": "geoiseg[sam]", "app": "geoiseg[app]", "cluster": "geoiseg[dask]",
              "map": "pip install ipyleaflet", "qgis": "make qgis-plugin"}  # fmt: skip
    for part, hint in wanted.items():
        assert found[part]["state"] == "none"
        assert hint in found[part]["text"]


def test_a_model_that_does_not_work_is_a_fault(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: str) -> None:
        raise ModelError("its graph is gone")

    monkeypatch.setattr(doctor, "get_model", broken)
    assert run() == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 11
    (wrong,) = [line for line in lines if line.startswith("bad ")]
    assert "its graph is gone" in wrong


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_cache_that_can_not_be_written_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tmp_path.chmod(0o500)
    monkeypatch.setenv("GEOISEG_HOME", str(tmp_path / "kept"))
    assert run("--json") == 0
    assert "GEOISEG_HOME" in told(capsys)["cache"]["text"]


def test_what_is_cited_is_this_version() -> None:
    text = (Path(__file__).parents[2] / "CITATION.cff").read_text()
    assert f"\nversion: {__version__}\n" in text
    assert "\nlicense: Apache-2.0\n" in text
