"""``geoiseg review``: which features of a project to look at, and what was found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geoiseg.features import STATES
from geoiseg.features.reviewed import AT, BY
from geoiseg.plain_json import json_text
from geoiseg.session import Session
from geoiseg.session.reviewing import score_of, state_of

ANY = "any"
_SCORE = click.FloatRange(0, 1)


@click.command()
@click.argument("project", type=click.Path(path_type=Path))
@click.argument("ids", metavar="[ID...]", nargs=-1, type=int)
@click.option("--set", "new", type=click.Choice(STATES), help="Give the features of each ID, or"
              " with --all those listed, this state.")  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="With --set: all that would be listed.")
@click.option("--by", help="Who says so. [default: GEOISEG_REVIEWER, or the user's name]")
@click.option("--state", type=click.Choice((*STATES, ANY)), default="to check", show_default=True,
              help="List those of this state.")  # fmt: skip
@click.option("--label", help="List those of this class.")
@click.option("--flag", help="List those with this flag, e.g. drifted.")
@click.option("--min-score", type=_SCORE, help="Least score; leaves out what has none.")
@click.option("--max-score", type=_SCORE, help="Greatest score; leaves out what has none.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def review(
    project: Path, ids: tuple[int, ...], *, new: str | None, everything: bool, by: str | None,
    state: str, as_json: bool, **wanted: Any,
) -> None:  # fmt: skip
    """List the features of PROJECT to look at, the doubtful first; or say what they are.

    With --set the state of the features of each ID is kept with who and when, in the project.
    Rejected features stay there; exports, carry, dataset and train leave them out.
    """
    if (ids or everything) and new is None:
        raise click.UsageError("say what they are with --set, e.g. --set checked")
    if new is not None and bool(ids) == everything:
        raise click.UsageError("with --set name the features by ID, or all listed with --all")
    session = Session.load(project, replay=False)
    if by is not None:
        session.reviewer = by
    listed = session.queue(state=None if state == ANY else state, **wanted)
    if new is not None:
        session.review(listed if everything else ids, new)
    shown = list(ids) or listed
    rows = _rows(session, shown)
    counts = session.review_counts()
    if as_json:
        click.echo(json_text({"features": rows, "counts": counts}, indent=2))
        return
    for row in rows:
        click.echo(_line(row))
    click.echo(", ".join(f"{count} {name}" for name, count in counts.items()))


def _rows(session: Session, ids: list[int]) -> list[dict[str, Any]]:
    known, flags = {one.id: one for one in session.accepted}, session.flags
    return [
        {
            "id": number,
            "label": known[number].label,
            "score": score_of(known[number]),
            "state": state_of(known[number]),
            "flags": list(flags.get(number, ())),
            "by": known[number].attributes.get(BY),
            "at": known[number].attributes.get(AT),
        }
        for number in ids
    ]


def _line(row: dict[str, Any]) -> str:
    score = "     -" if row["score"] is None else f"{row['score']:6.2f}"
    who = f" by {row['by']}" if row["by"] else ""
    return (
        f"{row['id']:>6}  {row['label'] or '-':<16} {score}  {row['state'] + who:<22}"
        f" {', '.join(row['flags'])}".rstrip()
    )
