"""The first generation of the network: its card ships; its weights come with the source alone."""

from __future__ import annotations

from pathlib import Path

from geoiseg.errors import WeightsError
from geoiseg.home import home
from geoiseg.models.own import card_of
from geoiseg.models.tiny import hash_of_card

FIRST = "tiny-1"
"""What it is called."""
SOURCE = "geoiseg/models/tiny/first"
"""Its folder in the repository and in the source distribution; the wheel has the card alone."""
CARD_FOLDER = Path(__file__).parent / "first"


def first_folder() -> Path | None:
    """Return the folder of its weights, beside the card or put by hand; None where they are not.

    Whether they are what the card says is seen when they are loaded.
    """
    wanted = card_of(CARD_FOLDER)["sha256"]
    for folder in (CARD_FOLDER, place_by_hand()):
        if card_of(folder).get("sha256") == wanted and all((folder / n).is_file() for n in wanted):
            return folder
    return None


def place_by_hand() -> Path:
    """Return where its weights are looked for when the installation lacks them."""
    return home() / "weights" / FIRST


def hash_of_first() -> str:
    """Return the hash of its weights, by its card."""
    return hash_of_card(card_of(CARD_FOLDER))


def missing_first() -> WeightsError:
    """Return the error that says how its weights are had."""
    return WeightsError(
        f"the weights of {FIRST} are not here: copy the folder {SOURCE} of geoiseg's repository or"
        f" source distribution to {place_by_hand()}, or take another model, such as tiny"
    )
