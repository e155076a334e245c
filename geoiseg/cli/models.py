"""``geoiseg models``: what there is to segment with."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from geoiseg.models.registry import DEFAULT_MODEL, get_model, model_names


@click.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """List the models."""
    if context.invoked_subcommand is None:
        context.invoke(list_models)


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_models(as_json: bool = False) -> None:
    """List all models with family, licence and whether they can be used right now."""
    infos = [get_model(name).info for name in model_names()]
    if as_json:
        rows = [{**asdict(info), "default": info.name == DEFAULT_MODEL} for info in infos]
        click.echo(json.dumps(rows, indent=2))
        return
    width = max(len(info.name) for info in infos)
    for info in infos:
        mark = "*" if info.name == DEFAULT_MODEL else " "
        click.echo(
            f"{mark} {info.name:<{width}}  {info.family:<8} {info.licence:<11} {info.description}"
        )
    click.echo("\n* the default")
