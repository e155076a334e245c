"""``geoiseg info``: what geoiseg sees in a raster."""

from __future__ import annotations

from typing import Any

import click

from geoiseg.cli.options import bands_option
from geoiseg.plain_json import json_text
from geoiseg.raster import Raster, open_raster


@click.command()
@click.argument("raster")
@bands_option
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def info(raster: str, bands: tuple[int, ...] | None, as_json: bool) -> None:
    """Show size, CRS, pixel size, bands and contrast of RASTER."""
    facts = describe(open_raster(raster, bands))
    if as_json:
        click.echo(json_text(facts, indent=2))
        return
    width = max(map(len, facts))
    for key, value in facts.items():
        click.echo(f"{key.replace('_', ' '):<{width}}  {_plain(value)}")


def describe(raster: Raster) -> dict[str, Any]:
    """Return what is worth knowing of a raster, ready for JSON."""
    grid, stretch = raster.grid, raster.stretch
    metres = grid.pixel_size_metres()
    return {
        "raster": raster.name,
        "width": grid.width,
        "height": grid.height,
        "bands": raster.count,
        "dtype": raster.dtype,
        "bands_used": list(raster.bands),
        "crs": grid.crs.to_string() if grid.crs else None,
        "transform": list(grid.transform)[:6],
        "bounds": list(grid.bounds),
        "pixel_size": list(grid.pixel_size),
        "pixel_size_m": metres,
        "rotated": not grid.is_axis_aligned,
        "levels": grid.top_level + 1,
        "stretch": [list(stretch.low), list(stretch.high)],
    }


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value)
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
