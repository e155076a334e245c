"""One user's work on one raster, without a user interface.

In: prompts, accepts, undo. Out: immutable states, and the project file that they are saved to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoiseg.lazy import lazy

if TYPE_CHECKING:
    from geoiseg.files.keeping import is_project
    from geoiseg.session.carrying import Carried, first_rows
    from geoiseg.session.core import State
    from geoiseg.session.drift import DriftOptions, date_in
    from geoiseg.session.learning import CarryOptions
    from geoiseg.session.opening import resumed
    from geoiseg.session.project import line_of_project, load_project
    from geoiseg.session.series import Series
    from geoiseg.session.session import Session

__all__ = [
    "Carried",
    "CarryOptions",
    "DriftOptions",
    "Series",
    "Session",
    "State",
    "date_in",
    "first_rows",
    "is_project",
    "line_of_project",
    "load_project",
    "resumed",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "carrying": ["Carried", "first_rows"],
        "core": ["State"],
        "drift": ["DriftOptions", "date_in"],
        "learning": ["CarryOptions"],
        "opening": ["resumed"],
        "project": ["is_project", "line_of_project", "load_project"],
        "series": ["Series"],
        "session": ["Session"],
    },
)
