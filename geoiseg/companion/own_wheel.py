"""The wheel of geoiseg that the plugin brings for its companion, without faces it never shows.

Made with the standard library alone; the same files give the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from pathlib import Path

from geoiseg.version import __version__

PACKAGE = Path(__file__).parents[1]
LEFT_OUT = {"qgis", "training", "web", "widget", "__pycache__"}
"""Rooms that the companion has no use for."""
FIRST, CARD = PACKAGE / "models" / "tiny" / "first", "card.json"
"""Folder of a model of which no wheel brings more than its card."""
LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip can tell, for all files."""
NAME = f"geoiseg-{__version__}-py3-none-any.whl"
WHEEL = "Wheel-Version: 1.0\nGenerator: geoiseg\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
METADATA = f"""Metadata-Version: 2.1
Name: geoiseg
Version: {__version__}
Summary: Interactive segmentation of rasters, for the companion of a desktop GIS.
License: Apache-2.0
Requires-Python: >=3.11
"""


def package_files() -> list[Path]:
    """Return the files of the package that the companion may read, in the order of packing."""
    found = (path for path in PACKAGE.rglob("*") if path.is_file())
    kept = [
        path for path in found
        if LEFT_OUT.isdisjoint(path.relative_to(PACKAGE).parts)
        and (path.parent != FIRST or path.name == CARD)
    ]  # fmt: skip
    return sorted(kept, key=lambda path: path.relative_to(PACKAGE).as_posix())


def own_wheel() -> bytes:
    """Return the wheel, named :data:`NAME`, that pip installs."""
    info = f"geoiseg-{__version__}.dist-info"
    files = {f"geoiseg/{path.relative_to(PACKAGE).as_posix()}": path.read_bytes()
             for path in package_files()}  # fmt: skip
    files[f"{info}/METADATA"] = METADATA.encode()
    files[f"{info}/WHEEL"] = WHEEL.encode()
    lines = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in files.items()]
    record = f"{info}/RECORD"
    files[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            write_entry(archive, name, data)
    return packed.getvalue()


def write_entry(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Add a file to a zip, the same bytes wherever and whenever it is done."""
    entry = zipfile.ZipInfo(name, LONG_AGO)
    entry.create_system = 3  # the permissions that follow are those of Unix
    entry.external_attr = 0o100644 << 16
    archive.writestr(entry, data)  # stored: zlibs differ


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
