"""What the page asks for, turned into the map's own methods."""

from __future__ import annotations

import logging
from dataclasses import asdict

import numpy as np
import shapely

from geoiseg.errors import GeoisegError, SessionError
from geoiseg.models.naming import NAME
from geoiseg.widget.base_map import BaseMap
from geoiseg.widget.channel.actions import (
    ACTIONS,
    HAND_TOOLS,
    NEGATIVE,
    PICK,
    REGION,
    REVIEW,
    TOOLS,
    WIRE,
)
from geoiseg.widget.channel.messages import (
    Choose,
    ClassChange,
    Click,
    Do,
    Drag,
    Export,
    LayerChange,
    LookChange,
    Message,
    Move,
    Ready,
    ReviewFilter,
    SetNumber,
    Upload,
    VertexChange,
    View,
    Words,
)
from geoiseg.widget.channel.uploads import read_layer
from geoiseg.widget.reshaping import SHAPES

log = logging.getLogger(__name__)

REACH = 6
"""Screen pixels around the cursor in which a feature is hit."""
METHODS = {
    **{
        name: name
        for name in ("undo", "redo", "cancel", "edit", "delete", "grow", "sharpen", "save")
    },
    "suggest": "suggest_click",
    "choose": "next_answer",
}
"""Methods of the map that do what a command asks for."""
SWITCHES = ("preview", "by-itself", "accept-waits")
"""Commands that turn something on or off."""
BY_HAND = frozenset(tool.name for tool in HAND_TOOLS)
REVIEWING = frozenset(action.name for action in REVIEW)
TOOL_NAMES = frozenset(tool.name for tool in TOOLS) | BY_HAND


class Controller:
    """Acts on the messages of one map. It never waits: the page's thread is free at once."""

    def __init__(self, owner: BaseMap) -> None:
        self._map = owner

    def __call__(self, message: Message) -> None:
        """Act on a message; what goes wrong is shown on the map."""
        owner = self._map
        try:
            self._act(message)
        except GeoisegError as error:
            log.info("%s", error)
            owner.show_error(str(error))
        except Exception as error:
            log.exception("%s failed", type(message).__name__)
            owner.show_error(f"{type(message).__name__} failed: {error}")

    def _act(self, message: Message) -> None:  # noqa: C901, PLR0912 - one line per message
        owner = self._map
        match message:
            case Click():
                self._click(message)
            case Drag():
                self._drag(message)
            case VertexChange():
                owner.hand_tools.vertex(message)
            case Move():
                (owner.wire if owner.tool == WIRE else owner.lookout).hover(message)
            case View():
                owner.lookout.look(message)
            case Do():
                if owner.tool != WIRE or not owner.wire.do(message.name):
                    self._do(message.name)
            case Choose():
                self._choose(message)
            case ClassChange():
                self._change_class(message)
            case SetNumber():
                self._set(message)
            case LayerChange():
                self._change_layer(message)
            case LookChange():
                self._change_look(message)
            case Words():
                self._words(message)
            case ReviewFilter():
                owner.show_only(**asdict(message))
            case Export():
                owner.export_as(message.name, message.format)
            case Upload():
                owner.add_features(read_layer(message.name, message.data), wait=False)
            case Ready():
                owner.refresh()
            case _:
                raise SessionError(f"nothing is done with {type(message).__name__}")

    def _click(self, click: Click) -> None:
        owner = self._map
        if owner.tool in BY_HAND:
            owner.hand_tools.click(self.hit(click.at, click.zoom))
            return
        if owner.tool == WIRE:
            owner.wire.click(click)
            return
        if owner.tool in (PICK, REGION) and not click.negative:
            hit = self.hit(click.at, click.zoom)
            if owner.tool == REGION:
                if hit is None:
                    raise SessionError("there is no accepted feature here to start from")
                owner.add_region(hit, wait=False)
            elif hit is not None and hit == owner.selected and owner.session.editing != hit:
                owner.edit(hit, wait=False)
            else:
                owner.select(hit)
            return
        x, y = owner.frame.xy(click.at)
        negative = click.negative or owner.tool == NEGATIVE
        if owner.take_at(x, y, owner.frame.crs, negative=negative):
            owner.refresh()  # takes away the mark that the page drew
            return
        positive = owner.tool != NEGATIVE and not click.negative
        gsd = owner.scale_at(click.at, click.zoom)
        owner.add_point(x, y, positive, owner.frame.crs, gsd=gsd, wait=False)

    def _drag(self, drag: Drag) -> None:
        owner = self._map
        if owner.tool in BY_HAND and not drag.box:
            owner.hand_tools.drag(drag)
            return
        gsd = owner.scale_at(drag.at[0], drag.zoom)
        xy = [owner.frame.xy(place) for place in drag.at]
        if drag.box:
            (xmin, ymin), (xmax, ymax) = np.min(xy, axis=0).tolist(), np.max(xy, axis=0).tolist()
            owner.add_box(xmin, ymin, xmax, ymax, owner.frame.crs, gsd=gsd, wait=False)
        else:
            owner.add_scribble(xy, not drag.negative, owner.frame.crs, gsd=gsd, wait=False)

    def hit(self, at: tuple[float, float], zoom: float) -> int | None:
        """Return the id of the accepted feature at a place on the map, the smallest if several."""
        owner = self._map
        hidden = owner.hidden
        features = [one for one in owner.session.accepted
                    if one.geometry is not None and one.id not in hidden]  # fmt: skip
        if not features:
            return None
        grid = owner.session.raster.grid
        here, beside = (
            shapely.Point(grid.to_crs(owner.frame.pixel(place))[0])
            for place in (at, (at[0], at[1] + 360 / 256 / 2**zoom * REACH))
        )
        near = shapely.distance([one.geometry for one in features], here) <= here.distance(beside)
        found = [one for one, is_near in zip(features, near, strict=True) if is_near]
        inside = [one for one in found if one.geometry.covers(here)] or found
        return min(inside, key=lambda one: one.geometry.area).id if inside else None

    def _do(self, name: str) -> None:  # noqa: C901 - one line per command
        owner = self._map
        if name in TOOL_NAMES:
            owner.tool = name
        elif name.startswith("class-"):
            place = int(name.removeprefix("class-"))
            if place < len(owner.labels):
                self._use_label(list(owner.labels)[place])
        elif name == "accept":
            if owner.session.outcome is not None or owner.busy:
                owner.accept(wait=False)
            elif owner.selected is not None:
                owner.edit(wait=False)
        elif name in METHODS:
            getattr(owner, METHODS[name])(wait=False)
        elif name in REVIEWING:
            owner.act_on_review(name)
        elif name in SWITCHES:
            self._switch(name)
        elif name == "like":
            owner.more_like(wait=False)
        elif name in ("stop", "fit", "stop-training"):
            getattr(owner, name.replace("-", "_"))()
        else:
            raise SessionError(f"nothing is done for {name!r} of {', '.join(ACTIONS)}")

    def _switch(self, name: str) -> None:
        owner = self._map
        if name == "preview":
            owner.preview = not owner.preview
        elif name == "by-itself":
            owner.use_detail("seen" if owner.detail == "native" else "native")
        else:
            owner.use_detail(owner.detail, waits=not owner.accept_waits)

    def _use_label(self, name: str) -> None:
        owner = self._map
        if owner.selected is not None and owner.session.editing is None:
            owner.relabel(owner.selected, name, wait=False)
        owner.label = name

    def _choose(self, choice: Choose) -> None:
        owner = self._map
        if choice.what == "tool":
            owner.tool = choice.name
        elif choice.what == "follows":
            owner.wire.follows = choice.name
        elif choice.what == "model":
            if choice.name not in owner.model_choices:
                raise SessionError(f"there is no model {choice.name!r} to choose")
            owner.use_model(owner.known_model(choice.name), wait=False)
        elif choice.what == "train":
            if not NAME.fullmatch(choice.name):
                raise SessionError(f"the page gives a model a name, not a path: {choice.name!r}")
            owner.train(choice.name, wait=False)
            owner.refresh()
        elif choice.name in owner.labels:
            self._use_label(choice.name)
        else:
            raise SessionError(f"there is no class {choice.name!r}")

    def _set(self, change: SetNumber) -> None:
        if change.what == "threshold":
            self._map.use_threshold(change.value, wait=False)
        elif change.what == "brush":
            self._map.brush = change.value
        elif change.what == "snap":
            self._map.use_snap(change.value, wait=False)
        elif change.what in SHAPES:
            self._map.reshape(change.accepted, wait=False, **{change.what: change.value})
        else:
            self._map.simplify = change.value

    def _words(self, words: Words) -> None:
        if words.action == "accept":
            self._map.accept_candidates(wait=False)
        elif words.action == "clear":
            self._map.clear_search(wait=False)
        else:
            self._map.add_text(words.text, words.negative or None, wait=False)

    def _change_class(self, change: ClassChange) -> None:
        owner = self._map
        if change.change == "add":
            owner.add_label(change.name, wait=False)
            owner.label = change.name
        elif change.change == "rename":
            owner.rename_label(change.name, change.to, wait=False)
        else:
            owner.colour_label(change.name, change.to, wait=False)

    def _change_layer(self, change: LayerChange) -> None:
        owner = self._map
        layer = owner.rasters.find(change.layer)
        if change.opacity is not None:
            layer.layer.opacity = change.opacity
        if change.visible is not None:
            layer.layer.visible = change.visible
        if change.bands is not None or change.stretch is not None:
            owner.show_as(change.layer, change.bands, change.stretch, wait=False)
        else:
            owner.refresh()

    def _change_look(self, change: LookChange) -> None:
        owner = self._map
        if change.composite or change.bands:
            owner.show_as(change.layer, change.composite or change.bands, wait=False)
        if change.auto is not None:
            owner.auto_contrast(change.layer, change.auto, change.percent, wait=False)
        if change.gamma is not None or change.ramp is not None:
            owner.paint_as(change.layer, change.gamma, change.ramp, wait=False)
        if change.linked is not None:
            owner.segment_as_seen(change.linked, wait=False)
