"""Vector files inside archives: ``a.zip``, ``a.tar.gz/fields.shp``, ``/vsizip/a.zip/x.gpkg``."""

from __future__ import annotations

import re
from pathlib import Path

from geoiseg.errors import VectorError

HANDLERS = {".zip": "/vsizip/", ".kmz": "/vsizip/", ".tar": "/vsitar/", ".tgz": "/vsitar/",
            ".tar.gz": "/vsitar/", ".gz": "/vsigzip/"}  # fmt: skip
"""What GDAL opens an archive with, by its suffix."""
_URI = re.compile(r"(?:zip|tar|gzip)(?:\+file)?:/+(?P<archive>[^!]+)(?:!/?(?P<inside>.*))?")
_LOCAL = re.compile(r"(?P<handler>(?:/vsi(?:zip|tar|gzip|7z|rar)/?)+)(?P<place>[^/].*)")
INSIDE = (".gpkg", ".shp", ".geojson", ".json", ".fgb", ".gml", ".kml", ".sqlite", ".gdb", ".tab",
          ".mif", ".dxf", ".csv")  # fmt: skip
"""What is looked for in an archive, the likeliest first."""


def _plain(path: Path) -> Path:
    """Return the path that a URI such as ``zip://a.zip!fields.shp`` names."""
    found = _URI.fullmatch(path.as_posix())
    if found is None:
        return path
    archive = next(
        (one for one in map(Path, (found["archive"], f"/{found['archive']}")) if one.is_file()),
        Path(found["archive"]),
    )
    return archive / found["inside"] if found["inside"] else archive


def there(path: Path) -> bool:
    """Return whether a vector file is there, or the archive that it lies in.

    What lies elsewhere (``/vsicurl/``) is only known once it is opened.
    """
    return path.exists() or _archive(path) is not None or _is_virtual(path)


def in_archive(path: Path) -> bool:
    """Return whether a path is an archive, or of a file in one."""
    return _archive(path) is not None or _is_virtual(path)


def source_of(path: Path) -> str:
    """Return what GDAL opens for a path: the file, or the one inside an archive.

    Raises:
        VectorError: An archive holds no vector file, or several: they are named.
    """
    path = _plain(path)
    text = _whole_name(path.as_posix())
    if _is_virtual(path) and not text.endswith(tuple(HANDLERS)):
        return text
    archive = path if _is_virtual(path) else _archive(path)
    if archive is None:
        return str(path)
    handler = "" if _is_virtual(path) else _handler(archive)
    root = f"{handler}{archive.as_posix()}" if handler else text
    if path != archive:
        return f"{handler}{text}"
    return root if handler == "/vsigzip/" else _only_one(root, path)


def _whole_name(text: str) -> str:
    """Return a name with the second slash of ``/vsizip//data/a.zip`` that a Path drops."""
    found = _LOCAL.fullmatch(text)
    if found is None:
        return text
    place = Path(found["place"])
    if any(one.is_file() for one in (place, *place.parents)):
        return text
    whole = Path(f"/{found['place']}")
    there = any(one.is_file() for one in (whole, *whole.parents))
    return f"{found['handler']}{whole.as_posix()}" if there else text


def _is_virtual(path: Path) -> bool:
    return path.as_posix().startswith("/vsi")


def _handler(archive: Path) -> str:
    name = archive.name.lower()
    return next(HANDLERS[s] for s in sorted(HANDLERS, key=len, reverse=True) if name.endswith(s))


def _archive(path: Path) -> Path | None:
    """Return the archive that a path is, or lies in; None of a plain file."""
    if path.suffix.lower() == ".gpkg" and path.is_file():
        return None
    path = _plain(path)
    for place in (path, *path.parents):
        if place.name.lower().endswith(tuple(HANDLERS)) and place.is_file():
            return place
    return None


def _only_one(root: str, path: Path) -> str:
    from pyogrio import vsi_listtree

    inside = [name.removeprefix(f"{root}/") for name in vsi_listtree(root)]
    known = [n for n in inside if n.lower().rstrip("/").endswith(INSIDE) and "__MACOSX" not in n]
    folders = tuple(f"{name.rstrip('/')}/" for name in known)
    chosen = [n for n in known if not any(n != one and n.startswith(one) for one in folders)]
    if len(chosen) == 1:
        return f"{root}/{chosen[0].rstrip('/')}"
    if not chosen:
        raise VectorError(f"{path.name} holds no vector file")
    raise VectorError(
        f"{path.name} holds several vector files; name one: "
        + ", ".join(f"{path}/{name}" for name in sorted(chosen)[:4])
    )
