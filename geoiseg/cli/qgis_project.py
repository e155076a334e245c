"""``geoiseg qgis-project``: a raster and its layers as a project for QGIS."""

from __future__ import annotations

from pathlib import Path

import click

from geoiseg.cli.options import Bands, bands_option
from geoiseg.files import export_qgis_project
from geoiseg.raster import open_raster


@click.command("qgis-project")
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("layers", nargs=-1, type=click.Path(path_type=Path))
@click.option("--raster", help="The raster under the layers.")
@bands_option
def qgis_project(out: Path, layers: tuple[Path, ...], raster: str | None, bands: Bands) -> None:
    """Write OUT, a project that opens vector files and a raster together in QGIS.

    OUT is .qgz or .qgs, for QGIS 3.22 and newer. Paths in it are relative: move it together
    with its files. The raster is shown as geoiseg sees it; layers keep the style that they
    bring, or are coloured by label.
    """
    picture = None if raster is None else open_raster(raster, bands)
    export_qgis_project(out, layers, picture)
    count = len(layers) + (picture is not None)
    click.echo(f"{out} opens {count} layers" if count > 1 else f"{out} opens 1 layer")
