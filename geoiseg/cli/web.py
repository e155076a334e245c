"""``geoiseg web``: the page that needs no Python."""

from __future__ import annotations

from pathlib import Path

import click

from geoiseg.models import DEFAULT_MODEL


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.argument(
    "raster", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@click.option("-m", "--model", default=DEFAULT_MODEL, show_default=True,
              help="A network of tiny's family.")  # fmt: skip
def web(out: Path, raster: Path | None, model: str) -> None:
    """Write into OUT a web page on which GeoTIFFs are segmented by clicks.

    It needs no Python and no server of its own: the model runs in the browser, and files that
    are dropped on the page stay on their machine. With RASTER it is copied and shown at once.
    """
    from geoiseg.web.site import write_site

    site = write_site(out, raster, model)
    click.echo(f"{site.folder}: {site.files} files, {site.nbytes / 1e6:.0f} MB")
    click.echo(f"show it: python -m http.server --directory {site.folder}")
    click.echo("and open http://localhost:8000")
