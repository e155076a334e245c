"""The plugin as QGIS gets it: a zip of plain files that imports nothing but QGIS."""

from __future__ import annotations

import ast
import configparser
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from geoiseg import __version__
from geoiseg.companion import PROTOCOL
from geoiseg.companion.plugin_zip import NAME, PLUGIN, plugin_files, write_zip

ROOT = Path(__file__).parents[2]
SOURCES = sorted(PLUGIN.rglob("*.py"))


def imported(path: Path) -> list[str]:
    """Return the packages that a file imports by name."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.append(str(node.module).partition(".")[0])
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PLUGIN).as_posix())
def test_imports_qgis_and_the_standard_library_alone(path: Path) -> None:
    assert set(imported(path)) - set(sys.stdlib_module_names) <= {"qgis"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PLUGIN).as_posix())
def test_is_written_for_the_python_of_qgis_322(path: Path) -> None:
    source = path.read_text()
    tree = ast.parse(source, feature_version=(3, 9))
    assert not any(isinstance(node, ast.Match) for node in ast.walk(tree))
    assert "strict=" not in source
    assert "slots=" not in source


def test_the_zip_holds_the_plugin_and_nothing_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(write_zip(tmp_path / "plugin.zip")) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        for name in names:
            assert archive.read(name) == (PLUGIN / name.removeprefix(f"{NAME}/")).read_bytes()
    assert {
        f"{NAME}/{name}" for name in ("__init__.py", "metadata.txt", "LICENSE", "icon.svg")
    } <= (set(names))
    assert all(name.startswith(f"{NAME}/") for name in names)
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    assert len(names) == len(plugin_files()) >= len(SOURCES)


def test_the_same_files_give_the_same_zip(tmp_path: Path) -> None:
    first = write_zip(tmp_path / "first.zip").read_bytes()
    (PLUGIN / "metadata.txt").touch()
    assert write_zip(tmp_path / "second.zip").read_bytes() == first


def test_the_make_target_needs_no_environment(tmp_path: Path) -> None:
    out = tmp_path / "made.zip"
    done = subprocess.run(
        ["make", "qgis-plugin", f"PLUGIN_ZIP={out}", f"PYTHON={sys.executable}"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(io.BytesIO(out.read_bytes())) as archive:
        assert f"{NAME}/plugin.py" in archive.namelist()


def test_the_metadata_is_what_qgis_asks_for() -> None:
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read(PLUGIN / "metadata.txt", encoding="utf-8")
    general = metadata["general"]
    for name in ("name", "description", "about", "author", "license", "icon"):
        assert general[name].strip()
    for name in ("email", "tracker", "repository", "homepage"):  # of whoever publishes it
        assert "example" not in general.get(name, "publisher")
    assert general["version"] == __version__
    assert general["qgisMinimumVersion"] == "3.22"
    assert general["hasProcessingProvider"] == "yes"
    assert (PLUGIN / general["icon"]).exists()
    assert (PLUGIN / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_plugin_and_companion_speak_the_same_way() -> None:
    tree = ast.parse((PLUGIN / "channel.py").read_text())
    said = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert said["PROTOCOL"] == PROTOCOL
