"""A COG of two gigabytes of which next to nothing is on the disk, and a server that counts."""

from __future__ import annotations

import functools
import http.server
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

TILE, ACROSS, DOWN, LEVELS = 512, 55, 50, 7
CENTRE, RADIUS = (14_000, 12_800), 90
"""Column and row of the disc's middle and its radius, in pixels."""
NEAR = 1_024
"""Pixels around the disc that are written at full resolution; the rest is a hole."""
SHORT, LONG, DOUBLE = 3, 4, 12


@dataclass
class Level:
    """One image of the file."""

    times: int
    width: int
    height: int
    offsets: list[int] = field(default_factory=list)

    @property
    def tiles(self) -> tuple[int, int]:
        return -(-self.height // TILE), -(-self.width // TILE)


def large_cog(path: Path) -> Path:
    """Write the file: its directories first, then its tiles, of which most are holes."""
    levels = [Level(2**k, ACROSS * TILE // 2**k, DOWN * TILE // 2**k) for k in range(LEVELS)]
    place = 1 << 18  # room for the directories
    for level in reversed(levels):  # overviews first, as a COG has them
        for _ in range(level.tiles[0] * level.tiles[1]):
            level.offsets.append(place)
            place += TILE * TILE * 3
    with path.open("wb") as file:
        file.truncate(place)
        file.write(_directories(levels))
        for level in levels:
            for number, offset in enumerate(level.offsets):
                tile = _tile(level, *divmod(number, level.tiles[1]))
                if tile is not None:
                    file.seek(offset)
                    file.write(tile.tobytes())
    return path


def _tile(level: Level, row: int, col: int) -> np.ndarray | None:
    """Return ``(y, x, 3)`` of a tile, or None where it is left a hole."""
    middle = (np.array([col, row]) + 0.5) * TILE * level.times
    if level.times < 16 and np.abs(middle - CENTRE).max() > NEAR + TILE * level.times:
        return None
    y, x = np.mgrid[:TILE, :TILE]
    y, x = (row * TILE + y + 0.5) * level.times, (col * TILE + x + 0.5) * level.times
    away = np.hypot(x - CENTRE[0], y - CENTRE[1])
    image = np.full((TILE, TILE, 3), (60, 110, 50), np.float32)
    image[away < RADIUS] = (40, 60, 150)
    image += np.random.default_rng([row, col, level.times]).normal(0, 5, image.shape)
    return np.clip(image, 1, 250).astype(np.uint8)


def _directories(levels: list[Level]) -> bytes:
    """Return the header and one directory after the other, as TIFF 6.0 has them."""
    out = bytearray(b"II*\0" + struct.pack("<I", 8))
    for index, level in enumerate(levels):
        count = len(level.offsets)
        entries: list[tuple[int, int, tuple[float, ...]]] = [
            (254, LONG, (int(index > 0),)), (256, LONG, (level.width,)),
            (257, LONG, (level.height,)), (258, SHORT, (8, 8, 8)), (259, SHORT, (1,)),
            (262, SHORT, (2,)), (277, SHORT, (3,)), (284, SHORT, (1,)), (322, SHORT, (TILE,)),
            (323, SHORT, (TILE,)), (324, LONG, tuple(level.offsets)),
            (325, LONG, (TILE * TILE * 3,) * count), (339, SHORT, (1, 1, 1)),
        ]  # fmt: skip
        if index == 0:
            entries += [
                (33550, DOUBLE, (0.5, 0.5, 0.0)),
                (33922, DOUBLE, (0.0, 0.0, 0.0, 500_000.0, 5_200_000.0, 0.0)),
                (34735, SHORT, (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633)),
            ]
        out += _directory(entries, len(out), last=index == len(levels) - 1)
    return bytes(out)


def _directory(
    entries: list[tuple[int, int, tuple[float, ...]]], start: int, *, last: bool
) -> bytes:
    letters = {SHORT: "H", LONG: "I", DOUBLE: "d"}
    head, tail = bytearray(struct.pack("<H", len(entries))), bytearray()
    after = start + 2 + 12 * len(entries) + 4
    for tag, kind, values in entries:
        packed = struct.pack(f"<{len(values)}{letters[kind]}", *values)
        if len(packed) <= 4:
            value = packed.ljust(4, b"\0")
        else:
            value = struct.pack("<I", after + len(tail))
            tail += packed + b"\0" * (len(packed) % 2)
        head += struct.pack("<HHI", tag, kind, len(values)) + value
    head += struct.pack("<I", 0 if last else after + len(tail))
    return bytes(head + tail)


class Counted(http.server.SimpleHTTPRequestHandler):
    """Sends parts of files to any page, as object stores do, and counts what it sends."""

    sent = 0

    def log_message(self, *_: object) -> None:
        pass

    def end_headers(self) -> None:
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Allow-Headers", "Range")
        self.send_header("Access-Control-Expose-Headers", "Content-Range, Content-Length")
        super().end_headers()

    def do_OPTIONS(self) -> None:
        self.send_response(204)
        self.end_headers()

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        size = path.stat().st_size
        said = self.headers.get("Range", "")
        first, last = (int(part) for part in said.removeprefix("bytes=").split("-"))
        last = min(last, size - 1)
        with path.open("rb") as file:
            file.seek(first)
            body = file.read(last - first + 1)
        type(self).sent += len(body)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def counting(folder: Path) -> Iterator[tuple[str, type[Counted]]]:
    """Serve a folder's files by their parts; give the address and the handler that counts."""
    kind = type("CountedHere", (Counted,), {"sent": 0})
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(kind, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", kind
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
