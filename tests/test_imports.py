"""``import geoiseg`` is light and silent, and modules depend downwards only."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "geoiseg"

HEAVY = {
    "torch", "dask", "distributed", "ipyleaflet", "ipywidgets", "anywidget", "numpy", "rasterio",
    "geopandas", "shapely", "cv2", "skimage", "onnxruntime", "transformers",
}  # fmt: skip

LEVELS = [
    {"errors", "connected", "models.protocol"},
    {"grid", "atomic", "history", "home", "vectors"},
    {"prompts", "image", "masks", "vectorize", "coverage", "shoreline"},
    {"outline", "framing", "growing", "readers", "models"},
    {"embeddings"},
    {"segmenter"},
    {"features", "uncertainty", "schema", "quality"},
    {
        "words",
        "tiled.aoi",
        "tiled.automatic",
        "tiled.candidates",
        "tiled.looks",
        "tiled.options",
        "tiled.plan",
    },
    {"label_raster", "styles", "export", "vector_file"},
    {"layers", "qgis_project", "shore_layer"},
    {"session", "prompt_file", "encode"},
    {"batch"},
    {"tiled"},
    {"evaluate", "training", "demo"},
    {"widget", "cli", "companion", "qgis"},
]
"""The architecture: a module imports from its own level or from those above it in this list."""

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
    parts = module.split(".")
    for size in (2, 1):
        name = ".".join(parts[:size])
        for number, names in enumerate(LEVELS):
            if name in names:
                return number
    raise AssertionError(f"geoiseg.{module} has no place in the architecture: add it to LEVELS")


def imports_of(path: Path) -> list[tuple[str, bool]]:
    """Return the modules that a file imports, and whether it does so at its top level."""
    tree = ast.parse(path.read_text())
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
        if name.split(".")[0] in allowed or name.startswith(("readers.xarray", "models.")):
            continue
        for imported, top in imports_of(path):
            if top and imported.split(".")[0] in EXTRAS:
                wrong.append(f"{name} imports {imported}")
    assert not wrong
