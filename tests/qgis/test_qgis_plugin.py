"""The plugin as QGIS gets it: a zip of plain files that imports nothing but QGIS."""

from __future__ import annotations

import ast
import configparser
import io
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from geoiseg import __version__
from geoiseg.companion import PROTOCOL
from geoiseg.companion.own_wheel import NAME as WHEEL
from geoiseg.companion.own_wheel import own_wheel
from geoiseg.companion.plugin_rules import LARGEST, problems_of
from geoiseg.companion.plugin_zip import NAME, PLUGIN, WHEELS, main, plugin_files, write_zip

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


def unscoped(source: str) -> list[str]:
    """Return values of enums that lack the enum's name, which Qt 6 does not know."""
    tree = ast.parse(source)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    scopes = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return [
        f"line {node.lineno}: {node.value.id}.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        and re.match(r"Q[a-z]*[A-Z]?|Qt$", node.value.id) and node.attr[:1].isupper()
        and id(node) not in called | scopes
    ]  # fmt: skip


OLD_QT = re.compile(r"PyQt[56]|\bexec_\(|QVariant\.|QRegExp\b|\bQt\.MidButton|\.toTime_t\(")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PLUGIN).as_posix())
def test_goes_with_qt_5_and_qt_6(path: Path) -> None:
    source = path.read_text()
    assert unscoped(source) == []
    assert OLD_QT.findall(source.replace("qgis.PyQt", "")) == []


def test_finds_what_qt_6_does_not_know() -> None:
    assert unscoped("a = Qt.LeftButton\nb = Qgis.Info") == [
        "line 1: Qt.LeftButton",
        "line 2: Qgis.Info",
    ]
    assert unscoped("Qt.MouseButton.LeftButton; QgsX.Options(); QWidget.show") == []
    assert unscoped("f(QgsVertexMarker.ICON_X)") == ["line 1: QgsVertexMarker.ICON_X"]
    assert OLD_QT.search("from PyQt5 import x")


def test_the_zip_holds_the_plugin_and_nothing_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(write_zip(tmp_path / "plugin.zip")) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
        assert archive.read(f"{NAME}/{WHEELS}/{WHEEL}") == own_wheel()
        names.remove(f"{NAME}/{WHEELS}/{WHEEL}")
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


PUBLISHER = {
    "email": "maps@publisher.test", "tracker": "https://publisher.test/issues",
    "repository": "https://publisher.test/source",
}  # fmt: skip


def test_the_zip_is_what_the_repository_of_plugins_takes(tmp_path: Path) -> None:
    out = tmp_path / "published.zip"
    given = [f"--{name}={value}" for name, value in PUBLISHER.items()]
    assert main([str(out), *given]) == 0
    assert problems_of(out) == []
    assert out.stat().st_size < LARGEST
    with zipfile.ZipFile(out) as archive:
        metadata = configparser.ConfigParser(interpolation=None)
        metadata.read_string(archive.read(f"{NAME}/metadata.txt").decode())
    assert {name: metadata["general"][name] for name in PUBLISHER} == PUBLISHER
    with pytest.raises(SystemExit):
        main([str(out), given[0]])


def test_what_the_repository_refuses_is_told(tmp_path: Path) -> None:
    unsigned = problems_of(write_zip(tmp_path / "unsigned.zip"))
    assert unsigned == [f"metadata.txt has no {name}" for name in PUBLISHER]
    nobody = {**PUBLISHER, "email": "me@example.org", "tracker": "http://publisher.test"}
    told = problems_of(write_zip(tmp_path / "nobody.zip", publisher=nobody))
    assert [line.partition(" is ")[0] for line in told] == ["email", "tracker"]
    bad = tmp_path / "bad.zip"
    with zipfile.ZipFile(bad, "w") as archive:
        for name in ("a/__init__.py", "a/fast.so", "a/.git/config", "a/w/x-1-py3-linux.whl"):
            content = io.BytesIO()
            zipfile.ZipFile(content, "w").close()
            archive.writestr(name, content.getvalue())
        archive.writestr("a/metadata.txt", "[general]\nname=a\nversion=one\nicon=a.png\n")
    said = "\n".join(problems_of(bad))
    for words in ("fast.so is compiled", "config is hidden", "one platform", "LICENSE is missing",
                  "has no about", "like 1.2.3", "icon a.png is missing"):  # fmt: skip
        assert words in said
    with zipfile.ZipFile(bad, "a") as archive:
        archive.writestr("beside.txt", "")
    assert problems_of(bad) == ["it has one folder with an ASCII name, and nothing beside it"]


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
