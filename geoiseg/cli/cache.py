"""``geoiseg cache``: what is kept of encoded rasters, and how to be rid of it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from geoiseg.home import home
from geoiseg.plain_json import json_text
from geoiseg.segment import DiskStore, default_store
from geoiseg.segment.embeddings.settings import FOLDER, size_text


@click.group()
def cache() -> None:
    """Look at, or clear, the embeddings that are kept on disk."""


@cache.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def info(as_json: bool) -> None:
    """Say where embeddings are kept, how many, and of which rasters."""
    store = default_store()
    kept = DiskStore(home() / FOLDER) if store is None else store
    limit = 0 if store is None else store.limit
    found = kept.usage()
    total = sum(one.nbytes for one in found)
    if as_json:
        report = {
            "folder": str(kept.folder),
            "limit": limit,
            "nbytes": total,
            "shared": [str(at) for at in kept.shared] + [one.folder for one in kept.remotes],
            "rasters": [asdict(one) for one in found],
        }
        click.echo(json_text(report, indent=2))
        return
    bound = f"of at most {size_text(limit)}" if limit else "(off: GEOISEG_CACHE_LIMIT)"
    click.echo(f"{kept.folder}: {size_text(total)} {bound}")
    for one in found:
        day = datetime.fromtimestamp(one.used, UTC).strftime("%Y-%m-%d")
        name = one.name or "unknown"
        click.echo(f"{size_text(one.nbytes):>9}  {one.entries:>6} chips  used {day}  {name}")


@cache.command()
@click.argument("raster", required=False)
def clear(raster: str | None) -> None:
    """Remove all embeddings, or those of RASTER as `geoiseg cache info` names it."""
    store = default_store() or DiskStore(home() / FOLDER)
    names = {None} if raster is None else {raster, str(Path(raster).absolute())}
    freed = sum(store.clear(name) for name in names)
    click.echo(f"{size_text(freed)} freed")
