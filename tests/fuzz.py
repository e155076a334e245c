"""Damaged files for the commands: whatever is in them, they end, with 0 or 1, and no traceback.

    python -m tests.fuzz --count 2000          # of each kind; --kind tiff for one

The damage of a number is always the same. Commands run in one process that is watched from
another: one that dies or does not end is told as well.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from rasterio.control import GroundControlPoint
from rasterio.enums import Resampling

HEAD = 1 << 12
"""Bytes at the start of a file, where its header is."""
LONGEST = 60.0
"""Seconds that a file may take."""
MEMORY = 8 << 30
"""Bytes of address space of the process that looks at the files."""
KINDS = ("tiff", "gpkg", "geojson", "project")
ODD: tuple[Any, ...] = (
    None, "", "x" * 5000, -1, 0, 2**63 - 1, 1e308, float("inf"), float("nan"), [], {}, [[]],
    "nan", "{", '{"kind": "point"}', "\x00", "EPSG:0", True,
)  # fmt: skip
"""Values that nobody expects."""


# -- files to damage -------------------------------------------------------------------


def make(folder: Path) -> None:
    """Make files of every kind, sound ones."""
    folder.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:96, :96]
    disk = np.where(np.hypot(x - 48, y - 48) < 24, 180, 60)
    pixels = np.stack([disk, disk + 20, disk - 20]).astype(np.uint8)
    place = {"crs": "EPSG:32631", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)}
    points = [GroundControlPoint(r, c, 5e5 + 10 * c, 5e6 - 10 * r)
              for r, c in ((0, 0), (0, 96), (96, 0), (96, 96))]  # fmt: skip
    forms: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
        "plain": (pixels, place),
        "tiled": (pixels.astype(np.uint16) * 20, {**place, "tiled": True, "blockxsize": 32,
                  "blockysize": 32, "compress": "lzw", "nodata": 0}),
        "deflate": (pixels[:1].astype(np.float32), {**place, "compress": "deflate",
                    "predictor": 3, "nodata": float("nan")}),
        "big": (pixels, {**place, "bigtiff": "yes", "interleave": "band"}),
        "jpeg": (pixels, {**place, "compress": "jpeg", "photometric": "ycbcr"}),
        "gcps": (pixels, {"gcps": points, "crs": "EPSG:32631"}),
        "palette": (pixels[:1] // 64, {**place, "photometric": "palette"}),
        "degrees": (pixels, {"crs": "EPSG:4326",
                             "transform": rasterio.Affine(1e-4, 0, 3, 0, -1e-4, 45.15)}),
        "signed": (pixels[:1].astype(np.int16) - 90, {**place, "compress": "zstd"}),
    }  # fmt: skip
    for name, (data, how) in forms.items():
        about = {"driver": "GTiff", "count": len(data), "height": 96, "width": 96,
                 "dtype": data.dtype, **how}  # fmt: skip
        with rasterio.open(folder / f"{name}.tif", "w", **about) as target:
            target.write(data)
            if name == "palette":
                target.write_colormap(1, {n: (60 * n, 50, 200 - 60 * n, 255) for n in range(4)})
            if name in ("tiled", "jpeg"):
                target.build_overviews([2], Resampling.average)
    _make_layers(folder)


def _make_layers(folder: Path) -> None:
    import geoiseg

    middle = (500_480.0, 4_999_520.0)
    shapes = [shapely.Point(middle), shapely.box(500_200, 4_999_200, 500_800, 4_999_800),
              shapely.LineString([middle, (500_500, 4_999_500)]),
              shapely.box(500_700, 4_999_200, 500_900, 4_999_400)]  # fmt: skip
    frame = gpd.GeoDataFrame(
        {"object": ["a", "b", "b", "c"], "label": ["x", "y", "y", None], "positive": [1, 1, 1, 1],
         "kind": [None, "box", None, "region"], "gsd": [10.0, None, None, 20.0],
         "date": ["2001-01-01", "2002-02-02", "2002-02-02", None]},
        geometry=shapes, crs="EPSG:32631",
    )  # fmt: skip
    frame.to_file(folder / "layer.gpkg", layer="features")
    frame.to_file(folder / "layer.geojson")
    fields = [
        shapely.box(500_200 + 90 * n, 4_999_200, 500_300 + 90 * n, 4_999_500) for n in range(6)
    ]
    plots = gpd.GeoDataFrame(
        {"label": list("aabbcc"), "score": np.linspace(0, 1, 6), "id": range(6),
         "date": ["2001-01-01", "2002-02-02"] * 3, "area_m2": 30_000.0},
        geometry=fields, crs="EPSG:32631",
    )  # fmt: skip
    plots.to_file(folder / "plots.gpkg", layer="features")
    plots.to_file(folder / "plots.geojson")
    session = geoiseg.Session(folder / "plain.tif", "region-growing")
    session.add_point(*middle)
    session.accept("field", crop="rye", trees=3)
    session.add_box(500_200, 4_999_200, 500_800, 4_999_800)
    session.save(folder / "project.gpkg")


# -- damage ----------------------------------------------------------------------------


def damaged(kind: str, number: int, sound: Path, target: Path) -> str:
    """Write a damaged file of a kind, and return what was done to it."""
    rng = np.random.default_rng([KINDS.index(kind), number])
    if kind == "tiff":
        sources = sorted(sound.glob("*.tif"))
    else:
        names = ("project",) if kind == "project" else ("layer", "plots")
        sources = [sound / f"{name}.{'geojson' if kind == 'geojson' else 'gpkg'}" for name in names]
    source = sources[number % len(sources)]
    ways: list[Callable[[bytes, np.random.Generator], bytes]] = [flipped, holed, cut]
    way = ways[int(rng.integers(len(ways)))]
    if kind != "tiff" and rng.random() < 0.6:
        if kind == "geojson":
            target.write_text(json.dumps(_odd_json(json.loads(source.read_text()), rng)))
            return f"{source.name}, odd value"
        shutil.copyfile(source, target)
        return f"{source.name}, {_odd_cell(target, rng)}"
    target.write_bytes(way(source.read_bytes(), rng))
    return f"{source.name}, {way.__name__}"


def flipped(data: bytes, rng: np.random.Generator) -> bytes:
    """Return data with 1 to 64 bits of its head the other way."""
    found = bytearray(data)
    for _ in range(int(2 ** rng.uniform(0, 6))):
        place = int(rng.integers(min(len(found), HEAD)))
        found[place] ^= 1 << int(rng.integers(8))
    return bytes(found)


def holed(data: bytes, rng: np.random.Generator) -> bytes:
    """Return data with a piece of up to a quarter that is zero, or noise."""
    found = bytearray(data)
    size = int(rng.integers(1, max(2, len(found) // 4)))
    start = int(rng.integers(len(found)))
    piece = bytes(size) if rng.random() < 0.5 else rng.bytes(size)
    found[start : start + size] = piece[: len(found) - start]
    return bytes(found)


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    """Return a beginning of data."""
    return data[: int(rng.integers(len(data)))]


def _odd_json(document: Any, rng: np.random.Generator) -> Any:
    """Change one place of a document to something odd, or drop it."""
    holders: list[tuple[Any, Any]] = []

    def look(part: Any) -> None:
        keys = part.keys() if isinstance(part, dict) else range(len(part))
        for key in list(keys):
            holders.append((part, key))
            if isinstance(part[key], (dict, list)):
                look(part[key])

    look(document)
    for _ in range(int(rng.integers(1, 4))):
        holder, key = holders[int(rng.integers(len(holders)))]
        with contextlib.suppress(LookupError):
            holder[key] = ODD[int(rng.integers(len(ODD)))]
    return document


def _odd_cell(path: Path, rng: np.random.Generator) -> str:
    """Change cells of a GeoPackage to something odd, and return where."""
    told = []
    with contextlib.closing(sqlite3.connect(path)) as base, base:
        base.execute("PRAGMA foreign_keys = OFF")
        tables = [row[0] for row in base.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE '%VIRTUAL%'"
            " AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'rtree_%' ORDER BY name")]  # fmt: skip
        for (name,) in base.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            base.execute(f'DROP TRIGGER "{name}"')
        for _ in range(int(rng.integers(1, 4))):
            table = tables[int(rng.integers(len(tables)))]
            columns = [row[1] for row in base.execute(f'PRAGMA table_info("{table}")')]
            column = columns[int(rng.integers(len(columns)))]
            value = ODD[int(rng.integers(len(ODD)))]
            if rng.random() < 0.2:
                value = rng.bytes(int(rng.integers(64)))
            value = json.dumps(value) if isinstance(value, (list, dict)) else value
            rows = [row[0] for row in base.execute(f'SELECT rowid FROM "{table}"')]
            if not rows:
                continue
            row = rows[int(rng.integers(len(rows)))]
            with contextlib.suppress(sqlite3.Error):
                base.execute(f'UPDATE "{table}" SET "{column}" = ? WHERE rowid = ?', (value, row))
            told.append(f"{table}.{column} = {value!r:.30}")
    return "; ".join(told)


# -- what is made of it ----------------------------------------------------------------


def tried(kind: str, bad: Path, sound: Path, out: Path) -> Iterator[tuple[str, str]]:
    """Yield each thing that is done with a damaged file, and how it ended."""
    raster, clicks = sound / "plain.tif", sound / "layer.gpkg"
    model = ["-m", "region-growing"]
    commands = {
        "tiff": [["info", bad, "--json"], ["segment", bad, clicks, out / "o.gpkg", *model]],
        "gpkg": [["segment", raster, bad, out / "o.gpkg", *model], ["clean", bad, out / "c.gpkg"],
                 ["check", bad, out / "k.gpkg"], ["shoreline", bad, out / "s.gpkg"]],
        "project": [["segment", raster, bad, out / "o.gpkg", *model],
                    ["qgis-project", out / "p.qgz", bad]],
    }  # fmt: skip
    for command in commands.get(kind, commands["gpkg"]):
        yield str(command[0]), _commanded(command)
    if kind in ("gpkg", "geojson"):
        yield "upload", _called(lambda: _upload(bad))
    if kind == "project":
        yield "load", _called(lambda: _loaded(bad, raster))


def _commanded(command: list[Any]) -> str:
    from geoiseg.cli import main

    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            main([str(part) for part in command])
            code: Any = 0
        except SystemExit as done:
            code = done.code
        except BaseException as error:  # noqa: BLE001 - it is what is looked for
            return _told(error)
    if code not in (0, 1) or "Traceback" in said.getvalue():
        return f"BAD exit {code}: {said.getvalue()[-300:]}"
    return f"exit {code}"


def _called(act: Callable[[], Any]) -> str:
    from geoiseg import GeoisegError

    try:
        act()
    except GeoisegError:
        return "refused"
    except BaseException as error:  # noqa: BLE001 - it is what is looked for
        return _told(error)
    return "taken"


def _upload(bad: Path) -> None:
    from geoiseg.widget.channel.uploads import read_layer

    read_layer(bad.name, bad.read_bytes())


def _loaded(bad: Path, raster: Path) -> None:
    import geoiseg

    session = geoiseg.Session.load(bad, raster=raster)
    _ = session.features


def _told(error: BaseException) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "/geoiseg/" in f.filename]
    where = "; ".join(f"{Path(f.filename).name}:{f.lineno}" for f in frames[-3:])
    said = " ".join(str(error).split())[:160]
    return f"BAD {type(error).__name__}: {said} at {where}"


def worker(kind: str, first: int, last: int, sound: Path) -> None:
    """Try the files of some numbers, a line of JSON for each step."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    tell = sys.stdout
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        suffix = {"tiff": ".tif", "geojson": ".geojson"}.get(kind, ".gpkg")
        for number in range(first, last):
            bad = Path(folder) / f"bad{suffix}"
            for old in Path(folder).iterdir():
                old.unlink()
            how = damaged(kind, number, sound, bad)
            print(json.dumps([number, how, None, None]), file=tell, flush=True)
            for what, end in tried(kind, bad, sound, Path(folder)):
                print(json.dumps([number, how, what, end]), file=tell, flush=True)


def run(kind: str, count: int, sound: Path, first: int = 0) -> list[tuple[int, str, str, str]]:
    """Return number, damage, what was done and how it ended, of all files of a kind."""
    found: list[tuple[int, str, str, str]] = []
    last = first + count
    while first < last:
        command = [sys.executable, "-m", "tests.fuzz", "--worker", kind, str(first), str(last),
                   "--sound", str(sound)]  # fmt: skip
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        now: tuple[int, str] = (first, "")
        watch = threading.Timer(LONGEST, child.kill)
        watch.start()
        assert child.stdout is not None
        for line in child.stdout:
            number, how, what, end = json.loads(line)
            if what is None:
                watch.cancel()
                watch = threading.Timer(LONGEST, child.kill)
                watch.start()
                now = (number, how)
            else:
                found.append((number, how, what, end))
        watch.cancel()
        if child.wait() == 0:
            break
        found.append((*now, "all", f"BAD died or did not end: {child.returncode}"))
        first = now[0] + 1
    return found


def main() -> int:
    """Run from the command line; 1 where anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--sound", type=Path)
    parser.add_argument("--worker", nargs=3)
    given = parser.parse_args()
    if given.worker:
        kind, first, last = given.worker
        worker(kind, int(first), int(last), given.sound)
        return 0
    bad = 0
    with tempfile.TemporaryDirectory(prefix="fuzz-sound-") as folder:
        make(Path(folder))
        for kind in given.kind or KINDS:
            found = run(kind, given.count, Path(folder), given.first)
            ends = Counter((what, end.split(":")[0]) for _, _, what, end in found)
            print(f"{kind}: {given.count} files")
            for (what, end), number in sorted(ends.items()):
                print(f"  {what:12} {end:40} {number}")
            causes = Counter((what, end) for _, _, what, end in found if end.startswith("BAD"))
            first = {(what, end): (n, how) for n, how, what, end in reversed(found)}
            for (what, end), number in causes.most_common(40):
                print(f"  {number} x {what}: {end} (first: {first[what, end]})")
            bad += sum(causes.values())
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
