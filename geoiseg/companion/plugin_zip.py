"""``python -m geoiseg.companion.plugin_zip OUT``: the QGIS plugin as QGIS installs it.

The same files give the same bytes, wherever and whenever it is made. It needs nothing but
the standard library, so that it can be made before anything is installed.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

from geoiseg.atomic import written

NAME = "geoiseg_qgis"
"""Of the plugin's folder, and so of its package within QGIS."""
PLUGIN = Path(__file__).parents[1] / "qgis"
KINDS = {".py", ".txt", ".svg", ""}
"""Suffixes of the files that belong to the plugin; LICENSE has none."""
LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can tell, for all files."""


def plugin_files() -> list[Path]:
    """Return the files of the plugin, in the order in which they are packed."""
    found = (path for path in PLUGIN.rglob("*") if path.is_file())
    kept = (path for path in found if path.suffix in KINDS and "__pycache__" not in path.parts)
    return sorted(kept, key=lambda path: path.relative_to(PLUGIN).as_posix())


def write_zip(out: Path) -> Path:
    """Write the plugin to a zip and return its path.

    Raises:
        ExportError: It can not be written; what was there before is untouched.
    """
    with written(out) as target, zipfile.ZipFile(target, "w") as archive:
        for path in plugin_files():
            entry = zipfile.ZipInfo(f"{NAME}/{path.relative_to(PLUGIN).as_posix()}", LONG_AGO)
            entry.create_system = 3  # the permissions that follow are those of Unix
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, path.read_bytes())  # stored: zlibs differ
    return out


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m geoiseg.companion.plugin_zip OUT.zip")
    place = Path(sys.argv[1])
    place.absolute().parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.write(f"{write_zip(place)}\n")
