"""What was exported: the card beside the graphs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from geoiseg.errors import WeightsError
from geoiseg.models.weights.store import file_hash, hash_of

CARD = "card.json"
ENCODER, DECODER = "encoder.onnx", "decoder.onnx"
WEIGHTS = ".weights"
"""Ending of the file beside a graph that holds its weights."""
PADDED, HALF = "padded", "padded, half"
SQUASHED_IMAGENET, SQUASHED_HALF = "squashed, imagenet", "squashed, half"
"""How a chip becomes the encoder's image: scaled and padded as SAM does, the image half as large as
the square of the prompts, or squashed, with the colours of ImageNet or around a half."""
FRAMES = (PADDED, HALF, SQUASHED_IMAGENET, SQUASHED_HALF)
FORMAT = 1
"""Of the graphs' inputs and outputs."""


@dataclass(frozen=True, slots=True)
class Card:
    """All that is to be known of an exported model without running it."""

    name: str
    """Of the model it was made from."""
    architecture: str
    side: int
    """Pixels along a side of the image that the encoder takes."""
    parameters: int
    weights_hash: str
    """SHA-256 of the weights it was made from."""
    licence: str
    source: str
    """Where the weights come from; empty where that is not known."""
    sha256: dict[str, str]
    """Of the files, by name."""
    format: int = FORMAT
    frame: str = PADDED
    """How a chip becomes the encoder's image."""
    int8: dict[str, Any] | None = None
    """Of an int8 encoder: its kind, the IoU of its masks with those of fp32, and on what."""

    @property
    def weights_in_use(self) -> str:
        """The hash of the weights as they are multiplied: int8 ones are others than fp32's."""
        if self.int8 is None:
            return self.weights_hash
        made = self.sha256[ENCODER], self.sha256[Path(ENCODER).with_suffix(WEIGHTS).name]
        return f"{self.weights_hash}+int8-{''.join(part[:8] for part in made)}"


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of a folder's files but the card, by name."""
    files = sorted(file for file in folder.iterdir() if file.is_file() and file.name != CARD)
    return {file.name: hash_of(file) for file in files}


def write_card(folder: Path, card: Card) -> None:
    """Write the card into a folder."""
    content = {name: value for name, value in asdict(card).items() if value is not None}
    (folder / CARD).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_card(folder: Path) -> Card:
    """Return the card of a folder, once its files are found to be what it says.

    Raises:
        WeightsError: There is none, it is damaged or of another format, or a file differs.
    """
    path = folder / CARD
    again = "export the model again: geoiseg models export NAME FOLDER"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"cannot read the card {str(path)!r}: {error}; {again}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else content
        raise WeightsError(f"{str(path)!r} has format {found!r}, not {FORMAT}; {again}")
    content = {"int8": None, "frame": PADDED, **content}  # unknown to the first cards
    wanted = {field.name for field in fields(Card)}
    if set(content) != wanted or not isinstance(content["sha256"], dict):
        odd = sorted(set(content) ^ wanted)
        raise WeightsError(f"{str(path)!r} is no card of an export: {odd}; {again}")
    card = Card(**content)
    if card.frame not in FRAMES:
        raise WeightsError(f"{str(path)!r} has frame {card.frame!r}, unknown here; {again}")
    for name in {ENCODER, DECODER} | set(card.sha256):
        file = folder / Path(name).name
        if file_hash(file) != card.sha256.get(name):
            raise WeightsError(f"{str(file)!r} is not the file that its card describes; {again}")
    return card
