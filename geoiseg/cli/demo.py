"""``geoiseg demo``: the main job, with nothing to prepare."""

from __future__ import annotations

from pathlib import Path

import click
from tqdm import tqdm

from geoiseg.cli.options import chosen_model, model_option
from geoiseg.console import bar_options


@click.command()
@click.argument("raster", required=False)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("geoiseg-demo"), show_default=True,
    help="Folder for the files.",
)  # fmt: skip
@model_option
@click.option("--size", type=click.IntRange(128, 8192), default=2048, show_default=True,
              help="Side of the made scene in pixels.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="Another seed makes another landscape.")  # fmt: skip
def demo(raster: str | None, out: Path, model: str, size: int, seed: int) -> None:
    """Segment a made scene, or RASTER with clicks of its own choice, and report on it."""
    from geoiseg.demo.run import DemoOptions, run_demo

    options = DemoOptions(out, raster, chosen_model(model), size, seed)
    with tqdm(unit="object", **bar_options(), leave=False) as bar:

        def advance(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        result = run_demo(options, lambda text: click.echo(f"... {text}", err=True), advance)
    found = [one for one in result.results if one.feature_id is not None]
    click.echo(f"{len(found)} of {len(result.results)} objects in {result.seconds:.1f} s:")
    width = max(len(one.name) for one in result.results)
    for one in result.results:
        iou = f"IoU {result.iou[one.name]:.2f}" if one.name in result.iou else ""
        state = iou or "found" if one.error is None else one.error
        spent = sum(one.milliseconds.values())
        click.echo(f"  {one.name:<{width}}  {spent:7.0f} ms  {state}")
    if result.iou:
        mean = sum(result.iou.values()) / len(result.iou)
        click.echo(f"  {'mean':<{width}}  {'':7}     IoU {mean:.2f}")
    click.echo("\nFiles:")
    for file in (*result.files, result.report):
        click.echo(f"  {file}")
    from geoiseg.demo.run import how_to

    for heading, text in how_to(result.session, out):
        body = "\n".join(f"  {line}" for line in text.splitlines())
        click.echo(f"\n{heading}:\n{body}")
