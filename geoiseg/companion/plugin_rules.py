"""``python -m geoiseg.companion.plugin_rules ZIP``: what QGIS's repository of plugins would refuse.

The rules are those that plugins.qgis.org checks on upload: one folder with an ASCII name, its
``__init__.py``, ``metadata.txt`` with all that is required and a licence; no compiled code, nothing
hidden, and no more than 25 MB. It needs nothing but the standard library.
"""

from __future__ import annotations

import configparser
import io
import re
import sys
import zipfile
from pathlib import Path, PurePosixPath

LARGEST = 25 << 20
"""Bytes of a zip, at most."""
REQUIRED = (
    "name", "qgisMinimumVersion", "description", "about", "version", "author", "email", "tracker",
    "repository",
)  # fmt: skip
COMPILED = {".so", ".dll", ".pyd", ".exe", ".dylib", ".a", ".lib", ".o", ".obj", ".pyc", ".pyo"}
"""Suffixes of what is no source."""
HIDDEN = ("__MACOSX", "__pycache__", ".git", ".svn", ".DS_Store")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
VERSION = re.compile(r"\d+\.\d+(\.\d+)?([-+.]?[A-Za-z0-9]+)*")
NOBODY = re.compile(r"example\.|your[-_. ]?|localhost|127\.0\.0\.1|@test\b|todo|xxx", re.IGNORECASE)
"""In addresses that are nobody's."""


def problems_of(path: Path) -> list[str]:
    """Return a line for each rule that a plugin's zip breaks; none where it is as it should be."""
    found = []
    size = path.stat().st_size
    if size > LARGEST:
        found.append(f"it has {size / 2**20:.1f} MB, and 25 are allowed")
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        folders = {PurePosixPath(name).parts[0] for name in names}
        if len(folders) != 1 or not NAME.fullmatch(folder := folders.pop()):
            return [*found, "it has one folder with an ASCII name, and nothing beside it"]
        found += _of_files(archive, names)
        missing = [one for one in ("__init__.py", "metadata.txt", "LICENSE")
                   if f"{folder}/{one}" not in names]  # fmt: skip
        found += [f"{one} is missing" for one in missing]
        if "metadata.txt" not in missing:
            text = archive.read(f"{folder}/metadata.txt").decode("utf-8")
            found += _of_metadata(text, folder, names)
    return found


def _of_files(archive: zipfile.ZipFile, names: list[str]) -> list[str]:
    """Return what is wrong with the files, those within wheels too."""
    found = []
    for name in names:
        parts = PurePosixPath(name).parts
        if ".." in parts or any(part in HIDDEN or part.startswith(".") for part in parts):
            found.append(f"{name} is hidden")
        if PurePosixPath(name).suffix.lower() in COMPILED:
            found.append(f"{name} is compiled")
        if name.endswith(".whl"):
            if not name.endswith("-none-any.whl"):
                found.append(f"{name} is for one platform alone")
            with zipfile.ZipFile(io.BytesIO(archive.read(name))) as wheel:
                inside = (PurePosixPath(one) for one in wheel.namelist())
                found += [f"{name}: {one} is compiled" for one in inside
                          if one.suffix.lower() in COMPILED]  # fmt: skip
    return found


def _of_metadata(text: str, folder: str, names: list[str]) -> list[str]:
    metadata = configparser.ConfigParser(interpolation=None)
    try:
        metadata.read_string(text)
        general = metadata["general"]
    except (configparser.Error, KeyError) as error:
        return [f"metadata.txt can not be read: {error}"]
    found = [f"metadata.txt has no {one}" for one in REQUIRED if not general.get(one, "").strip()]
    if not VERSION.fullmatch(general.get("version", "")):
        found.append(f"the version is like 1.2.3, got {general.get('version', '')!r}")
    for one in ("email", "tracker", "repository", "homepage"):
        address = general.get(one, "").strip()
        if address and NOBODY.search(address):
            found.append(f"{one} is an address that is nobody's: {address}")
        elif address and one != "email" and not address.startswith("https://"):
            found.append(f"{one} is an address with https, got {address}")
        elif address and one == "email" and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", address):
            found.append(f"email is an address, got {address}")
    icon = general.get("icon", "").strip()
    if icon and f"{folder}/{icon}" not in names:
        found.append(f"the icon {icon} is missing")
    return found


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m geoiseg.companion.plugin_rules PLUGIN.zip")
    told = problems_of(Path(sys.argv[1]))
    sys.stdout.write("".join(f"{line}\n" for line in told) or "as QGIS's repository wants it\n")
    sys.exit(1 if told else 0)
