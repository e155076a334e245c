"""``geoiseg carry``: the objects of a project on the rasters of other dates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import geopandas as gpd
import numpy as np
import pandas as pd
from tqdm import tqdm

from geoiseg.console import bar_options
from geoiseg.errors import ExportError, SessionError
from geoiseg.files import check_apart, check_format, check_layer_free, export_features
from geoiseg.plain_json import json_text
from geoiseg.raster import measure
from geoiseg.segment import Watch
from geoiseg.session import Carried, CarryOptions, DriftOptions, Session, date_in, first_rows

_PATH = click.Path(path_type=Path)
_SHARE = click.FloatRange(min=0)


@click.command()
@click.argument("project", type=_PATH)
@click.argument("rasters", metavar="RASTER...", nargs=-1, required=True)
@click.argument("out", type=_PATH)
@click.option("--dates", help="Dates of the project's raster and of each RASTER, with commas, e.g."
              " 1985,1995-07-31. [default: what their names say]")  # fmt: skip
@click.option("--register", is_flag=True, help="Find how far each raster lies off the first one,"
              " and follow.")  # fmt: skip
@click.option("--how", type=click.Choice(["auto", "colours", "model"]), default="auto",
              show_default=True, help="What draws the outlines: colours in all bands, the model,"
              " or whichever finds an object better on the first raster.")  # fmt: skip
@click.option("--moved", type=_SHARE, default=0.5, show_default=True,
              help="Flag objects whose IoU with the date before is below this.")  # fmt: skip
@click.option("--resized", type=_SHARE, default=0.3, show_default=True,
              help="Flag objects that gained or lost more than this share of their area.",
              )  # fmt: skip
@click.option("--appeared", is_flag=True, help="Also write what is like an object and is new.")
@click.option("--projects", type=_PATH, metavar="FOLDER",
              help="Also keep a project of each RASTER here, to look at and go on with.",
              )  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Report as JSON on standard output.")
def carry(  # noqa: PLR0913 - click hands options over one by one
    project: Path, rasters: tuple[str, ...], out: Path, *, dates: str | None, register: bool,
    how: Any, moved: float, resized: float, appeared: bool, projects: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Start the objects of PROJECT on each RASTER in turn, draw them there, and write OUT.

    OUT has one row for each object and date, with the columns object, date, change (first, kept,
    drifted, vanished, outside), flags, iou_before and area_change; shoreline takes it as it is.
    Rasters may differ in size and CRS. OUT is .gpkg, .shp, .geojson, .fgb or .parquet.
    """
    if check_format(out) == ".tif":
        raise ExportError(f"{out.name!r}: objects by date are written as vectors; use e.g. .gpkg")
    check_layer_free(out)
    check_apart(out, project, *rasters)
    kept = _places(projects, rasters)
    session = Session.load(project, replay=False)
    days = _days(dates, (session.raster.name, *rasters))
    options: CarryOptions | None = CarryOptions(register, how, drift=DriftOptions(moved, resized))
    layers, done = [first_rows(session, days[0])], []
    at: Any = session
    known = max((one.id for one in session.accepted), default=0)
    with tqdm(total=len(rasters) * len(layers[0]), unit="object", **bar_options()) as bar:

        def tell(said: str) -> None:
            if said.startswith("object "):
                bar.update()

        for raster, day in zip(rasters, days[1:], strict=True):
            bar.set_description(day)
            at = at.carry(raster, day, options=options, watch=Watch(tell))
            options = None
            layers.append(at.features)
            done.append(at)
            if appeared and at.appeared:
                layers.append(_new(at, known))
                known += len(at.appeared)
    export_features(_joined(layers), out)
    for one, place in zip(done, kept, strict=False):
        one.session.save(place)
    if as_json:
        click.echo(json_text({"out": str(out), "dates": [_told(one) for one in done]}, indent=2))
        return
    for one in done:
        click.echo(_said(one))
    click.echo(f"{len(layers[0])} objects on {len(days)} dates written to {out}")


def _days(dates: str | None, names: tuple[str, ...]) -> list[str]:
    """Return a date for each raster."""
    if dates is not None:
        days = [day.strip() for day in dates.split(",")]
        if len(days) != len(names) or not all(days):
            raise click.UsageError(
                f"--dates takes {len(names)}: of the project's raster and of each RASTER"
            )
        return days
    found = [date_in(name) for name in names]
    missing = [name for name, day in zip(names, found, strict=True) if day is None]
    if missing:
        raise click.UsageError(f"the name of {missing[0]} says no date; give --dates")
    return [day or "" for day in found]


def _places(folder: Path | None, rasters: tuple[str, ...]) -> list[Path]:
    """Return where the project of each raster is kept; none where they are not.

    Raises:
        SessionError: One is there already, or two would have one name.
        ExportError: The folder can not be made.
    """
    if folder is None:
        return []
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"{folder} can be no folder for projects: {error.strerror}") from error
    stems = [Path(name).stem for name in rasters]
    if len(set(stems)) < len(stems):
        stems = [f"{Path(name).parent.name}_{Path(name).stem}" for name in rasters]
    if len(set(stems)) < len(stems):
        raise SessionError("two rasters have one name: their projects can not lie in one folder")
    places = [folder / f"{stem}.gpkg" for stem in stems]
    for place in places:
        if place.exists():
            raise SessionError(f"{place} is there already; choose another folder")
    return places


def _new(one: Carried, known: int) -> gpd.GeoDataFrame:
    """Return rows of what appeared, numbered after all that is known, other dates' too."""
    crs = one.features.crs
    shapes = [shape for _, shape in one.new]
    rows = {
        "object": np.arange(known + 1, known + 1 + len(shapes)),
        "label": [label for label, _ in one.new],
        "date": one.date,
        "change": "appeared",
        "area_m2": [measure(shape, crs)[0] for shape in shapes],
        "source": one.session.raster.name,
    }
    return gpd.GeoDataFrame(rows, geometry=np.array(shapes, object), crs=crs)


def _joined(layers: list[gpd.GeoDataFrame]) -> gpd.GeoDataFrame:
    table = pd.concat([pd.DataFrame(one) for one in layers], ignore_index=True)
    return gpd.GeoDataFrame(table, geometry="geometry", crs=layers[0].crs)


def _told(one: Carried) -> dict[str, Any]:
    """Return what happened on a date, ready for JSON."""
    return {
        "raster": one.session.raster.name,
        "date": one.date,
        "shift_m": one.shift.metres,
        "registered": one.shift.believed,
        "objects": [{**drift.columns, "flags": list(drift.flags)} for drift in one.drifts],
        "to_review": list(one.queue),
        "appeared": len(one.appeared),
    }


def _said(one: Carried) -> str:
    kinds = [drift.change for drift in one.drifts]
    counts = [f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)]
    text = f"{one.date}: {', '.join(counts)}"
    if one.queue:
        text += f"; look at {', '.join(map(str, one.queue[:10]))}"
        text += "..." if len(one.queue) > 10 else ""
    if one.shift.believed:
        text += f"; lies {one.shift.metres:.1f} m off"
    return text
