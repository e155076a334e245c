"""What a run has done, for people and for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from geoiseg.tiled.judged import Quality

SHOWN = 20
"""Failures that the text lists; JSON has them all."""


@dataclass(frozen=True, slots=True)
class FailedArea:
    """A part of the raster that is missing in the output."""

    window: int
    """Number of the window; of the group where there are prompts."""
    bounds: tuple[float, float, float, float]
    """``xmin, ymin, xmax, ymax`` in the raster's CRS."""
    error: str
    attempts: int


@dataclass(frozen=True, slots=True)
class MissingObject:
    """An object of the file of prompts that was not found, or was made without some rows."""

    name: str
    error: str


@dataclass(frozen=True, slots=True)
class Refined:
    """What became of outlines that others drew."""

    outlines: int
    fit: int
    """That are still there."""
    moved_m: float | None
    """Metres by which the borders of these moved: the median of their means."""
    unit: str = "m"
    """``px`` where the raster has no CRS."""

    def text(self) -> str:
        """Return it in one line."""
        far = (
            ""
            if self.moved_m is None
            else f"; their borders moved by {self.moved_m:.2g} {self.unit}"
        )
        return f"{self.fit} of {self.outlines} outlines still fit{far}"


@dataclass(frozen=True, slots=True)
class MapReport:
    """What a run has done."""

    out: Path
    raster: str
    model: str
    tiles: int
    """In the area of interest; groups of objects where there are prompts."""
    windows: int
    """What the model looked at, the same whatever the tiles; 0 where there are prompts."""
    objects: int
    """Written."""
    area_m2: float
    """Of all objects together; 0 where the CRS has no metres."""
    megapixels: float
    """Of the windows that this run did."""
    seconds: float
    """Wall time of this run."""
    peak_mb: float
    """Most memory that one process of the run ever held, in 10^6 bytes; 0 where unknown."""
    phases: dict[str, float] = field(default_factory=dict)
    """Seconds of all workers together, by phase, earlier runs included."""
    failures: tuple[FailedArea, ...] = ()
    missing: tuple[MissingObject, ...] = ()
    quality: Quality | None = None
    """By labels, where there are some."""
    refined: Refined | None = None
    """Where outlines were refined."""
    scales: tuple[int, ...] = ()
    """Reductions at which windows were looked at in the dense modes."""
    looked: str = ""
    """These and why, in a line."""
    redo: str = "segment_raster(..., resume=True)"
    """What to run to do the failed windows again."""

    @property
    def complete(self) -> bool:
        """Whether every window was done and every prompted object found."""
        return not (self.failures or self.missing)

    @property
    def megapixels_per_second(self) -> float:
        """Rate of this run, writing included."""
        return self.megapixels / self.seconds if self.seconds > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        values = asdict(self)
        values["out"] = str(self.out)
        values["complete"] = self.complete
        values["megapixels_per_second"] = self.megapixels_per_second
        return values

    def text(self) -> str:
        """Return everything that matters in a few lines."""
        size = f"{self.tiles} tiles, {self.megapixels:.1f} Mpx in {self.seconds:.1f} s"
        rate = f"{self.megapixels_per_second:.2f} Mpx/s"
        lines = [f"{self.objects} objects written to {self.out}", f"{size} ({rate})"]
        if self.looked:
            lines.append(self.looked)
        if self.area_m2 > 0:
            lines.append(f"objects cover {self.area_m2 / 1e4:.2f} ha")
        if self.peak_mb > 0:
            lines.append(f"peak memory of a process: {self.peak_mb:.0f} MB")
        if self.quality is not None:
            lines.append(self.quality.text())
        if self.refined is not None:
            lines.append(self.refined.text())
        lines += self.problems()
        return "\n".join(lines)

    def problems(self) -> list[str]:
        """Return a line for each of the first failures, and one on what to do."""
        lines = []
        for failed in self.failures[:SHOWN]:
            bounds = ", ".join(f"{value:.10g}" for value in failed.bounds)
            lines.append(
                f"window {failed.window} at ({bounds}) failed {failed.attempts} times:"
                f" {failed.error}"
            )
        if len(self.failures) > SHOWN:
            lines.append(f"... and {len(self.failures) - SHOWN} more windows")
        if self.failures:
            lines.append(f"do them again with: {self.redo}")
        lines += [f"object {item.name}: {item.error}" for item in self.missing[:SHOWN]]
        if len(self.missing) > SHOWN:
            lines.append(f"... and {len(self.missing) - SHOWN} more objects")
        return lines
