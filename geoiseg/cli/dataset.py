"""``geoiseg dataset``: features as a data set for training, and COCO annotations back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from geoiseg.console import bar_options
from geoiseg.errors import ExportError
from geoiseg.features import without_rejected
from geoiseg.files import check_apart, check_format, check_layer_free, export_features
from geoiseg.files.coco import read_coco
from geoiseg.files.training_set import Source, TrainingOptions, write_training_set
from geoiseg.plain_json import json_text
from geoiseg.session import Session

_PATH = click.Path(path_type=Path)


def _shares(context: click.Context, parameter: click.Parameter, value: str) -> Any:
    """Return three shares of a text such as ``0.8,0.1,0.1``, or fail as usage."""
    try:
        shares = tuple(float(one) for one in value.split(","))
    except ValueError:
        shares = ()
    if len(shares) != 3 or min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
        raise click.BadParameter("three shares that make 1, e.g. 0.8,0.1,0.1", context, parameter)
    return shares


@click.command()
@click.argument("sources", metavar="IN...", nargs=-1, required=True, type=_PATH)
@click.argument("out", type=_PATH)
@click.option("--format", "kind", type=click.Choice(["coco", "yolo", "masks"]), default="coco",
              show_default=True, help="COCO, polygons for YOLO, or class maps.")  # fmt: skip
@click.option("--size", type=click.IntRange(32, 8192), default=512, show_default=True,
              help="Pixels of a chip's side.")  # fmt: skip
@click.option("--image", "form", type=click.Choice(["png", "tif", "npy"]), default="png",
              show_default=True, help="With --format masks: files of masks and chips.")  # fmt: skip
@click.option("--splits", callback=_shares, default="0.8,0.1,0.1", show_default=True,
              help="Shares of training, validation and test.")  # fmt: skip
@click.option("--block", type=click.IntRange(min=1), default=2, show_default=True,
              help="Chips a side of the blocks of ground that go to one split.")  # fmt: skip
@click.option("--rle", is_flag=True, help="COCO: all objects as run lengths.")
@click.option("--empty", is_flag=True, help="Also write chips without objects.")
@click.option("--images", type=_PATH, help="To read COCO of others: folder of its GeoTIFFs.")
@click.option("--json", "as_json", is_flag=True, help="Report as JSON on standard output.")
def dataset(
    sources: tuple[Path, ...], out: Path, *, images: Path | None, as_json: bool, **how: Any
) -> None:
    """Write the features of projects as a data set to train models on; or read COCO back.

    IN is one project or more, and OUT a folder: chips in images/, by split, with annotations/,
    labels/ or masks/, and dataset.yaml. Splits are made by ground, in blocks, not at random. With a
    COCO file (.json) as IN, OUT is a vector file with its objects on the ground.
    """
    if [one.suffix.lower() for one in sources] == [".json"]:
        _read(sources[0], out, images, as_json=as_json)
        return
    sessions = [Session.load(source, replay=False) for source in sources]
    options = TrainingOptions(**how)
    with tqdm(unit="chip", **bar_options()) as bar:

        def tell(done: int, whole: int) -> None:
            bar.total = whole
            bar.update(done - bar.n)

        made = [Source(one.raster, without_rejected(one.features)) for one in sessions]
        written = write_training_set(made, out, options, tell)
    facts = {"out": str(out), "classes": list(written.classes), "chips": written.chips,
             "objects": written.objects}  # fmt: skip
    if as_json:
        click.echo(json_text(facts, indent=2))
        return
    said = ", ".join(f"{written.chips[name]} {name}" for name in written.chips)
    count = sum(written.objects.values())
    click.echo(f"{said} chips with {count} objects of {len(written.classes)} classes in {out}")


def _read(source: Path, out: Path, images: Path | None, *, as_json: bool) -> None:
    if check_format(out) == ".tif":
        raise ExportError(f"{out.name!r}: annotations become vectors; use e.g. .gpkg")
    check_layer_free(out)
    check_apart(out, source)
    frame = read_coco(source, images)
    export_features(frame, out)
    if as_json:
        click.echo(json_text({"out": str(out), "objects": len(frame)}, indent=2))
    else:
        click.echo(f"{len(frame)} objects written to {out}")
