"""``geoiseg info``: what geoiseg sees in a raster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from geoiseg.cli.options import Bands, bands_option
from geoiseg.plain_json import json_text
from geoiseg.raster import BandFacts, Raster, composites_of, open_raster


@click.command()
@click.argument("raster")
@bands_option
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def info(raster: str, bands: Bands, as_json: bool) -> None:
    """Show size, CRS, pixel size, bands and contrast of RASTER."""
    facts = describe(open_raster(raster, bands))
    if as_json:
        click.echo(json_text(facts, indent=2))
        return
    known = facts.pop("roles")
    width = max(map(len, facts))
    for key, value in facts.items():
        click.echo(f"{key.replace('_', ' '):<{width}}  {_plain(value)}")
    if len(known) > 1 or known[0]["role"]:
        for line in _lines(known):
            click.echo(line)


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
        "composites": sorted(composites_of(raster.roles)),
        "roles": [_band(raster, one) for one in raster.facts],
    }


def _band(raster: Raster, facts: BandFacts) -> dict[str, Any]:
    """Return what is known of a band."""
    number = facts.number
    role = raster.roles.role_of(number)
    scale, offset = raster.scaling(number)
    return {
        "band": number,
        "name": facts.name or None,
        "role": role,
        "source": None if role is None else raster.role_sources[role],
        "wavelength_um": raster.wavelengths.get(number),
        "scale": scale,
        "offset": offset,
    }


def _lines(bands: list[dict[str, Any]]) -> Iterator[str]:
    """Yield a line for each band: what it is, and where that was found."""
    for one in bands:
        parts = [one["role"] or "not known"]
        if one["source"]:
            parts.append(f"by {one['source']}")
        elif one["name"]:
            parts.append(f"called {one['name']!r}")
        if one["wavelength_um"]:
            parts.append(f"{one['wavelength_um']:.4g} µm")
        if (one["scale"], one["offset"]) != (1.0, 0.0):
            parts.append(f"x {one['scale']:.6g} {one['offset']:+.6g}")
        yield f"  band {one['band']:<4} {', '.join(parts)}"


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
