"""What a user says about an object: points, boxes, scribbles, outlines, words.

Positions are ``xy_crs`` of the raster, save for a box, which keeps the CRS it was drawn
in: its edges bend between two CRSs, so it is turned into pixels in one go.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pyproj
import shapely
from rasterio.features import rasterize

from geoiseg.errors import PromptError
from geoiseg.prompting.pixel import PixelPrompts
from geoiseg.raster import XY, Grid, as_crs, box_outline, reproject_geometry, reproject_xy, unrolled

MAX_TEXT = 500
"""Characters of a text prompt."""
TAP = 1.0
"""Pixels of the chip that a stroke has to reach beyond to be one."""


def _finite(kind: str, *values: float) -> None:
    if not all(math.isfinite(value) for value in values):
        raise PromptError(f"a {kind} needs finite coordinates, got {values}")


@dataclass(frozen=True, slots=True)
class Point:
    """A place on the object, or off it."""

    x: float
    """In the raster's CRS."""
    y: float
    """In the raster's CRS."""
    positive: bool = True
    """True where the place belongs to the object."""
    kind: ClassVar[str] = "point"

    def __post_init__(self) -> None:
        _finite("point", self.x, self.y)

    def geometry(self, crs: Any) -> Any:  # noqa: ARG002 - one signature for all prompts
        """Return a shapely Point in the raster's CRS ``crs``."""
        return shapely.Point(self.x, self.y)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle around the object, upright in its own CRS."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float
    crs: str | None = None
    """CRS of the coordinates, as text; None for the raster's own."""
    kind: ClassVar[str] = "box"
    positive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _finite("box", self.xmin, self.ymin, self.xmax, self.ymax)
        if not (self.xmin < self.xmax and self.ymin < self.ymax):
            raise PromptError(
                "a box needs xmin < xmax and ymin < ymax, got"
                f" ({self.xmin:g}, {self.ymin:g}, {self.xmax:g}, {self.ymax:g})"
            )

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """``xmin, ymin, xmax, ymax`` in the box's own CRS."""
        return self.xmin, self.ymin, self.xmax, self.ymax

    def geometry(self, crs: Any) -> Any:
        """Return the outline as a shapely Polygon in the raster's CRS ``crs``."""
        if self.crs is None or as_crs(self.crs) == as_crs(crs):
            return shapely.box(*self.corners)
        moved = shapely.Polygon(reproject_xy(box_outline(*self.corners), self.crs, crs))
        return unrolled(moved, crs)


@dataclass(frozen=True, slots=True)
class Scribble:
    """A stroke along the object, or along what is not the object."""

    xy: tuple[tuple[float, float], ...]
    """Vertices in the raster's CRS; at least one."""
    positive: bool = True
    """True where the stroke lies on the object."""
    kind: ClassVar[str] = "scribble"

    def __post_init__(self) -> None:
        if not self.xy:
            raise PromptError("a scribble needs at least one vertex, got none")
        _finite("scribble", *(value for vertex in self.xy for value in vertex))

    def geometry(self, crs: Any) -> Any:  # noqa: ARG002 - one signature for all prompts
        """Return a shapely LineString in the raster's CRS ``crs``."""
        return shapely.LineString(self.xy if len(self.xy) > 1 else self.xy * 2)


@dataclass(frozen=True, slots=True)
class Region:
    """An existing outline that is to be refined."""

    polygon: Any
    """Shapely Polygon or MultiPolygon in the raster's CRS."""
    given: bool = False
    """Whether the outline is the object as it is, until more is said; else the model refines
    it at once."""
    by: str = ""
    """The tool by which somebody drew it by hand: then it is the object with all its vertices,
    whatever was said before; empty for none."""
    kind: ClassVar[str] = "region"
    positive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if getattr(self.polygon, "geom_type", None) not in {"Polygon", "MultiPolygon"}:
            raise PromptError(
                f"a region is a shapely Polygon or MultiPolygon, got {self.polygon!r:.60}"
            )
        if self.polygon.is_empty or not np.isfinite(self.polygon.bounds).all():
            raise PromptError("a region needs an outline with an area, got an empty one")
        if not self.polygon.is_valid:
            mended = shapely.make_valid(self.polygon, method="structure", keep_collapsed=False)
            object.__setattr__(self, "polygon", mended)
            if mended.is_empty:
                raise PromptError("a region needs an outline with an area, got a collapsed one")

    def geometry(self, crs: Any) -> Any:  # noqa: ARG002 - one signature for all prompts
        """Return the outline in the raster's CRS ``crs``."""
        return self.polygon


@dataclass(frozen=True, slots=True)
class Text:
    """Words that name what to look for."""

    text: str
    """What the user typed, without surrounding blanks."""
    negative: str = ""
    """Words for what it is not."""
    engine: str = ""
    """Name and weights of what found something; empty where nothing was found yet."""
    score: float | None = None
    """How sure the engine was, 0..1."""
    within: tuple[float, float, float, float] | None = None
    """Bounds of where was looked, in the raster's CRS; None is all of the raster."""
    kind: ClassVar[str] = "text"
    positive: ClassVar[bool] = True

    def __post_init__(self) -> None:
        stripped = self.text.strip()
        if not stripped:
            raise PromptError("a text prompt needs at least one word, got none")
        if len(stripped) > MAX_TEXT:
            raise PromptError(
                f"a text prompt takes {MAX_TEXT} characters at most, got {len(stripped)}"
            )
        object.__setattr__(self, "text", stripped)

    def geometry(self, crs: Any) -> Any:  # noqa: ARG002 - one signature for all prompts
        """Return an empty geometry: words have no place."""
        return shapely.Point()


Prompt = Point | Box | Scribble | Region | Text


def prompt_to_dict(prompt: Prompt) -> dict[str, Any]:
    """Return a JSON-ready dictionary from which the same prompt can be made."""
    match prompt:
        case Point():
            return {"kind": "point", "xy": [prompt.x, prompt.y], "positive": prompt.positive}
        case Box():
            return {"kind": "box", "box": list(prompt.corners), "crs": prompt.crs}
        case Scribble():
            vertices = [list(vertex) for vertex in prompt.xy]
            return {"kind": "scribble", "xy": vertices, "positive": prompt.positive}
        case Region():
            outline: dict[str, Any] = {
                "kind": "region", "wkb": shapely.to_wkb(prompt.polygon, hex=True)
            }  # fmt: skip
            outline |= {"given": True} if prompt.given else {}
            return outline | ({"by": prompt.by} if prompt.by else {})
        case Text():
            return _text_to_dict(prompt)


def _text_to_dict(prompt: Text) -> dict[str, Any]:
    more: dict[str, Any] = {
        "negative": prompt.negative,
        "engine": prompt.engine,
        "score": prompt.score,
        "within": None if prompt.within is None else list(prompt.within),
    }
    said = {name: value for name, value in more.items() if value not in ("", None)}
    return {"kind": "text", "text": prompt.text, **said}


def _text_from_dict(data: Mapping[str, Any]) -> Text:
    score, within = data.get("score"), data.get("within")
    if within is not None:
        xmin, ymin, xmax, ymax = map(float, within)
        within = (xmin, ymin, xmax, ymax)
    return Text(
        str(data["text"]), str(data.get("negative", "")), str(data.get("engine", "")),
        None if score is None else float(score), within,
    )  # fmt: skip


def prompt_from_dict(data: Mapping[str, Any]) -> Prompt:
    """Return the prompt that ``prompt_to_dict`` described.

    Raises:
        PromptError: The dictionary describes no prompt.
    """
    try:
        match data["kind"]:
            case "point":
                x, y = map(float, data["xy"])
                return Point(x, y, bool(data["positive"]))
            case "box":
                xmin, ymin, xmax, ymax = map(float, data["box"])
                return Box(xmin, ymin, xmax, ymax, data.get("crs"))
            case "scribble":
                vertices = tuple((float(x), float(y)) for x, y in data["xy"])
                return Scribble(vertices, bool(data["positive"]))
            case "region":
                polygon, by = shapely.from_wkb(data["wkb"]), str(data.get("by", ""))
                return Region(polygon, bool(data.get("given", False)), by)
            case "text":
                return _text_from_dict(data)
            case other:
                raise PromptError(f"{other!r} is no kind of prompt")
    except (KeyError, TypeError, ValueError, shapely.errors.ShapelyError) as error:
        if isinstance(error, PromptError):
            raise
        raise PromptError(f"no prompt can be made of {dict(data)!r:.80}") from error


@dataclass(frozen=True, slots=True)
class Prompts:
    """All that was said about one object, in order."""

    items: tuple[Prompt, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything was said."""
        return bool(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def plus(self, items: Iterable[Prompt]) -> Prompts:
        """Return these prompts with more behind them."""
        return replace(self, items=(*self.items, *items))

    def of(self, kind: type) -> tuple[Any, ...]:
        """Return the prompts of one class."""
        return tuple(item for item in self.items if isinstance(item, kind))

    @property
    def has_positive(self) -> bool:
        """Whether anything says where the object is, rather than where it is not."""
        return any(item.positive for item in self.items)

    @property
    def text(self) -> str | None:
        """The latest words, if any."""
        words = self.of(Text)
        return words[-1].text if words else None

    def counts(self) -> dict[str, int]:
        """Return how many prompts there are of each sort."""
        points, scribbles = self.of(Point), self.of(Scribble)
        return {
            "positive_points": sum(item.positive for item in points),
            "negative_points": sum(not item.positive for item in points),
            "boxes": len(self.of(Box)),
            "scribbles": len(scribbles),
        }

    def outline_pixels(self, grid: Grid) -> XY:
        """Return ``(n, 2)`` ``xy_pixel`` of every vertex of every prompt on ``grid``."""
        parts = [_vertices(item, grid) for item in self.items if not isinstance(item, Text)]
        return np.concatenate(parts) if parts else np.zeros((0, 2))

    def to_pixel(self, grid: Grid) -> PixelPrompts:
        """Return the prompts in the pixel frame of ``grid``, as models take them.

        Several boxes become the one around them all; several regions their union. A stroke that
        stays within a pixel, a tap with the pen, is a click.

        Raises:
            GeoreferenceError: A box in another CRS has no place on the grid.
        """
        clicks: list[tuple[XY, bool]] = []
        strokes: list[tuple[XY, bool]] = []
        for item in self.items:
            if isinstance(item, Point):
                clicks.append((grid.to_pixel([(item.x, item.y)]), item.positive))
            elif isinstance(item, Scribble):
                stroke = grid.to_pixel(item.xy)
                tapped = bool((np.ptp(stroke, axis=0) < TAP).all())
                (clicks if tapped else strokes).append(
                    (stroke[:1] if tapped else stroke, item.positive)
                )
        boxes = [_box_pixels(item, grid) for item in self.of(Box)]
        low = np.min([box[:2] for box in boxes], axis=0) if boxes else ()
        high = np.max([box[2:] for box in boxes], axis=0) if boxes else ()
        return PixelPrompts(
            points=np.concatenate([xy for xy, _ in clicks]) if clicks else np.zeros((0, 2)),
            positive=np.array([sign for _, sign in clicks], dtype=bool),
            box=(*low.tolist(), *high.tolist()) if boxes else None,  # type: ignore[union-attr]
            scribbles=tuple(strokes),
            mask=_region_mask(self.of(Region), grid),
        )


def _box_pixels(box: Box, grid: Grid) -> tuple[float, float, float, float]:
    return grid.box_to_pixel(box.corners, box.crs)


def _vertices(item: Prompt, grid: Grid) -> XY:
    if isinstance(item, Box):
        x0, y0, x1, y1 = _box_pixels(item, grid)
        return np.array([(x0, y0), (x1, y1)])
    return grid.to_pixel(shapely.get_coordinates(item.geometry(grid.crs)))


def _region_mask(regions: tuple[Region, ...], grid: Grid) -> Any:
    if not regions:
        return None
    shapes = [(region.polygon, 1) for region in regions]
    burned = rasterize(shapes, out_shape=grid.shape, transform=grid.transform, dtype="uint8")
    return burned.astype(bool)


def localise(prompt: Prompt, crs: Any, target: Grid | pyproj.CRS | None) -> Prompt:
    """Return a prompt given in ``crs`` as one for a raster.

    Args:
        prompt: In ``crs``, or in the raster's own where that is None.
        crs: Any CRS, or None.
        target: The raster's grid: places are then written as its coordinates are, whichever
            way round the world they were; or its CRS alone.

    Raises:
        PromptError: ``crs`` is given but the raster has none.
        GeoreferenceError: A coordinate has no place in the raster's CRS.
    """
    source = as_crs(crs)
    grid = target if isinstance(target, Grid) else None
    raster_crs = grid.crs if grid is not None else as_crs(target)
    if isinstance(prompt, Text):
        return prompt
    if raster_crs is None and source is not None:
        raise PromptError(
            f"the raster has no CRS, so a {prompt.kind} in {source.name} can not be placed;"
            " give it in pixels (crs=None)"
        )
    if grid is not None:
        return _written_as(prompt, source, grid)
    return _moved(prompt, source, raster_crs) if source not in (None, raster_crs) else prompt


def _moved(prompt: Prompt, source: Any, target: Any) -> Prompt:
    """Return a prompt in another CRS; a box keeps its own."""
    match prompt:
        case Point():
            x, y = reproject_xy([(prompt.x, prompt.y)], source, target)[0]
            return Point(float(x), float(y), prompt.positive)
        case Box():
            return replace(prompt, crs=source.to_string())
        case Scribble():
            moved = reproject_xy(prompt.xy, source, target)
            return Scribble(tuple((float(x), float(y)) for x, y in moved), prompt.positive)
        case Region():
            polygon = reproject_geometry(prompt.polygon, source, target)
            return replace(prompt, polygon=polygon)
        case Text():
            return prompt


def _written_as(prompt: Prompt, source: Any, grid: Grid) -> Prompt:
    """Return a prompt written as the coordinates of a grid are."""
    match prompt:
        case Point():
            x, y = grid.bring_xy([(prompt.x, prompt.y)], source)[0]
            return Point(float(x), float(y), prompt.positive)
        case Box() if prompt.crs is None and source in (None, grid.crs):
            xy = grid.box_in(prompt.corners)
            corners = *xy.min(axis=0).tolist(), *xy.max(axis=0).tolist()
            return Box(*corners) if corners[:2] != prompt.corners[:2] else prompt
        case Box():
            own = prompt.crs is not None or source is None
            return prompt if own else replace(prompt, crs=source.to_string())
        case Scribble():
            moved = grid.bring_xy(prompt.xy, source)
            return Scribble(tuple((float(x), float(y)) for x, y in moved), prompt.positive)
        case Region():
            outline = grid.bring(prompt.polygon, source)
            return prompt if outline is prompt.polygon else replace(prompt, polygon=outline)
        case Text():
            return prompt
