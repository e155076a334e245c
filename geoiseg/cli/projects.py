"""Projects that commands take."""

from __future__ import annotations

from pathlib import Path

import click

from geoiseg.session import Session, resumed


def session_of(project: Path) -> Session:
    """Return the session of a project without its object in progress.

    One line tells where its own model can not be had.

    Raises:
        GeoisegError: It can not be opened.
    """
    session, said = resumed(project, replay=False)
    if said:
        click.echo(f"geoiseg: {project}: opened {said}", err=True)
    return session
