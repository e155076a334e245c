"""``import geoiseg`` is light and silent, and rooms depend downwards only, without circles."""

from __future__ import annotations

import ast
import functools
import importlib
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "geoiseg"

HEAVY = {
    "torch", "dask", "distributed", "ipyleaflet", "ipywidgets", "anywidget", "numpy", "rasterio",
    "geopandas", "shapely", "cv2", "skimage", "onnxruntime", "transformers",
}  # fmt: skip

LEVELS = [
    {"errors", "home", "atomic", "console", "plain_json", "version", "lazy", "quiet"},
    {"raster"},
    {"prompting"},
    {"models"},
    {"segment"},
    {"outline"},
    {"features"},
    {"files"},
    {"words"},
    {"session"},
    {"tiled"},
    {"demo", "evaluate", "training", "web"},
    {"widget", "cli", "companion", "qgis"},
]
"""The rooms in the order in which data flows: a file imports from its own room or earlier ones."""

FACES = ("raster", "prompting", "models", "segment", "outline", "features", "files", "words",
         "session", "tiled")  # fmt: skip
"""Rooms whose ``__init__`` exports the names that others use."""

EXTRAS = {"ipyleaflet", "ipywidgets", "anywidget", "torch", "dask", "distributed", "fsspec",
          "transformers", "xarray", "rioxarray", "voila", "jupyterlab", "pyarrow", "onnx", "matplotlib"}  # fmt: skip
"""Imported nowhere at the top of a module of the core."""


def test_importing_is_light() -> None:
    code = (
        "import sys; before = set(sys.modules); import geoiseg;"
        f"print(sorted({HEAVY!r} & (set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert not done.stderr


def test_all_public_names_are_there() -> None:
    import geoiseg

    assert set(dir(geoiseg)) == set(geoiseg.__all__)
    for name in geoiseg.__all__:
        assert getattr(geoiseg, name) is not None


def level_of(module: str) -> int:
    room = module.split(".", maxsplit=1)[0]
    for number, names in enumerate(LEVELS):
        if room in names:
            return number
    raise AssertionError(f"geoiseg.{module} has no place in the architecture: add it to LEVELS")


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports_of(path: Path) -> list[tuple[str, bool]]:
    """Return the modules that a file imports, and whether it does so at its top level."""
    tree = tree_of(path)
    top = set(ast.walk(ast.Module([n for n in tree.body if not isinstance(n, (ast.FunctionDef,
              ast.ClassDef, ast.If))], [])))  # fmt: skip
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.module, node in top))
        elif isinstance(node, ast.Import):
            found.extend((alias.name, node in top) for alias in node.names)
    return found


def modules() -> list[tuple[str, Path]]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        if name and name != "__main__":
            found.append((name, path))
    return found


def test_dependencies_run_downwards() -> None:
    wrong = []
    for name, path in modules():
        mine = level_of(name)
        for imported, _ in imports_of(path):
            target = imported.removeprefix("geoiseg").lstrip(".")
            if imported.startswith("geoiseg.") and level_of(target) > mine:
                wrong.append(f"{name} imports {target}")
    assert not wrong


def files_imported(known: dict[str, Path], name: str) -> set[str]:
    """Return the files that a file imports, for types alone and late imports too.

    A name that a room's face exports counts as an import of the file that defines it.
    """
    homes = {
        f"geoiseg.{room}": {
            name: f"{room}.{module}" for module, names in exports_of(room).items() for name in names
        }
        for room in FACES
    }
    found = set()
    package = name if known[name].name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree_of(known[name])):
        if isinstance(node, ast.Import):
            found |= {alias.name.removeprefix("geoiseg.") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = ".".join(
                ["geoiseg", *filter(None, package.split("."))][: -node.level + 1 or None]
            )
            module = f"{start}.{node.module or ''}".rstrip(".") if node.level else node.module or ""
            for alias in node.names:
                inner = f"{module}.{alias.name}".removeprefix("geoiseg.")
                home = homes.get(module, {}).get(alias.name)
                found.add(home or (inner if inner in known else module.removeprefix("geoiseg.")))
    return {target for target in found if target in known}


def exports_of(room: str) -> dict[str, list[str]]:
    """Return the names that a room's face exports, by module, as its call of ``lazy`` says."""
    for node in ast.walk(tree_of(PACKAGE / room / "__init__.py")):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "lazy":
            exports: dict[str, list[str]] = ast.literal_eval(node.args[1])
            return exports
    raise AssertionError(f"the face of {room} exports nothing")


def test_no_two_files_import_each_other_in_a_circle() -> None:
    known = dict(modules())
    graph = {name: files_imported(known, name) for name in known if name not in FACES}
    with pytest.raises(CycleError, match="one"):
        TopologicalSorter({"one": {"two"}, "two": {"one"}}).prepare()
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(" -> ".join(error.args[1])) from None
    assert "raster.grid" in graph["segment.beyond"]  # through the face
    assert "qgis.plugin" in graph["qgis"]  # relative ones too


@pytest.mark.parametrize("room", FACES)
def test_a_room_exports_what_it_says(room: str) -> None:
    face = importlib.import_module(f"geoiseg.{room}")
    exported = {name for names in exports_of(room).values() for name in names}
    assert set(face.__all__) == exported
    for name in exported:
        assert getattr(face, name) is not None
    assert exported <= set(dir(face))
    assert "In:" in face.__doc__
    assert "Out:" in face.__doc__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = face.nothing


def test_the_faces_never_import_each_other() -> None:
    faces = {"widget", "cli", "companion", "qgis"}
    wrong = []
    for name, path in modules():
        face = name.split(".")[0]
        if face not in faces:
            continue
        for imported, _ in imports_of(path):
            other = imported.removeprefix("geoiseg.").split(".")[0]
            if imported.startswith("geoiseg.") and other in faces - {face}:
                wrong.append(f"{name} imports {imported}")
    assert not wrong


def test_optional_packages_are_imported_where_they_are_used() -> None:
    allowed = {"widget", "training", "qgis"}
    wrong = []
    for name, path in modules():
        if name == "cli.app_server":  # runs inside the server of the extra it imports
            continue
        if name.split(".")[0] in allowed or name.startswith(("raster.readers.xarray", "models.")):
            continue
        for imported, top in imports_of(path):
            if top and imported.split(".")[0] in EXTRAS:
                wrong.append(f"{name} imports {imported}")
    assert not wrong
