"""What the user can do on the map: one table for buttons, tooltips, shortcuts and help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from geoiseg.segment import WIRE_LEVELS

POINT, NEGATIVE, BOX, SCRIBBLE, ERASE, WIRE, REGION, PICK = (
    "point",
    "negative",
    "box",
    "scribble",
    "erase",
    "wire",
    "region",
    "pick",
)
"""Names of the tools."""
DRAGGED = (BOX, SCRIBBLE, ERASE)
"""Tools with which a drag draws; with the others it pans the map."""
VERTEX, BRUSH, ERASER, SPLIT, HOLE, MERGE, MOVE = (
    "vertex",
    "brush",
    "eraser",
    "split",
    "hole",
    "merge",
    "move-outline",
)
"""Names of the tools that correct an outline by hand."""
HAND_DRAGGED = (BRUSH, ERASER, SPLIT, HOLE, MOVE)
"""Those with which a drag draws."""
MAX_CLASSES = 99
"""Most classes in the list; the first nine have a key."""


@dataclass(frozen=True, slots=True)
class Action:
    """A button with its keys."""

    name: str
    title: str
    """What it does, in a few words; tooltip and help."""
    combos: tuple[str, ...] = ()
    """Keys as the page names them, in lower case: ``ctrl+z``, ``enter``, ``p``."""

    @property
    def keys_text(self) -> str:
        """The first key as people write it."""
        if not self.combos:
            return ""
        names = {"escape": "Esc", "delete": "Del", "enter": "Enter"}
        parts = self.combos[0].split("+") if self.combos[0] != "+" else ["+"]
        return "+".join(names.get(part, part.capitalize()) for part in parts)


TOOLS = (
    Action(POINT, "Point on the object", ("p",)),
    Action(NEGATIVE, "Point off the object (also right click, Alt or Ctrl + click)", ("n",)),
    Action(BOX, "Box around the object", ("b",)),
    Action(SCRIBBLE, "Stroke along the object", ("s",)),
    Action(ERASE, "Stroke off the object (also a stroke with the right button)", ("x",)),
    Action(WIRE, "Follow the border from click to click; a double click closes it", ("j",)),
    Action(REGION, "Start from the outline of an accepted feature", ("r",)),
    Action(PICK, "Select an accepted feature; click it again to refine it", ("v",)),
)
"""Ways to use the mouse."""
HAND_TOOLS = (
    Action(VERTEX, "Move vertices; drag an edge for a new one, Del or right click deletes", ("a",)),
    Action(BRUSH, "Brush ground onto the outline; [ and ] change the width", ("q",)),
    Action(ERASER, "Erase ground (also the brush with the right button)", ("c",)),
    Action(SPLIT, "Split by a line across", ("k",)),
    Action(HOLE, "Draw around a hole to cut it; click in one to fill it", ("o",)),
    Action(MERGE, "Merge with the feature that is clicked", ("g",)),
    Action(MOVE, "Move the whole outline", ("m",)),
)
"""Ways to correct the object in progress, or the selected feature, by hand."""
REVIEW = (
    Action("review", "Review the accepted features, or close the review", ("i",)),
    Action("review-next", "Next feature to check, the doubtful first", (".",)),
    Action("review-previous", "Previous feature to check", (",",)),
    Action("review-checked", "The feature is checked; again takes it back", ("y",)),
    Action("review-rejected", "The feature is rejected; again takes it back", ("t",)),
)
"""What accepted features are reviewed with; a bar of its own."""
COMMANDS = (
    Action("undo", "Undo", ("ctrl+z", "u")),
    Action("redo", "Redo", ("ctrl+y", "ctrl+shift+z")),
    Action("delete", "Delete the selected feature", ("delete", "backspace")),
    Action("accept", "Accept the object", ("enter",)),
    Action("cancel", "Cancel: stop the model, drop the object or the selection", ("escape",)),
    Action("edit", "Refine the selected feature", ("e",)),
    Action("grow", "Follow the object beyond the border", ("f",)),
    Action("sharpen", "Sharpen the border of an object seen from afar", ("d",)),
    Action("choose", "Another answer: a part, the whole, a group", ("tab",)),
    Action("suggest", "Show where a click would help most", ("w",)),
    Action("like", "Find more like the accepted features of the class", ("l",)),
    Action("preview", "Preview under the cursor on or off", ("h",)),
    Action("by-itself", "Follow and sharpen objects by themselves, or when asked to"),
    Action("accept-waits", "Accept waits until the object is sharp, or takes what is there"),
    Action("stop", "Stop what is going on"),
    Action("stop-training", "Stop the training; it can be gone on with"),
    Action("fit", "Show the whole raster", ("0",)),
    Action("save", "Save the project", ("ctrl+s",)),
    *REVIEW,
)
"""What happens at once."""
ACTIONS: Mapping[str, Action] = {action.name: action for action in (*TOOLS, *HAND_TOOLS, *COMMANDS)}
"""Tools and commands by name."""
NAMED: Mapping[str, tuple[str, ...]] = {
    "tool": tuple(tool.name for tool in (*TOOLS, *HAND_TOOLS)),
    "follows": WIRE_LEVELS,
}
"""What is chosen from a fixed list, by name."""
CLASS_KEYS: Mapping[str, int] = {str(n): n - 1 for n in range(1, 10)}
"""Keys 1 to 9 and the place of their class in the list."""


def hotkeys() -> dict[str, str]:
    """Return the name of the action of each key; ``class-0`` is the first class."""
    keys = {combo: action.name for action in ACTIONS.values() for combo in action.combos}
    return {**keys, **{key: f"class-{place}" for key, place in CLASS_KEYS.items()}}


def table(actions: tuple[Action, ...]) -> list[dict[str, object]]:
    """Return the actions as the page takes them."""
    return [{**asdict(action), "keys_text": action.keys_text} for action in actions]
