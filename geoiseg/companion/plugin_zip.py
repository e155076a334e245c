"""``python -m geoiseg.companion.plugin_zip OUT``: the QGIS plugin as QGIS installs it.

Whoever publishes it says their own addresses: ``--email``, ``--tracker`` and ``--repository``. The
zip brings geoiseg's own wheel, for its button *Set up*. The same files give the same bytes,
wherever and whenever it is made. It needs nothing but the standard library, so that it can be
made before anything is installed.
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from geoiseg.atomic import written
from geoiseg.companion.own_wheel import NAME as WHEEL
from geoiseg.companion.own_wheel import own_wheel, write_entry

NAME = "geoiseg_qgis"
"""Of the plugin's folder, and so of its package within QGIS."""
PLUGIN = Path(__file__).parents[1] / "qgis"
KINDS = {".py", ".txt", ".svg", ".json", ""}
"""Suffixes of the files that belong to the plugin; LICENSE has none."""
PUBLISHER = ("email", "tracker", "repository")
"""What metadata say of whoever publishes the plugin."""
WHEELS = "wheels"
"""Folder of the plugin with what its button installs."""


def plugin_files() -> list[Path]:
    """Return the files of the plugin, in the order in which they are packed."""
    found = (path for path in PLUGIN.rglob("*") if path.is_file())
    kept = (path for path in found if path.suffix in KINDS and "__pycache__" not in path.parts)
    return sorted(kept, key=lambda path: path.relative_to(PLUGIN).as_posix())


def write_zip(
    out: Path, wheels: Iterable[Path] = (), publisher: Mapping[str, str] | None = None
) -> Path:
    """Write the plugin to a zip and return its path.

    Args:
        out: Where to.
        wheels: Of the libraries, for machines without a network.
        publisher: ``email``, ``tracker`` and ``repository`` of whoever publishes it; QGIS itself
            asks for none of them.

    Raises:
        ExportError: It can not be written; what was there before is untouched.
    """
    with written(out) as target, zipfile.ZipFile(target, "w") as archive:
        for path in plugin_files():
            name = f"{NAME}/{path.relative_to(PLUGIN).as_posix()}"
            content = path.read_bytes()
            if publisher and path.name == "metadata.txt":
                lines = "".join(f"{key}={value}\n" for key, value in publisher.items())
                content = content.rstrip(b"\n") + b"\n" + lines.encode()
            write_entry(archive, name, content)
        write_entry(archive, f"{NAME}/{WHEELS}/{WHEEL}", own_wheel())
        for path in sorted(wheels, key=lambda path: path.name):
            write_entry(archive, f"{NAME}/{WHEELS}/{path.name}", path.read_bytes())
    return out


def main(given: list[str]) -> int:
    """Write the plugin's zip, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m geoiseg.companion.plugin_zip")
    parser.add_argument("out", type=Path, help="Where to write the zip.")
    for name in PUBLISHER:
        parser.add_argument(f"--{name}", help=f"The publisher's {name}, for QGIS's repository.")
    said = parser.parse_args(given)
    publisher = {name: getattr(said, name) for name in PUBLISHER if getattr(said, name)}
    if publisher and len(publisher) < len(PUBLISHER):
        parser.error("QGIS's repository wants all of --email, --tracker and --repository")
    said.out.absolute().parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.write(f"{write_zip(said.out, publisher=publisher)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
