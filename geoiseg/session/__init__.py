"""One user's work on one raster, without a user interface.

In: prompts, accepts, undo. Out: immutable states, and the project file that they are saved to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoiseg.lazy import lazy

if TYPE_CHECKING:
    from geoiseg.files.keeping import is_project
    from geoiseg.session.core import State
    from geoiseg.session.project import line_of_project, load_project
    from geoiseg.session.session import Session

__all__ = ["Session", "State", "is_project", "line_of_project", "load_project"]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "core": ["State"],
        "project": ["is_project", "line_of_project", "load_project"],
        "session": ["Session"],
    },
)
