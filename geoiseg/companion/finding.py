"""Objects by words and by example, as candidates with scores; nothing of them is kept here."""

from __future__ import annotations

from typing import Any

import shapely

from geoiseg.companion.fields import Fields
from geoiseg.companion.objects import Objects, Told, View
from geoiseg.companion.pipe import RequestError
from geoiseg.errors import PromptError
from geoiseg.prompting import level_for_gsd
from geoiseg.segment import Watch, default_cache
from geoiseg.words import LikeEngine, Query, Searcher, find_area, prototypes
from geoiseg.words.examples import under_outlines

EXAMPLES = 50
"""Outlines that are looked at as examples, at most."""


class Finding:
    """Answers what is looked for, on the rasters that are open."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._searcher: tuple[tuple[Any, ...], Searcher] | None = None

    def find(self, fields: Fields, watch: Watch, tell: Told) -> dict[str, Any]:
        """Return candidates, the most likely first, in the raster's CRS; ``wkb`` is hexadecimal."""
        view = self._objects.view(fields, with_steps=False)
        text, negative = fields.text("text", ""), fields.text("negative", "")
        engine, gsd = fields.text("engine", ""), fields.number("gsd", None)
        within = _bounds(fields.items("within"))
        like, unlike = (_shapes(fields.items(name)) for name in ("like", "unlike"))
        fields.done()
        watch.tell = lambda said: tell(None, said)
        searcher = self._known(view)
        query = Query(text or "the examples", negative, engine, within, gsd)
        how = None
        if like:
            grid = view.segmenter.raster.grid
            level = find_area(grid, within, None).level if gsd is None else level_for_gsd(grid, gsd)
            near, far = (under_outlines(searcher, some, level) for some in (like, unlike))
            how = LikeEngine(prototypes(near, far))
        elif not text.strip():
            raise PromptError("say in words what to look for, or select features that are examples")
        search = searcher.run(query, view.segmenter.model, watch, how)
        return {
            "candidates": [
                {"number": one.number, "wkb": shapely.to_wkb(one.geometry, hex=True),
                 "score": one.score}
                for one in search.candidates
            ],
            "threshold": search.threshold,
            "engine": search.engine.partition("@")[0],
            "gsd": search.gsd,
            "note": search.note,
        }  # fmt: skip

    def _known(self, view: View) -> Searcher:
        """Return what looks for words on a raster; it keeps what makes the next word fast."""
        if self._searcher is None or self._searcher[0] != view.key:
            self._searcher = view.key, Searcher(view.segmenter.raster, default_cache())
        return self._searcher[1]


def _bounds(given: list[Any]) -> tuple[float, float, float, float] | None:
    if not given:
        return None
    numbers = [one for one in given if isinstance(one, (int, float)) and not isinstance(one, bool)]
    if len(numbers) != 4 or len(given) != 4:
        raise RequestError(f"within is xmin, ymin, xmax, ymax, got {given!r:.60}")
    xmin, ymin, xmax, ymax = map(float, numbers)
    return xmin, ymin, xmax, ymax


def _shapes(given: list[Any]) -> list[Any]:
    """Return outlines of hexadecimal WKB."""
    try:
        shapes = [shapely.from_wkb(one) for one in given[:EXAMPLES]]
    except (shapely.errors.GEOSException, TypeError, ValueError) as error:
        raise RequestError(f"examples are outlines as hexadecimal WKB ({error})") from error
    wrong = [one for one in shapes if one is None or one.geom_type not in
             ("Polygon", "MultiPolygon") or one.is_empty]  # fmt: skip
    if wrong:
        raise PromptError("examples are polygons, and some of these are not")
    return shapes
