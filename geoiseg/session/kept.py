"""The object in progress as a project file keeps it, so that opening it does not look again.

Only of one that took many chips: any other is soon done again from its steps. It is taken for
what it is where nothing that it came of has changed since; else the steps are replayed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import math
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoiseg.errors import GeoisegError
from geoiseg.models import ModelInfo
from geoiseg.prompting import Frame
from geoiseg.raster import BoolArray, Grid, Raster, Window
from geoiseg.segment import FineMask, Mask, Outcome, Step
from geoiseg.segment.canvas import Canvas
from geoiseg.segment.coarse import Coarse
from geoiseg.segment.sharpening import Unfinished
from geoiseg.segment.tiles import TILE, Tiles
from geoiseg.session.merging import steps_text

log = logging.getLogger(__name__)

FORMAT = 1
"""Version of what is kept; another one is not looked at."""
MOST = 32 << 20
"""Characters that it may take up in the file; what would need more is replayed."""
LARGEST = 1 << 28
"""Bytes of an array that is believed."""
Told = dict[str, Any]


def key_of(raster: Raster, model: ModelInfo, steps: tuple[Step, ...]) -> str:
    """Return what names all that an object comes of; none where it can not be named."""
    if not (steps and raster.lasting and raster.stretch_known and model.weights_hash):
        return ""
    stretch = raster.stretch
    asked = [step.spectral for step in steps]
    parts = [FORMAT, raster.source_id, [float(n) for n in (*stretch.low, *stretch.high)],
             model.name, model.weights_hash, steps_text(steps), asked]  # fmt: skip
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:40]


def kept_of(outcome: Outcome | None, key: str) -> Told | None:
    """Return an object as JSON takes it; None where it is soon done again, or takes too much."""
    if not key or outcome is None or outcome.grown is None or outcome.drawn is not None:
        return None
    try:
        told = _told(outcome, outcome.grown, key)
    except ValueError:  # larger than what is believed
        return None
    return told if _length(told) <= MOST else None


def _told(outcome: Outcome, canvas: Canvas, key: str) -> Told:
    fine, left = outcome.fine, outcome.unfinished
    return {
        "key": key,
        "frame": _frame(outcome.frame),
        "score": float(outcome.mask.score),
        "changes": [float(one) for one in outcome.changes],
        "logits": None if outcome.logits is canvas.logits else _array(outcome.logits),
        "grown": _known(canvas),
        "fine": None if fine is None else [fine.level, _known(fine.array)],
        "left": None if left is None else {
            "coarse": [list(left.coarse.shape), _known(left.coarse.known)],
            "frame": _frame(left.frame),
            "canvas": _known(left.canvas),
            "done": sorted(map(list, left.done)),
            "kept": [_window(one) for one in left.kept],
        },
    }  # fmt: skip


def outcome_of(told: Mapping[str, Any] | None, key: str, grid: Grid) -> Outcome | None:
    """Return the object that is kept; None where it is another one, or damaged.

    Args:
        told: What ``kept_of`` gave.
        key: Of what it has to come of.
        grid: The raster's full-resolution grid.
    """
    if told is None or not key or told.get("key") != key:
        return None
    try:
        return _outcome(told, grid)
    except (
        GeoisegError,
        LookupError,
        TypeError,
        ValueError,
        ArithmeticError,
        AttributeError,
        zlib.error,
    ) as error:
        log.info("the object that is kept is damaged, and is replayed: %s", error)
        return None


def _outcome(told: Mapping[str, Any], grid: Grid) -> Outcome:
    frame, canvas = _as_frame(told["frame"]), _as_canvas(told["grown"])
    mask = Mask(canvas.mask, frame.grid(grid), told["score"])
    logits = canvas.logits if told["logits"] is None else _as_array(told["logits"])
    if logits is None or logits.dtype != np.float16:
        raise ValueError("logits are numbers")
    fine = None
    if told["fine"] is not None:
        level, tiles = told["fine"][0], _as_tiles(told["fine"][1])
        fine = FineMask(tiles, Frame(level, tiles.window).grid(grid), level)
    left = told["left"]
    unfinished = None if left is None else Unfinished(
        Coarse(_as_known(left["coarse"][1]), tuple(left["coarse"][0])),
        _as_frame(left["frame"]),
        _as_known(left["canvas"]),
        frozenset((int(row), int(col)) for row, col in left["done"]),
        tuple(Window(*one) for one in left["kept"]),
    )  # fmt: skip
    return Outcome(mask, logits, frame, {}, tuple(told["changes"]), canvas, fine=fine,
                   unfinished=unfinished)  # fmt: skip


# -- an object on a level --------------------------------------------------------------


def _known(known: Canvas | Tiles) -> Told:
    counts = {"chips": known.chips, "lost": known.lost, "full": known.full}
    told = {"window": _window(known.window), **counts}
    if isinstance(known, Canvas):
        logits = None if known.logits is None else _array(known.logits)
        return {**told, "mask": _array(known.mask), "known": _array(known.known), "logits": logits}
    cells = sorted(known.packed)
    bits = (known.packed[cell] for cell in cells)
    return {**told, "whole": _cells(known.whole), "cells": _cells(cells), "bits": _packed(bits)}


def _as_known(told: Mapping[str, Any]) -> Canvas | Tiles:
    return _as_tiles(told) if "cells" in told else _as_canvas(told)


def _as_canvas(told: Mapping[str, Any]) -> Canvas:
    window, logits = Window(*told["window"]), told["logits"]
    mask, known = (_as_array(told[name]) for name in ("mask", "known"))
    numbers = None if logits is None else _as_array(logits)
    for array in (mask, known, *(() if numbers is None else (numbers,))):
        if array.shape != window.shape:
            raise ValueError(f"an array of {array.shape} is none of a window of {window.shape}")
    return Canvas(window, mask, known, told["chips"], told["lost"], told["full"], numbers)


def _as_tiles(told: Mapping[str, Any]) -> Tiles:
    tiles = Tiles(Window(*told["window"]))
    tiles.chips, tiles.lost, tiles.full = told["chips"], told["lost"], told["full"]
    tiles.whole = set(_as_cells(told["whole"]))
    side = (TILE, TILE // 8)
    cells = _as_cells(told["cells"])
    bits = np.frombuffer(_unpacked(told["bits"], len(cells) * TILE * TILE // 8), np.uint8)
    tiles.packed = dict(zip(cells, bits.reshape(-1, *side), strict=True))
    return tiles


def _cells(cells: Iterable[tuple[int, int]]) -> Told:
    return _array(np.array(sorted(cells), np.int32).reshape(-1, 2))


def _as_cells(told: Mapping[str, Any]) -> list[tuple[int, int]]:
    return [(int(row), int(col)) for row, col in _as_array(told)]


def _frame(frame: Frame) -> list[Any]:
    return [frame.level, _window(frame.window)]


def _as_frame(told: Any) -> Frame:
    return Frame(told[0], Window(*told[1]))


def _window(window: Window) -> list[int]:
    return [int(n) for n in (window.row, window.col, window.height, window.width)]


# -- arrays ----------------------------------------------------------------------------


def _array(array: NDArray[Any]) -> Told:
    """Return an array as JSON takes it; one of yes and no in bits."""
    plain = np.packbits(array) if array.dtype == np.bool_ else np.ascontiguousarray(array)
    return {"type": array.dtype.name, "shape": list(array.shape), "data": _packed([plain])}


def _as_array(told: Mapping[str, Any]) -> Any:
    kind, shape = np.dtype(told["type"]), tuple(int(n) for n in told["shape"])
    size = math.prod(shape)
    if kind not in (np.bool_, np.float16, np.int32) or min(shape, default=0) < 0:
        raise ValueError(f"an array of {kind} {shape} is not kept")
    if kind == np.bool_:
        bits = np.frombuffer(_unpacked(told["data"], -(-size // 8)), np.uint8)
        mask: BoolArray = np.unpackbits(bits, count=size).view(bool).reshape(shape)
        return mask
    return np.frombuffer(_unpacked(told["data"], size * kind.itemsize), kind).reshape(shape).copy()


def _packed(arrays: Iterable[NDArray[Any]]) -> str:
    press, size = zlib.compressobj(1), 0
    parts = []
    for array in arrays:
        size += array.nbytes
        if size > LARGEST:
            raise ValueError(f"{size} bytes are too many")
        parts.append(press.compress(array.data))
    return base64.b64encode(b"".join([*parts, press.flush()])).decode()


def _unpacked(text: str, size: int) -> bytes:
    if size > LARGEST:
        raise ValueError(f"{size} bytes are too many")
    found = zlib.decompressobj().decompress(base64.b64decode(text), size + 1)
    if len(found) != size:
        raise ValueError(f"{size} bytes were expected")
    return found


def _length(told: Any) -> int:
    """Return about how many characters it takes up."""
    if isinstance(told, dict):
        return sum(map(_length, told.values()))
    if isinstance(told, list):
        return sum(map(_length, told))
    return len(told) if isinstance(told, str) else 8
