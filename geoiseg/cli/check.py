"""``geoiseg check``: doubtful polygons flagged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geoiseg.errors import ExportError
from geoiseg.features import QualityOptions, Schema, checked, measured_anew, read_schema, summary
from geoiseg.files import check_format, export_features, read_layer
from geoiseg.plain_json import json_text

_LIMIT = click.FloatRange(min=0)


@click.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--layer", help="Layer of IN. [default: features, else the first]")
@click.option("--min-area", type=_LIMIT, default=0.0, show_default=True,
              help="Square metres; smaller ones are flagged as small.")  # fmt: skip
@click.option("--max-parts", type=click.IntRange(min=0), default=1, show_default=True,
              help="More detached parts are flagged as parts; 0 for any.")  # fmt: skip
@click.option("--max-irregularity", type=_LIMIT, default=0.0, show_default=True,
              help="Outline over the convex hull's; more is irregular. 0 for any.")  # fmt: skip
@click.option("--min-compactness", type=_LIMIT, default=0.0, show_default=True,
              help="4 pi area / perimeter²; less is thin.")  # fmt: skip
@click.option("--schema", type=click.Path(path_type=Path),
              help="JSON file with the fields of each class.")  # fmt: skip
@click.option("--column", default="label", show_default=True, help="Column of the class.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON on standard output.")
def check(
    source: Path, out: Path, *, layer: str | None, schema: Path | None, column: str,
    as_json: bool, **limits: Any,
) -> None:  # fmt: skip
    """Flag what is doubtful among the polygons of IN, and write all of them to OUT.

    OUT has the columns compactness, irregularity, parts and flags: words such as small,
    parts, irregular, thin, invalid, missing:crop; empty where nothing is wrong. With a
    schema its columns are typed as it says.
    """
    if check_format(out) == ".tif":
        raise ExportError(f"{out.name!r}: flags are written with vectors; use e.g. .gpkg")
    frame = read_layer(source, layer)
    fields = Schema() if schema is None else read_schema(schema)
    found = checked(fields.typed(measured_anew(frame)), QualityOptions(**limits), fields, column)
    export_features(found, out)
    counts = summary(found)
    flagged = int((found["flags"] != "").sum())
    if as_json:
        facts = {"out": str(out), "features": len(found), "flagged": flagged, "flags": counts}
        click.echo(json_text(facts, indent=2))
    else:
        said = ", ".join(f"{number} {flag}" for flag, number in counts.items())
        tail = f": {said}" if said else ""
        click.echo(f"{flagged} of {len(found)} features flagged{tail}; written to {out}")
