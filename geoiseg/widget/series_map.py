"""A map for a series of rasters: a list with previous and next above it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ipywidgets

from geoiseg.errors import GeoisegError
from geoiseg.models import Model
from geoiseg.segment import EmbeddingCache
from geoiseg.session import Series
from geoiseg.widget.segment_map import SegmentMap


class SeriesMap(ipywidgets.VBox):  # type: ignore[misc]
    """One map after another, of rasters that share classes, schema and a project.

    ``s.map`` is the map of the raster that is shown, a ``SegmentMap``, and ``s.series`` what is
    behind it.
    """

    def __init__(
        self, rasters: str | Path | Sequence[str | Path], project: str | Path | None = None,
        model: str | Model | None = None, *, cache: EmbeddingCache | None = None, **shown: Any,
    ) -> None:  # fmt: skip
        """Make a map of a series; put it last in a cell, or ``display`` it.

        Args:
            rasters: A folder of rasters, or rasters; as ``Series`` takes them.
            project: Folder of the project.
            model: Name of a model, or a Model.
            cache: Where embeddings are kept.
            **shown: ``basemap`` and ``classes``, as ``SegmentMap`` takes them.

        Raises:
            GeoisegError: The series can not be opened.
        """
        self.series = Series(rasters, project, model, cache=cache, replay=False)
        self._shown, self._lock, self._filling = shown, threading.RLock(), False
        self._before = self._button("arrow-left", "Previous raster", self.previous)
        self._after = self._button("arrow-right", "Next raster", self.next)
        self._carrying = self._button(
            "forward", "Draw these objects on the next raster, and go there", self.carry
        )
        self._list = ipywidgets.Dropdown(layout={"width": "auto", "flex": "1 1 auto"})
        self._list.observe(self._chosen, "value")
        self._said = ipywidgets.HTML()
        self._bar = ipywidgets.HBox(
            [self._before, self._list, self._after, self._carrying, self._said]
        )
        self.map = self._made()
        """The map of the raster that is shown."""
        super().__init__(children=[self._bar, self.map])
        self._update()

    def next(self) -> None:
        """Show the next raster.

        Raises:
            SessionError: This is the last one.
        """
        self.go(self.series.at + 1)

    def previous(self) -> None:
        """Show the raster before.

        Raises:
            SessionError: This is the first one.
        """
        self.go(self.series.at - 1)

    def go(self, to: int | str) -> None:
        """Show a raster by its number from 0, or by its name.

        Raises:
            SessionError: There is none such.
        """
        self._change(lambda: self.series.go(to))

    def carry(self) -> None:
        """Draw the accepted features on the next raster, go there, and open the review.

        Raises:
            SessionError: There is no next raster, nothing to carry, or features there already.
        """
        queue = self._change(self.series.carry)
        self.map.reviewing = bool(queue)

    def _change(self, change: Callable[[], Any]) -> Any:
        """Change the raster and show its map in the place of the one before."""
        with self._lock:
            before = self.map
            found = change()
            self.map = self._made()
            self.children = (self._bar, self.map)
            before.close()
            self._update()
            return found

    def _made(self) -> SegmentMap:
        return SegmentMap(session=self.series.session, **self._shown)

    def _button(self, icon: str, title: str, act: Callable[[], None]) -> ipywidgets.Button:
        button = ipywidgets.Button(icon=icon, tooltip=title, layout={"width": "40px"})
        button.add_class(f"geoiseg-series-{icon}")

        def press(_: Any) -> None:
            self._tell("Working…")
            try:
                act()
                self._tell("")
            except GeoisegError as error:
                self._tell(str(error))

        button.on_click(press)
        return button

    def _tell(self, text: str) -> None:
        escaped = text.replace("&", "&amp;").replace("<", "&lt;")
        self._said.value = f"<span role='status'>{escaped}</span>"

    def _chosen(self, change: Any) -> None:
        if not self._filling and change["new"] not in (None, self.series.at):
            try:
                self.go(change["new"])
            except GeoisegError as error:
                self._tell(str(error))
                self._update()

    def _update(self) -> None:
        """Show where the series is."""
        series, self._filling = self.series, True
        try:
            names = [f"{n + 1}. {one.name}" for n, one in enumerate(series.rasters)]
            self._list.options = list(zip(names, range(len(names)), strict=True))
            self._list.value = series.at
        finally:
            self._filling = False
        self._before.disabled = not series.has_previous
        self._after.disabled = self._carrying.disabled = not series.has_next
