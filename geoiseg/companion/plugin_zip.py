"""``python -m geoiseg.companion.plugin_zip OUT``: the QGIS plugin as QGIS installs it.

It brings geoiseg's own wheel, for its button *Set up*. The same files give the same bytes,
wherever and whenever it is made. It needs nothing but the standard library, so that it can be
made before anything is installed.
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

from geoiseg.atomic import written
from geoiseg.companion.own_wheel import NAME as WHEEL
from geoiseg.companion.own_wheel import own_wheel, write_entry

NAME = "geoiseg_qgis"
"""Of the plugin's folder, and so of its package within QGIS."""
PLUGIN = Path(__file__).parents[1] / "qgis"
KINDS = {".py", ".txt", ".svg", ".json", ""}
"""Suffixes of the files that belong to the plugin; LICENSE has none."""
WHEELS = "wheels"
"""Folder of the plugin with what its button installs."""


def plugin_files() -> list[Path]:
    """Return the files of the plugin, in the order in which they are packed."""
    found = (path for path in PLUGIN.rglob("*") if path.is_file())
    kept = (path for path in found if path.suffix in KINDS and "__pycache__" not in path.parts)
    return sorted(kept, key=lambda path: path.relative_to(PLUGIN).as_posix())


def write_zip(out: Path, wheels: Iterable[Path] = ()) -> Path:
    """Write the plugin to a zip and return its path.

    Args:
        out: Where to.
        wheels: Of the libraries, for machines without a network.

    Raises:
        ExportError: It can not be written; what was there before is untouched.
    """
    with written(out) as target, zipfile.ZipFile(target, "w") as archive:
        for path in plugin_files():
            name = f"{NAME}/{path.relative_to(PLUGIN).as_posix()}"
            write_entry(archive, name, path.read_bytes())
        write_entry(archive, f"{NAME}/{WHEELS}/{WHEEL}", own_wheel())
        for path in sorted(wheels, key=lambda path: path.name):
            write_entry(archive, f"{NAME}/{WHEELS}/{path.name}", path.read_bytes())
    return out


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m geoiseg.companion.plugin_zip OUT.zip")
    place = Path(sys.argv[1])
    place.absolute().parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.write(f"{write_zip(place)}\n")
