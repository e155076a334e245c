"""What there is to segment with, told without loading any of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from geoiseg.errors import PACKAGES
from geoiseg.models.classic import NEEDS
from geoiseg.models.own import card_of, folders_here
from geoiseg.models.tiny import DESCRIPTION
from geoiseg.models.tiny.earlier import CARD_FOLDER, FIRST, first_folder
from geoiseg.models.weights.catalogue import CATALOGUE, Checkpoint
from geoiseg.models.weights.store import is_here, is_installed, missing_packages

READY = "ready"
ANEW = "a new installation of geoiseg"
BY_HAND = "a folder of geoiseg's source"
"""Which one, and where it is copied to, is said to whoever asks for the model."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A model as a list shows it."""

    name: str
    family: str
    licence: str
    description: str
    parameters: int
    bytes: int
    """Of its weights: of those that ship with the package, or of the download."""
    state: str
    """``ready``, or what has to be done first: ``pull``, ``extra`` or ``extra, pull``; for
    what ships with the package, the packages that an environment without them has to get,
    :data:`ANEW` where some of its files are missing, or :data:`BY_HAND`."""
    source: str = ""
    """Where the weights come from; empty for what ships with the package."""
    notice: str = ""
    """What the licence forbids."""

    @property
    def is_ready(self) -> bool:
        """Whether it can be used here and now."""
        return self.state == READY


_CLASSIC = {
    "superpixel-walk": "random walk on superpixels with a fitted prior; best without a network",
    "grabcut": "OpenCV GrabCut: colour mixtures and a minimum cut; good with a box",
    "graphcut": "minimum cut on superpixels; crisp outlines, decides once and for all",
    "random-walker": "random walker on superpixels; wants prompts on both sides of an outline",
    "region-growing": "grows along paths of least contrast; the fastest, for uniform objects",
    "seeded-growing": "regions grow from markers on both sides, the most alike superpixel first",
    "region-merging": "merges superpixels that look alike until each hangs on a marker",
    "watershed": "markers flood the gradient and meet on its crests; wants both sides marked",
    "geodesic-contour": "a contour shrinks from an outline or box until edges hold it",
    "chan-vese": "a contour moves until inside and outside are each of one colour",
}
_FAMILIES = {
    "sam": "Segment Anything",
    "sam-hq": "Segment Anything in High Quality: finer outlines",
    "sam2": "Segment Anything 2",
    "edgetam": "EdgeTAM: SAM 2 made small",
    "sam3": "Segment Anything 3: also words and examples",
    "efficient-sam": "EfficientSAM: a small plain encoder; up to six points, no mask before",
    "efficientvit-sam": "EfficientViT-SAM: a fast encoder, SAM's decoder",
    "ritm": "RITM: shown the clicks and the mask before; + f-BRS on demand",
    "simpleclick": "SimpleClick: a plain vision transformer, shown the clicks",
    "focalclick": "FocalClick: coarse, then refined around the last click",
    "cdnet": "CDNet: spreads clicks over what looks alike",
    "clip": "words: CLIP ranks the objects that another model finds",
    "owlv2": "words: OWLv2 boxes, another model segments",
    "grounding-dino": "words: Grounding DINO boxes, another model segments",
    "clipseg": "words: heat maps, another model segments",
}


def built_in() -> tuple[Listed, ...]:
    """Return the models that ship with the package."""
    classic = [
        Listed(
            name,
            "classic",
            "Apache-2.0",
            text,
            115 if name == "superpixel-walk" else 0,
            0,
            ", ".join(PACKAGES.get(p, p) for p in NEEDS[name] if not is_installed(p)) or READY,
        )
        for name, text in _CLASSIC.items()
    ]
    folder = first_folder()
    first = _shipped(FIRST, folder or CARD_FOLDER)
    if folder is None:
        first = replace(first, state=BY_HAND)
    return (*classic, _shipped("tiny", Path(__file__).parent / "tiny"), first)


def trained_here() -> tuple[Listed, ...]:
    """Return the models that were trained here and are kept by name."""
    found = []
    for name, folder in folders_here().items():
        card = card_of(folder)
        size = sum(path.stat().st_size for path in folder.glob("*.onnx"))
        licence, text = str(card.get("licence", "")), str(card.get("description", ""))
        parameters = int(card.get("parameters", 0))
        found.append(Listed(name, "tiny", licence, text, parameters, size, READY))
    return tuple(found)


def _shipped(name: str, folder: Path) -> Listed:
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    there = [path for file in card["sha256"] if (path := folder / file).is_file()]
    size = sum(path.stat().st_size for path in there)
    state = READY if len(there) == len(card["sha256"]) else ANEW
    text = str(card.get("description", DESCRIPTION))
    licence, parameters = str(card["licence"]), int(card["parameters"])
    return Listed(name, "tiny", licence, text, parameters, size, state)


def with_weights() -> tuple[Listed, ...]:
    """Return the models of the catalogue and what each still needs on this machine."""
    return tuple(_listed(checkpoint) for checkpoint in CATALOGUE.values())


def _listed(checkpoint: Checkpoint) -> Listed:
    todo = []
    if missing_packages(checkpoint):
        todo.append("extra")
    if not is_here(checkpoint):
        todo.append("pull")
    return Listed(
        checkpoint.name,
        checkpoint.family,
        checkpoint.licence,
        _FAMILIES.get(checkpoint.family, checkpoint.family),
        checkpoint.parameters,
        checkpoint.bytes,
        ", ".join(todo) or READY,
        checkpoint.source,
        checkpoint.notice,
    )
