"""What the page may say to the kernel, and how each message is checked.

The page is not trusted: a message is turned into one of these values, or refused. No
message carries a path; a name of a file to export is one plain name.
"""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from geoiseg.errors import GeoisegError
from geoiseg.features import STATES
from geoiseg.prompting import MAX_TEXT
from geoiseg.raster import COMPOSITES, LONGEST
from geoiseg.widget.channel.actions import ACTIONS, MAX_CLASSES, NAMED

MAX_VERTICES = 4000
"""Vertices of a stroke."""
MAX_NAME = 60
"""Characters of a class's or a file's name."""
MAX_UPLOAD = 64 << 20
"""Bytes of an uploaded layer."""
MOST = {
    "simplify": 20.0,
    "threshold": 1.0,
    "snap": 100_000.0,
    "holes": 1e16,
    "parts": 1e16,
    "grow": 1e6,
    "brush": 100_000.0,
}
"""Numbers that can be set, from 0 to this much; ``grow`` from as much below 0."""
MOST_CUT = 25.0
"""Percent of the pixels that may saturate at each end."""
GAMMAS = (0.2, 5.0)
RAMP_NAMES = ("grey", "viridis", "cividis", "turbo", "water")
FORMATS = ("gpkg", "geojson", "shp", "fgb", "parquet", "tif")
"""Formats the page may ask for."""
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FILE = re.compile(r"[^\W_][\w .()+-]*")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{p}{n}" for p in ("com", "lpt") for n in range(10))}
)


_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxstring, _REPR.maxother, _REPR.maxlong = 3, 50, 50, 50
_REPR.maxlist = _REPR.maxtuple = _REPR.maxdict = 3
SHOWN = 80
"""Most characters of a value in a message about it."""


def shown(value: Any) -> str:
    """Return a value as a refusal quotes it: cut short, whatever its size or depth."""
    return f"{_REPR.repr(value):.{SHOWN}}"


class MessageError(GeoisegError, ValueError):
    """A message from the page is malformed; it is refused."""


@dataclass(frozen=True, slots=True)
class TileRequest:
    """A tile of a layer is needed."""

    id: str
    layer: str
    z: int
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class TileCancel:
    """A tile is not needed any more."""

    id: str


@dataclass(frozen=True, slots=True)
class View:
    """What a view of the map shows."""

    south: float
    west: float
    north: float
    east: float
    zoom: float


@dataclass(frozen=True, slots=True)
class Click:
    """A click at ``(latitude, longitude)``."""

    at: tuple[float, float]
    zoom: float
    negative: bool


@dataclass(frozen=True, slots=True)
class Move:
    """The cursor rests at ``(latitude, longitude)``; None where it has left the map."""

    at: tuple[float, float] | None
    zoom: float


@dataclass(frozen=True, slots=True)
class Drag:
    """A box (two corners) or a stroke, as ``(latitude, longitude)``."""

    box: bool
    at: tuple[tuple[float, float], ...]
    zoom: float
    negative: bool


@dataclass(frozen=True, slots=True)
class VertexChange:
    """A vertex at ``(latitude, longitude)`` is to be moved, added or deleted by hand."""

    what: str
    at: tuple[float, float]
    to: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Do:
    """A button or a key: the name of an action, or ``class-N``."""

    name: str


@dataclass(frozen=True, slots=True)
class Choose:
    """A tool, class, model, what a border follows, or with ``train`` a model to be, by name."""

    what: str
    name: str


@dataclass(frozen=True, slots=True)
class ClassChange:
    """``add``, ``rename`` or ``colour`` a class."""

    change: str
    name: str
    to: str


@dataclass(frozen=True, slots=True)
class SetNumber:
    """A slider or field.

    ``simplify`` in pixels, ``threshold`` of a score, ``snap`` and ``grow`` in metres, ``holes``
    and ``parts`` in square metres.
    """

    what: str
    value: float
    accepted: bool = False
    """Whether accepted features change their shape, too."""


@dataclass(frozen=True, slots=True)
class LayerChange:
    """How a raster is shown; None leaves as it is."""

    layer: str
    opacity: float | None = None
    visible: bool | None = None
    bands: tuple[int, ...] | None = None
    stretch: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class LookChange:
    """How a raster is shown, in one of its ways; None leaves as it is."""

    layer: str
    composite: str | None = None
    bands: str | None = None
    """Bands, indices or formulas with commas between them."""
    auto: str | None = None
    """``view`` or ``raster``: contrast of which."""
    percent: float = 2.0
    gamma: float | None = None
    ramp: str | None = None
    linked: bool | None = None
    """Whether the model sees what is shown."""


@dataclass(frozen=True, slots=True)
class Words:
    """A text to look for, or what to do with what was found."""

    text: str
    negative: str = ""
    """What it should not be."""
    action: str = "find"
    """``find``, ``accept`` all that is shown, or ``clear``."""


@dataclass(frozen=True, slots=True)
class ReviewFilter:
    """Which features are shown and reviewed; None for any."""

    label: str | None
    flag: str | None
    min_score: float | None
    max_score: float | None
    state: str | None


@dataclass(frozen=True, slots=True)
class Export:
    """Write the accepted features; the name has no folder and no suffix."""

    name: str
    format: str


@dataclass(frozen=True, slots=True)
class Upload:
    """A vector layer chosen in the page."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Ready:
    """A view of the map has come up."""


Message = (
    TileRequest | TileCancel | View | Click | Move | Drag | VertexChange | Do | Choose | ClassChange
    | SetNumber | LayerChange | LookChange | Words | ReviewFilter | Export | Upload | Ready
)  # fmt: skip


def parse(content: Any, buffers: Sequence[Any] = ()) -> Message:
    """Return the message that the page has sent.

    Raises:
        MessageError: It is none that we know, or a part of it has a wrong type or range.
    """
    if not isinstance(content, Mapping):
        raise MessageError(f"a message is an object, got {type(content).__name__}")
    kind = content.get("kind")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise MessageError(f"{shown(kind)} is no kind of message")
    return reader(content, buffers)


def _number(content: Mapping[str, Any], name: str, low: float, high: float) -> float:
    return _ranged(content.get(name), name, low, high)


def _ranged(value: Any, name: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise MessageError(f"{name} is a number, got {shown(value)}")
    if not (low <= value <= high and math.isfinite(value)):  # NaN fails too
        raise MessageError(f"{name} is {low:g} to {high:g}, got {shown(value)}")
    return float(value)


def _whole(content: Mapping[str, Any], name: str, low: int, high: int) -> int:
    value = content.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise MessageError(f"{name} is a whole number of {low} to {high}, got {shown(value)}")
    return value


def _flag(content: Mapping[str, Any], name: str) -> bool:
    value = content.get(name, False)
    if not isinstance(value, bool):
        raise MessageError(f"{name} is true or false, got {shown(value)}")
    return value


def _text(content: Mapping[str, Any], name: str, longest: int) -> str:
    value = content.get(name)
    if not isinstance(value, str) or not 0 < len(value.strip()) <= longest:
        raise MessageError(f"{name} is a text of 1 to {longest} characters, got {shown(value)}")
    if not value.isprintable():
        raise MessageError(f"{name} has characters that can not be shown: {shown(value)}")
    return value.strip()


def _matching(content: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = content.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise MessageError(f"{name} is malformed: {shown(value)}")
    return value


def _one_of(content: Mapping[str, Any], name: str, known: Sequence[str]) -> str:
    value = content.get(name)
    if not isinstance(value, str) or value not in known:
        raise MessageError(f"{name} is none of those there are: {shown(value)}")
    return value


def _place(value: Any) -> tuple[float, float]:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise MessageError(f"a place is [latitude, longitude], got {shown(value)}")
    return _ranged(value[0], "latitude", -90, 90), _ranged(value[1], "longitude", -720, 720)


def _zoom(content: Mapping[str, Any]) -> float:
    return _number(content, "zoom", -4, 40)


def _tile(content: Mapping[str, Any], _: Sequence[Any]) -> TileRequest:
    z = _whole(content, "z", 0, 30)
    last = (1 << z) - 1
    return TileRequest(
        _matching(content, "id", _ID),
        _matching(content, "layer", _ID),
        z,
        _whole(content, "x", 0, last),
        _whole(content, "y", 0, last),
    )


def _view(content: Mapping[str, Any], _: Sequence[Any]) -> View:
    corners = content.get("bounds")
    if not isinstance(corners, (list, tuple)) or len(corners) != 2:
        raise MessageError(f"bounds are two places, got {shown(corners)}")
    (south, west), (north, east) = _place(corners[0]), _place(corners[1])
    if not (south <= north and west <= east):
        raise MessageError(f"bounds are south-west and north-east, got {shown(corners)}")
    return View(south, west, north, east, _zoom(content))


def _click(content: Mapping[str, Any], _: Sequence[Any]) -> Click:
    return Click(_place(content.get("at")), _zoom(content), _flag(content, "negative"))


def _move(content: Mapping[str, Any], _: Sequence[Any]) -> Move:
    at = content.get("at")
    return Move(None if at is None else _place(at), _zoom(content))


def _drag(content: Mapping[str, Any], _: Sequence[Any]) -> Drag:
    box = _flag(content, "box")
    places = content.get("at")
    most = 2 if box else MAX_VERTICES
    if not isinstance(places, (list, tuple)) or not (2 if box else 1) <= len(places) <= most:
        raise MessageError(f"a drag has at most {most} places, got {shown(places)}")
    at = tuple(_place(place) for place in places)
    return Drag(box, at, _zoom(content), _flag(content, "negative"))


def _vertex(content: Mapping[str, Any], _: Sequence[Any]) -> VertexChange:
    what, to = _one_of(content, "what", ("move", "add", "delete")), content.get("to")
    if what == "move" and to is None:
        raise MessageError("a vertex is moved somewhere: to is missing")
    return VertexChange(what, _place(content.get("at")), None if to is None else _place(to))


def _do(content: Mapping[str, Any], _: Sequence[Any]) -> Do:
    classes = tuple(f"class-{place}" for place in range(MAX_CLASSES))
    return Do(_one_of(content, "name", (*ACTIONS, *classes)))


def _choose(content: Mapping[str, Any], _: Sequence[Any]) -> Choose:
    what = _one_of(content, "what", (*NAMED, "label", "model", "train"))
    if what in NAMED:
        return Choose(what, _one_of(content, "name", NAMED[what]))
    return Choose(what, _text(content, "name", MAX_NAME))


def _class(content: Mapping[str, Any], _: Sequence[Any]) -> ClassChange:
    change = _one_of(content, "change", ("add", "rename", "colour"))
    name = _text(content, "name", MAX_NAME)
    if change == "add":
        return ClassChange(change, name, "")
    if change == "rename":
        return ClassChange(change, name, _text(content, "to", MAX_NAME))
    return ClassChange(change, name, _matching(content, "to", _COLOUR))


def _set(content: Mapping[str, Any], _: Sequence[Any]) -> SetNumber:
    what = _one_of(content, "what", tuple(MOST))
    least = -MOST[what] if what == "grow" else 0
    return SetNumber(what, _number(content, "value", least, MOST[what]), _flag(content, "accepted"))


def _layer(content: Mapping[str, Any], _: Sequence[Any]) -> LayerChange:
    bands = content.get("bands")
    if bands is not None:
        if not isinstance(bands, (list, tuple)) or len(bands) not in (1, 3):
            raise MessageError(f"bands are one or three numbers, got {shown(bands)}")
        bands = tuple(_whole({"band": band}, "band", 1, 10_000) for band in bands)
    stretch = content.get("stretch")
    if stretch is not None:
        if not isinstance(stretch, (list, tuple)) or len(stretch) != 2:
            raise MessageError(f"a stretch is two numbers, got {shown(stretch)}")
        low, high = (_ranged(value, "stretch", -1e30, 1e30) for value in stretch)
        if low >= high:
            raise MessageError(f"a stretch needs low < high, got {low:g} and {high:g}")
        stretch = (low, high)
    has_opacity, has_visible = "opacity" in content, "visible" in content
    return LayerChange(
        _matching(content, "layer", _ID),
        _number(content, "opacity", 0, 1) if has_opacity else None,
        _flag(content, "visible") if has_visible else None,
        bands,
        stretch,
    )


def _look(content: Mapping[str, Any], _: Sequence[Any]) -> LookChange:
    def given(name: str) -> bool:
        return content.get(name) is not None

    return LookChange(
        _matching(content, "layer", _ID),
        _one_of(content, "composite", tuple(COMPOSITES)) if given("composite") else None,
        _text(content, "bands", LONGEST) if given("bands") else None,
        _one_of(content, "auto", ("view", "raster")) if given("auto") else None,
        _number(content, "percent", 0, MOST_CUT) if given("percent") else 2.0,
        _number(content, "gamma", *GAMMAS) if given("gamma") else None,
        _one_of(content, "ramp", RAMP_NAMES) if given("ramp") else None,
        _flag(content, "linked") if given("linked") else None,
    )


def _export(content: Mapping[str, Any], _: Sequence[Any]) -> Export:
    name = _text(content, "name", MAX_NAME)
    if not _FILE.fullmatch(name) or name.endswith((".", " ")) or name.lower() in _DEVICES:
        raise MessageError(f"a file's name is letters, digits, blanks and .()+-_: {shown(name)}")
    return Export(name, _one_of(content, "format", FORMATS))


def _upload(content: Mapping[str, Any], buffers: Sequence[Any]) -> Upload:
    if len(buffers) != 1:
        raise MessageError(f"an upload is one file, got {len(buffers)}")
    size = memoryview(buffers[0]).nbytes
    if not 0 < size <= MAX_UPLOAD:
        raise MessageError(f"a layer is at most {MAX_UPLOAD >> 20} MiB, got {size} bytes")
    name = _text(content, "name", 200)
    if "/" in name or "\\" in name:
        raise MessageError(f"a file's name has no folder: {shown(name)}")
    return Upload(name, bytes(buffers[0]))


def _words(content: Mapping[str, Any], _: Sequence[Any]) -> Words:
    action = _one_of({"action": "find", **content}, "action", ("find", "accept", "clear"))
    if action != "find":
        return Words("", "", action)
    negative = content.get("negative", "")
    said = _text(content, "negative", MAX_TEXT) if negative else ""
    return Words(_text(content, "text", MAX_TEXT), said)


def _review(content: Mapping[str, Any], _: Sequence[Any]) -> ReviewFilter:
    def score(name: str) -> float | None:
        return None if content.get(name) is None else _number(content, name, 0, 1)

    def said(name: str) -> str | None:
        value = content.get(name)
        if value is not None and (not isinstance(value, str) or len(value) > MAX_TEXT):
            raise MessageError(f"{name} is a text or nothing, got {shown(value)}")
        return value

    state = None if content.get("state") is None else _one_of(content, "state", STATES)
    return ReviewFilter(said("label"), said("flag"), score("min_score"), score("max_score"), state)


_READERS: Mapping[str, Callable[[Mapping[str, Any], Sequence[Any]], Message]] = {
    "tile": _tile,
    "untile": lambda content, _: TileCancel(_matching(content, "id", _ID)),
    "view": _view,
    "click": _click,
    "move": _move,
    "drag": _drag,
    "vertex": _vertex,
    "do": _do,
    "choose": _choose,
    "class": _class,
    "set": _set,
    "layer": _layer,
    "look": _look,
    "words": _words,
    "review": _review,
    "export": _export,
    "upload": _upload,
    "ready": lambda *_: Ready(),
}
