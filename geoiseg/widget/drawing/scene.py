"""What lies on the map: the mask, the prompts, the outline and the accepted features."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable, Iterator
from typing import Any

import ipyleaflet
import shapely

from geoiseg.features import REJECTED, Feature
from geoiseg.prompting import Point, Prompt, Region, Scribble, Text
from geoiseg.segment import Suggestion
from geoiseg.session import Session
from geoiseg.session.reviewing import state_of
from geoiseg.widget.channel.bridge import Bridge
from geoiseg.widget.drawing.labels import Labels
from geoiseg.widget.frame import MapFrame

log = logging.getLogger(__name__)

BLANK = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
"""A transparent pixel."""
GREEN, RED = "#00c853", "#ff1744"
"""Colours of what is on the object and off it."""
PULSE = '<i class="gs-pulse"></i>'
"""What the dot of a suggested click is made of; the style sheet does the rest."""
GROUP = 100
"""Features in one layer: an accept sends no more than these to the page again."""
DIGITS = 9
"""Decimal places of degrees sent to the page: a tenth of a millimetre."""


class Scene:
    """The layers of one map above its rasters, kept like the session."""

    def __init__(self, map_: ipyleaflet.Map, bridge: Bridge) -> None:
        nowhere = ((0.0, 0.0), (0.0, 0.0))
        self._bridge = bridge
        self.mask = ipyleaflet.ImageOverlay(url=BLANK, bounds=nowhere, opacity=0.5, name="mask")
        self.preview = ipyleaflet.ImageOverlay(
            url=BLANK, bounds=nowhere, opacity=0.3, name="preview"
        )
        self.features = ipyleaflet.LayerGroup(name="features")
        self.outline = ipyleaflet.GeoJSON(data=collection([]), name="outline")
        self.candidates = ipyleaflet.GeoJSON(data=collection([]), name="candidates")
        self.prompts = ipyleaflet.LayerGroup(name="prompts")
        self.hints = ipyleaflet.LayerGroup(name="suggested click")
        for layer in (
            self.preview, self.mask, self.features, self.candidates, self.outline, self.prompts,
            self.hints,
        ):  # fmt: skip
            map_.add(layer)
        bridge.overlays = {
            "mask": self.mask.model_id, "preview": self.preview.model_id,
            "candidates": self.candidates.model_id,
        }  # fmt: skip
        self._groups: dict[int, ipyleaflet.GeoJSON] = {}
        self._drawn: dict[int, tuple[Any, ...]] = {}
        self._shown_mask: Any = None
        self._shown_prompts: tuple[Prompt, ...] = ()
        self._shown_outline: Any = None
        self._shown_candidates: Any = None
        self._shown_hint: Suggestion | None = None
        self._seq = 0

    def draw_mask(self, session: Session, frame: MapFrame, colour: str) -> bool:
        """Show the object in progress, and say whether it is another than before."""
        mask = session.mask
        if (mask, colour) == self._shown_mask:
            return False
        self._shown_mask = (mask, colour)
        self._seq += 1
        self._bridge.preview = {}
        self._bridge.mask = overlay(frame, mask, colour, self._seq)
        return True

    def draw_partly(self, mask: Any, frame: MapFrame, colour: str) -> None:
        """Show the object in progress as far as it is followed or sharpened by now."""
        self._seq += 1
        self._shown_mask = None
        self._bridge.mask = overlay(frame, mask, colour, self._seq)

    def forget_mask(self) -> None:
        """Have the object drawn again, though it may be the one that was drawn last."""
        self._shown_mask = None

    def draw_preview(self, mask: Any, frame: MapFrame, colour: str) -> None:
        """Show what a click under the cursor would give; None for nothing."""
        self._seq += 1
        self._bridge.preview = overlay(frame, mask, colour, self._seq)

    def draw_prompts(self, session: Session, frame: MapFrame) -> None:
        """Show what was said about the object in progress."""
        items = session.prompts.items
        shown = self._shown_prompts
        if items == shown:
            return
        kept = len(shown) if items[: len(shown)] == shown else 0
        old = list(self.prompts.layers)
        new = [layer for item in items[kept:] for layer in mark(item, session, frame)]
        self.prompts.layers = (*(old if kept else ()), *new)
        self._shown_prompts = items
        for layer in () if kept else old:
            layer.close()

    def draw_hint(self, hint: Suggestion | None, frame: MapFrame, crs: Any) -> None:
        """Show the place where a click would help most as a pulsing dot; None for nothing."""
        if hint is self._shown_hint:
            return
        self._shown_hint = hint
        old, new = self.hints.layers, []
        if hint is not None:
            place = frame.on_map(Point(hint.x, hint.y).geometry(crs))
            icon = ipyleaflet.DivIcon(html=PULSE, icon_size=(0, 0), icon_anchor=(0, 0))
            new = [ipyleaflet.Marker(location=(place.y, place.x), icon=icon, draggable=False)]
        self.hints.layers = tuple(new)
        for layer in old:
            layer.close()

    def draw_outline(self, session: Session, frame: MapFrame, colour: str) -> None:
        """Show the outline that accepting would keep."""
        shown = (session.outcome, session.options, colour)
        if shown == self._shown_outline:
            return
        self._shown_outline = shown
        geometry = session.geometry
        style = {"color": colour, "weight": 2, "fill": False, "interactive": False}
        drawn = [] if geometry is None else [as_json(frame.on_map(geometry), style)]
        self.outline.data = collection(drawn)

    def draw_candidates(self, session: Session, frame: MapFrame) -> None:
        """Show what was found by words: outlines coloured by score.

        All are sent, those below the threshold unseen, so that the page's slider needs no
        answer from here.
        """
        search = session.search
        closed = frozenset() if search is None else search.gone | search.rejected
        candidates = () if search is None else search.candidates
        threshold = 0.0 if search is None else search.threshold
        shown = (candidates, closed, threshold, session.picked)
        if shown == self._shown_candidates:
            return
        self._shown_candidates = shown
        drawn = []
        for one in candidates:
            if one.number in closed or one.number == session.picked:
                continue
            feature = as_json(frame.on_map(one.geometry), score_style(one.score, threshold))
            feature["properties"] |= {"score": one.score, "number": one.number}
            drawn.append(feature)
        self.candidates.data = collection(drawn)

    def draw_features(
        self, session: Session, frame: MapFrame, labels: Labels, selected: int | None,
        hidden: Container[int] = (),
    ) -> None:  # fmt: skip
        """Show the accepted features that are not hidden; the mask shows the one being refined."""
        groups: dict[int, list[Feature]] = {}
        for feature in session.accepted:
            if feature.id != session.editing and feature.id not in hidden:
                groups.setdefault(feature.id // GROUP, []).append(feature)
        for number in sorted({*groups, *self._groups}):
            members = groups.get(number, [])
            key = tuple((one, labels.colour(one.label), one.id == selected) for one in members)
            if self._drawn.get(number, ()) == key:
                continue
            drawn = [
                as_json(frame.on_map(one.geometry), look(one, labels, selected), one)
                for one in members
            ]
            if number not in self._groups:
                self._groups[number] = ipyleaflet.GeoJSON(data=collection(drawn))
                self.features.add(self._groups[number])
            else:
                self._groups[number].data = collection(drawn)
            self._drawn[number] = key


def overlay(frame: MapFrame, mask: Any, colour: str, seq: int) -> dict[str, Any]:
    """Return a mask as the page takes it; an empty dictionary for none."""
    if mask is None or mask.is_empty:
        return {}
    png, bounds = frame.renderer.overlay(mask, colour)
    return {"png": png, "bounds": bounds, "seq": seq}


def collection(features: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return a GeoJSON FeatureCollection."""
    return {"type": "FeatureCollection", "features": list(features)}


def as_json(geometry: Any, style: dict[str, Any], feature: Feature | None = None) -> dict[str, Any]:
    """Return a geometry on the map as a GeoJSON Feature with its style."""
    rounded = shapely.transform(geometry, lambda xy: xy.round(DIGITS))
    known = {} if feature is None else {"id": feature.id, "label": feature.label}
    return {
        "type": "Feature",
        "geometry": shapely.geometry.mapping(rounded),
        "properties": {**known, "style": style},
    }


def score_style(score: float, threshold: float) -> dict[str, Any]:
    """Return Leaflet's style of a candidate: red at a score of 0, over yellow, to green."""
    seen = score >= threshold
    return {
        "color": f"hsl({round(130 * score)}, 95%, 50%)", "weight": 2, "dashArray": "5 3",
        "fill": seen, "fillOpacity": 0.12, "opacity": 1.0 if seen else 0.0, "interactive": False,
    }  # fmt: skip


def look(feature: Feature, labels: Labels, selected: int | None) -> dict[str, Any]:
    """Return Leaflet's style of an accepted feature."""
    colour = labels.colour(feature.label)
    if feature.id == selected:
        return {"color": "#ffffff", "weight": 4, "fillColor": colour, "fillOpacity": 0.5}
    if state_of(feature) == REJECTED:
        return {"color": colour, "weight": 1, "dashArray": "2 4", "opacity": 0.6, "fillOpacity": 0}
    return {"color": colour, "weight": 2, "fillColor": colour, "fillOpacity": 0.25}


def mark(prompt: Prompt, session: Session, frame: MapFrame) -> Iterator[ipyleaflet.Layer]:
    """Yield the layers that show a prompt on the map."""
    if isinstance(prompt, Text) or (isinstance(prompt, Region) and prompt.by):
        return  # what was drawn by hand is the outline itself
    colour = GREEN if prompt.positive else RED
    shape = frame.on_map(prompt.geometry(session.raster.grid.crs))
    if isinstance(prompt, Point):
        yield ipyleaflet.CircleMarker(
            location=(shape.y, shape.x), radius=6, color="#ffffff", weight=2,
            fill_color=colour, fill_opacity=1.0,
        )  # fmt: skip
        return
    for part in shapely.get_parts(shape):
        line = part.exterior if part.geom_type == "Polygon" else part
        places = [(y, x) for x, y in shapely.get_coordinates(line).tolist()]
        dashes = None if isinstance(prompt, Scribble) else "6 5"
        yield ipyleaflet.Polyline(
            locations=places, color=colour, weight=4 if dashes is None else 2, fill=False,
            dash_array=dashes, opacity=0.9,
        )  # fmt: skip
