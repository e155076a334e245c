"""``geoiseg serve``: sessions for programs that speak the Model Context Protocol."""

from __future__ import annotations

import runpy

import click

from geoiseg.errors import require


@click.command()
@click.option("--stdio", is_flag=True, required=True,
              help="On standard input and output; no port is opened.")  # fmt: skip
def serve(stdio: bool) -> None:  # noqa: ARG001 - there is one way so far, which has to be named
    """Serve the Model Context Protocol: open rasters, prompt, accept, export, see the state.

    It needs: pip install 'geoiseg[mcp]'. The program that starts it names this command as
    its server; docs/agents.md lists the tools.
    """
    require("mcp", "mcp")
    runpy.run_module("geoiseg.companion.spoken", run_name="__main__")
