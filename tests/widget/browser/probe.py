"""Run inside the kernel under test: writes what Python holds to a file at every change."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from geoiseg.models.classic.grabcut import GrabCut
from geoiseg.models.protocol import ModelInfo
from geoiseg.raster.crs import reproject_geometry
from geoiseg.widget.segment_map import SegmentMap


class SlowModel(GrabCut):
    """A real engine that takes three seconds to encode."""

    info = ModelInfo("slow", "classic", "Apache-2.0", "slow on purpose", chip_size=256)
    seconds = 3.0

    def embed(self, image: Any, valid: Any) -> Any:
        time.sleep(self.seconds)
        return super().embed(image, valid)


class PatientModel(SlowModel):
    """Another engine that takes a second: there is time to stop it."""

    info = ModelInfo("patient", "classic", "Apache-2.0", "slow, too", chip_size=256)
    seconds = 1.0


class BrokenModel(GrabCut):
    """A real engine that fails at the second prompt."""

    info = ModelInfo("broken", "classic", "Apache-2.0", "fails on purpose", chip_size=256)

    def decode(self, embedding: Any, prompts: Any, previous: Any = None) -> Any:
        if len(prompts.points) > 1:
            raise RuntimeError("the network went up in smoke")
        return super().decode(embedding, prompts, previous)


def state_of(m: SegmentMap) -> dict[str, Any]:
    """Return what a test wants to know of a map, ready for JSON."""
    session = m.session
    crs = session.raster.grid.crs
    geometry = session.geometry

    def centre(shape: Any) -> Any:
        if shape is None:
            return None
        point = reproject_geometry(shape.centroid, crs, "EPSG:4326")
        return [point.x, point.y]

    return {
        "tool": m.tool,
        "label": m.label,
        "model": m.model,
        "labels": list(m.labels.items),
        "steps": [[p.kind, p.positive] for step in session.steps for p in step.prompts],
        "gsd": session.gsd,
        "level": None if session.outcome is None else session.outcome.level,
        "finishing": m.finishing,
        "detail": m.detail,
        "snap": session.snap,
        "mask_pixels": None if m.mask is None else int(np.count_nonzero(m.mask.array)),
        "centre": centre(geometry),
        "area": None if geometry is None else float(geometry.area),
        "vertices": None if geometry is None else len(str(geometry).split(",")),
        "features": [
            {"id": f.id, "label": f.label, "area": f.geometry.area, "centre": centre(f.geometry)}
            for f in session.accepted
        ],
        "editing": session.editing,
        "search": None
        if session.search is None
        else {
            "text": session.search.query.text,
            "threshold": session.search.threshold,
            "all": [
                [one.number, one.score, centre(one.geometry)] for one in session.search.candidates
            ],
            "shown": [one.number for one in session.candidates],
            "picked": session.picked,
        },
        "selected": m.selected,
        "status": dict(m.toolbar.status),
        "layers": m.toolbar.state["layers"],
        "model_bands": list(session.raster.bands),
        "zoom": m.map.zoom,
        "center": list(m.map.center),
        "previewed": bool(m.bridge.preview),
        "preview": m.preview,
        "answered": m.bridge.answered,
        "synced": digest(m),
        "ids": {name: one.model_id for name, one in parts(m).items()},
        "pid": os.getpid(),
    }


def parts(m: SegmentMap) -> dict[str, Any]:
    return {"bridge": m.bridge, "toolbar": m.toolbar, "map": m.map, "box": m}


def digest(m: SegmentMap) -> str:
    """Return a digest of all that is synchronised with the page and should not change alone."""
    known = [
        one.get_state(key)
        for one in parts(m).values()
        for key in sorted(one.keys)
        if key not in {"answered", "status", "preview"}
    ]
    return hashlib.sha256(repr(known).encode()).hexdigest()


def watch(m: SegmentMap, path: str) -> SegmentMap:
    """Write the state of a map to ``path`` at every change from now on."""
    target, lock, dirty = Path(path), threading.Lock(), threading.Event()

    def write() -> None:
        with lock:
            fresh = target.with_suffix(".new")
            fresh.write_text(json.dumps(state_of(m)))
            fresh.replace(target)

    def loop() -> None:
        while True:
            dirty.wait()
            dirty.clear()
            write()

    m.toolbar.observe(lambda _: dirty.set(), ["state", "status"])
    m.bridge.observe(lambda _: dirty.set(), ["mask", "preview", "answered"])
    m.map.observe(lambda _: dirty.set(), ["zoom", "center"])
    threading.Thread(target=loop, daemon=True).start()
    write()
    return m
