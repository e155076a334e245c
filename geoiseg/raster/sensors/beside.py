"""What companions of a raster's file say of its bands: STAC items, makers' metadata, its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from geoiseg.raster.facts import BandFacts
from geoiseg.raster.sensors.catalogue import PLANETSCOPE
from geoiseg.raster.sensors.planet import metadata_beside, with_metadata
from geoiseg.raster.sensors.product_names import code_of, product_of
from geoiseg.raster.sensors.stac import TAGS, item_in, read_item, with_item


def with_companions(
    facts: Sequence[BandFacts], path: str, file: Path | None, tags: Mapping[str, str]
) -> tuple[BandFacts, ...]:
    """Return what is said of the bands of a raster with what lies in it and beside it.

    Args:
        facts: What the file says of its bands.
        path: As it was opened.
        file: The local file, where it is one.
        tags: Of the whole raster.
    """
    found = tuple(facts)
    name = path.replace("\\", "/").rpartition("/")[2]
    if len(found) == 1 and not found[0].name:
        found = (replace(found[0], name=code_of(path)),)
    for key in TAGS:
        item = item_in(tags[key]) if key in tags else None
        if item is not None:
            found = with_item(found, item, name, f"STAC item in tag {key}")
    if file is None:
        return found
    for beside in _items(file):
        item = read_item(beside)
        if item is not None:
            found = with_item(found, item, name, f"STAC item {beside.name}")
            break
    if product_of(path) is PLANETSCOPE or file.stem.endswith(("_AnalyticMS", "_AnalyticMS_SR")):
        xml = metadata_beside(file)
        if xml is not None:
            found = with_metadata(found, file, xml)
    return found


def _items(file: Path) -> Iterator[Path]:
    """Yield where the item of a file may lie."""
    code = code_of(file.name)
    scene = file.stem.removesuffix(code).rstrip("_.") if code else file.stem
    names = (f"{file.stem}.json", f"{file.name}.json", f"{file.stem}_stac.json",
             f"{file.stem}.stac.json", f"{scene}_SR_stac.json", f"{scene}_stac.json",
             f"{scene}.json", f"{file.parent.name}.json", f"{file.parent.name}_stac.json",
             "item.json", "stac.json", "stac_item.json")  # fmt: skip
    for name in dict.fromkeys(names):
        beside = file.with_name(name)
        if beside.is_file():
            yield beside
