"""What a labelled scene is of, where it lies, and which places are held out of training.

Objects of one town or one flight look alike, and most labelled objects are one town's
roofs. So training draws by family and by scene, and what judges it are other places.
"""

from __future__ import annotations

import re
from typing import Any

HELD_OUT = (
    "fields_naip_05", "fields_naip_14", "fields_naip_27", "fields_naip_31", "nairobi", "dubai_t3",
    "algiers", "san_francisco", "bm_britain_ireland", "bm_tasmania", "bm_srilanka_india",
    "lake_be_s2_nir", "forestd_amz_124_36", "forestd_amz_682_4", "forestd_amz_801_42",
    "forestd_amz_test14", "photo_coco_204805", "photo_coco_41888", "photo_coco_500663",
    "photo_coco_565778", "photo_coco_60623",
)  # fmt: skip
"""Places that validate and never train. A place of which only one is at hand (a delta, a
lagoon, a river, a dense town, a beach) trains, and others stand for it."""
PLACES = (
    (r"(?:coast|ships)_s2_(.+?)(?:_[ab]|_\d+|_\d+m.*)?", r"\1"),
    (r"bldg_(.+?)_(?:[a-z]?\d+|half_\d+|quarter)", r"\1"),
    (r"islands_(bm_.+)", r"\1"),
    (r"(beach_usgs)_.*", r"\1"),
    (r"delta_(madagascar).*", r"\1"),
    (r"fields_it_(.+?)_.*", r"\1"),
    (r"lake_(tucurui|usgs_nc_ponds).*", r"\1"),
    (r"(t\d+)_p\d+", r"dubai_\1"),
)
"""Names of scenes that share a place with others, and the place's."""
FAMILIES = {"bldg": "building", "fields": "field", "islands": "island", "ships": "ship"}
"""First words of scenes, or of families, that are called otherwise here."""
KINDS = {"lake/pond": "water", "tree crown": "tree", "not_forest": "clearing"}
"""Classes of labels that are called otherwise here."""
SHARES = {
    "field": 0.15, "building": 0.16, "aerial": 0.09, "coast": 0.09, "island": 0.05,
    "delta": 0.03, "lake": 0.05, "river": 0.02, "ship": 0.03, "forest": 0.05, "photo": 0.04,
    "tree": 0.02, "procedural": 0.14, "segment": 0.08,
}  # fmt: skip
"""How often an object of each family is drawn."""


def place_of(name: str) -> str:
    """Return where the scene of a name lies: the same word for all scenes of one place."""
    for pattern, place in PLACES:
        found = re.fullmatch(pattern, name)
        if found:
            return found.expand(place)
    return name


def family_of(name: str, provenance: dict[str, Any]) -> str:
    """Return the first word of what the provenance calls the family, else of the name."""
    said = str(provenance.get("family") or name)
    word = re.split(r"[/_ ]", said)[0]
    return FAMILIES.get(word, word)


def kind_of(properties: dict[str, Any], family: str) -> str:
    """Return what an object is: the ``class`` of its label, else its scene's family."""
    said = str(properties.get("class") or family)
    return KINDS.get(said, said)
