"""Words without a download against colour alone, and more like this against chance.

``python benchmarks/words.py ../shared/data/scenes [--json FILE]``
``python benchmarks/words.py ../shared/data/scenes --picture FILE`` draws a picture, no more

Precision, recall and IoU of pixels per class on the demonstration, and on labelled scenes that
nothing was fitted to; CPU seconds of the first word on a view of 1024 x 1024 pixels with nothing
cached, and of a second word; precision and recall of the fields found from three accepted ones.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import geopandas as gpd
import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize

import geoiseg
from geoiseg.demo.scene import make_scene
from geoiseg.models.tiny.words import CLASSES
from geoiseg.raster.readers import Raster, open_raster
from geoiseg.segment.embeddings import EmbeddingCache
from geoiseg.training.scenes import DUBAI_KINDS
from geoiseg.words.embedded import EmbeddedWords
from geoiseg.words.search import Searcher
from geoiseg.words.view import find_area

Bool = NDArray[np.bool_]
CLUSTERS = 8
"""Of k-means; each is given to the class of most of its pixels, by the truth: the best that
colour alone can do with so many clusters."""
SIDE = 2048
"""Pixels on a side of the demonstration, which the heads have seen others like."""
COLOURS = {"water": "#2b6cff", "building": "#ff3b30", "road": "#8e8e93", "vegetation": "#1b8a3a",
           "land": "#d9c27a", "field": "#ffd400"}  # fmt: skip


@dataclass(frozen=True)
class Labelled:
    """A scene with the truth of some classes."""

    group: str
    raster: Raster
    truth: dict[str, Bool]
    """``(y, x)`` by class."""
    known: Bool
    """``(y, x)`` True where the truth is known."""


def scenes(folder: Path, work: Path) -> Iterator[Labelled]:
    """Yield the scenes; those without georeference are written to ``work`` first."""
    for photo in sorted(folder.glob("_dubai_tile2/*.jpg")):
        image = np.asarray(cv2.imread(str(photo)))[..., ::-1]
        codes = np.asarray(cv2.imread(str(photo.with_name(f"{photo.stem}_cls.png")), 0))
        path = work / f"{photo.stem}.tif"
        with rasterio.open(
            path, "w", driver="GTiff", width=image.shape[1], height=image.shape[0], count=3,
            dtype="uint8", crs="EPSG:32640", transform=rasterio.Affine(1, 0, 0, 0, -1, 0),
        ) as target:  # fmt: skip
            target.write(image.transpose(2, 0, 1))
        truth = {kind: codes == code for code, kind in enumerate(DUBAI_KINDS)}
        yield Labelled("Dubai tile", open_raster(path), truth, codes < len(DUBAI_KINDS))
    made = make_scene(work / "demonstration.tif", SIDE)
    raster = open_raster(made.path)
    truth = {
        kind: rasterize([row.geometry for row in made.truth if row.label in names],
                        raster.grid.shape, transform=raster.grid.transform) > 0
        for kind, names in (("water", ("sea", "lake")), ("field", ("field",)))
    }  # fmt: skip
    yield Labelled("demonstration", raster, truth, np.ones(raster.grid.shape, bool))
    for path in sorted(folder.glob("[!_]*/image.tif")):
        name = path.parent.name
        known = json.loads((path.parent / "provenance.json").read_text())
        bands = tuple(band + 1 for band in known.get("rgb", (0, 1, 2)))
        raster = open_raster(path, bands)
        frame = gpd.read_file(path.parent / "labels.geojson").to_crs(raster.grid.crs)
        _, valid = raster.read(raster.grid.whole, 0)
        kind, group = {
            "coast": ("water", "coast"), "coastmb": ("water", "coasts, 5 of Sentinel-2"),
            "river": ("water", "river, 5 dates"),
            "fields": ("field", "fields, 6 scenes"), "bldg": ("building", "buildings, 2 scenes"),
        }[name.split("_")[0]]  # fmt: skip
        if "class" in frame:
            frame = frame[frame["class"] == kind]
        shapes = list(frame.geometry)
        mask = rasterize(shapes, raster.grid.shape, transform=raster.grid.transform) > 0
        yield Labelled(group, raster, {kind: mask}, valid)


def by_words(raster: Raster) -> NDArray[np.int64]:
    """Return ``(y, x)`` the most likely class of each pixel of a raster."""
    searcher, engine = Searcher(raster, EmbeddingCache()), EmbeddedWords()
    area = find_area(raster.grid, None, None)
    view = searcher.view(area.frame(area.window, raster.grid))
    best = np.stack([engine.by_look(view, [n]) for n in range(len(CLASSES))]).argmax(axis=0)
    size = raster.grid.shape[::-1]
    return cv2.resize(best.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(int)


def by_colour(raster: Raster, truth: dict[str, Bool], known: Bool) -> NDArray[np.int64]:
    """Return ``(y, x)`` classes of k-means clusters of colour, each given its best class."""
    level = find_area(raster.grid, None, None).level
    rgb = raster.chip(raster.grid.level(level).whole, level).rgb
    shape = (rgb.shape[0], rgb.shape[1])
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(np.float32)
    rng = np.random.default_rng(0)
    cv2.setRNGSeed(0)
    some = lab[rng.choice(len(lab), min(20_000, len(lab)), replace=False)]
    until = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 30, 0.5)
    _, _, centres = cv2.kmeans(some, CLUSTERS, None, until, 3, cv2.KMEANS_PP_CENTERS)
    distance = ((lab[:, None] - centres[None]) ** 2).sum(axis=2)
    near = distance.argmin(axis=1).reshape(shape).astype(np.uint8)
    cluster = cv2.resize(near, known.shape[::-1], interpolation=cv2.INTER_NEAREST)
    found = np.full(known.shape, -1)
    for number in range(CLUSTERS):
        own = (cluster == number) & known
        votes = {name: int((own & mask).sum()) for name, mask in truth.items()}
        name = max(votes, key=lambda one: votes[one])
        if len(truth) > 1 or votes[name] > own.sum() / 2:
            found[cluster == number] = CLASSES.index(name)
    return found


def figures(counts: NDArray[np.float64]) -> dict[str, float]:
    """Return precision, recall and IoU of pixels said and true, only said, only true."""
    both, said, true = counts.tolist()
    return {
        "precision": both / max(1, both + said),
        "recall": both / max(1, both + true),
        "iou": both / max(1, both + said + true),
    }


def table_of_classes(folder: Path, work: Path) -> list[dict[str, object]]:
    totals: dict[tuple[str, str, str], NDArray[np.float64]] = {}
    for scene in scenes(folder, work):
        ways = {
            "words": by_words(scene.raster),
            "colour, k-means": by_colour(scene.raster, scene.truth, scene.known),
        }
        for way, best in ways.items():
            for name, truth in scene.truth.items():
                said = (best == CLASSES.index(name)) & scene.known
                true = truth & scene.known
                row = [(said & true).sum(), (said & ~true).sum(), (~said & true).sum()]
                key = (scene.group, name, way)
                totals[key] = totals.get(key, np.zeros(3)) + np.array(row, float)
    return [
        {"scenes": group, "class": name, "by": way, **figures(counts)}
        for (group, name, way), counts in totals.items()
    ]


def times(folder: Path) -> dict[str, float]:
    """Return CPU seconds of a first and a second word on 1024 x 1024 pixels."""
    path = folder / "fields_naip_04" / "image.tif"
    other = folder / "fields_naip_00" / "image.tif"
    geoiseg.Session(other, cache=EmbeddingCache()).add_text("water", limit=1)  # loads the models
    session = geoiseg.Session(path, cache=EmbeddingCache())
    _ = session.raster.stretch  # known before anybody asks for words
    spent = {}
    for name, word in (("first word", "field"), ("second word", "vegetation")):
        start = time.process_time()
        session.add_text(word)
        spent[name] = time.process_time() - start
    start = time.process_time()
    session.threshold = 0.7
    spent["threshold"] = time.process_time() - start
    return spent


def more_like(folder: Path) -> list[dict[str, object]]:
    """Return precision and recall of the fields found from three, twice each."""
    rows: dict[str, list[NDArray[np.float64]]] = {}
    for path in sorted(folder.glob("fields_naip_*/image.tif")):
        session = geoiseg.Session(path, cache=EmbeddingCache())
        grid = session.raster.grid
        shapes = gpd.read_file(path.parent / "labels.geojson").to_crs(grid.crs).geometry
        masks = [rasterize([s], grid.shape, transform=grid.transform) > 0 for s in shapes]
        lab = cv2.cvtColor(session.raster.chip(grid.whole, 0).rgb, cv2.COLOR_RGB2LAB)
        large = [k for k, mask in enumerate(masks) if mask.sum() > 1500]
        for trial in range(2):
            rng = np.random.default_rng(trial)
            chosen = rng.choice(large, 3, replace=False)
            seen = np.any([masks[k] for k in chosen], axis=0)
            rest = np.any(masks, axis=0) & ~seen
            examples = [shapes.iloc[k] for k in chosen]
            frame = gpd.GeoDataFrame({"label": ["field"] * 3}, geometry=examples, crs=grid.crs)
            session.add_features(frame)
            found = session.more_like("field")
            drawn = [one.geometry for one in found] or [shapely.box(0, 0, 0, 0)]
            ours = rasterize(drawn, grid.shape, transform=grid.transform) > 0
            share = float(ours[~seen].mean())
            ways = {
                "more like this": ours,
                "colour": _near_in_colour(lab, seen, share),
                "random": rng.random(seen.shape) < share,
            }
            for way, mask in ways.items():
                said = mask & ~seen
                row = [(said & rest).sum(), (said & ~rest).sum(), (~said & rest).sum()]
                rows.setdefault(way, []).append(np.array(row, float))
            while session.undo():
                pass
    return [{"by": way, **figures(np.sum(counts, axis=0))} for way, counts in rows.items()]


def _near_in_colour(lab: NDArray[np.uint8], seen: Bool, share: float) -> Bool:
    """Return as many pixels as were found, those nearest in colour to the examples."""
    cv2.setRNGSeed(0)
    flat = cv2.blur(lab, (9, 9)).reshape(-1, 3).astype(np.float32)
    some = flat[seen.ravel()][:: max(1, int(seen.sum()) // 5000)]
    until = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 30, 0.5)
    _, _, centres = cv2.kmeans(some, 8, None, until, 3, cv2.KMEANS_PP_CENTERS)
    near = ((flat[:, None] - centres[None]) ** 2).sum(axis=2).min(axis=1).reshape(seen.shape)
    return near <= np.quantile(near[~seen], share)


def picture(folder: Path, path: Path) -> None:
    """Draw what words find on four scenes."""
    tiles = []
    for name, word, least in (("fields_naip_12", "crop fields", 0.9),
                              ("coastmb_s2_gdynia", "water", 0.7),
                              ("bldg_nepal_b1", "houses", 0.8),
                              ("fields_naip_29", "Felder", 0.9)):  # fmt: skip
        session = geoiseg.Session(folder / name / "image.tif", cache=EmbeddingCache())
        session.add_text(word)
        session.threshold = least
        found = session.candidates
        grid = session.raster.grid
        rgb = np.ascontiguousarray(session.raster.chip(grid.whole, 0).rgb)
        thick = max(2, round(max(grid.shape) / 300))
        for one in found:
            hue = np.uint8([[[round(65 * one.score), 250, 250]]])
            colour = cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0].tolist()
            for part in shapely.get_parts(one.geometry):
                for ring in (part.exterior, *part.interiors):
                    xy = grid.to_pixel(shapely.get_coordinates(ring))
                    cv2.polylines(rgb, [np.rint(xy).astype(np.int32)], isClosed=True,
                                  color=colour, thickness=thick)  # fmt: skip
        side = min(rgb.shape[:2])
        tile = cv2.resize(rgb[:side, :side], (512, 512), interpolation=cv2.INTER_AREA)
        cv2.putText(tile, f'"{word}"', (10, 28), 0, 0.9, (0, 0, 0), 5, cv2.LINE_AA)
        cv2.putText(tile, f'"{word}"', (10, 28), 0, 0.9, (255, 255, 255), 2, cv2.LINE_AA)
        tiles.append(tile)
    whole = np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])])
    cv2.imwrite(str(path), np.ascontiguousarray(whole[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 82])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scenes", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    if given.picture:
        picture(given.scenes, given.picture)
        return
    import tempfile

    spent = times(given.scenes)
    with tempfile.TemporaryDirectory() as work:
        classes = table_of_classes(given.scenes, Path(work))
    like = more_like(given.scenes)
    for row in (*classes, *like):
        print("  ".join(f"{v:.2f}" if isinstance(v, float) else f"{v!s:20}" for v in row.values()))
    print("  ".join(f"{name}: {seconds:.3f} CPU-s" for name, seconds in spent.items()))
    if given.json:
        given.json.write_text(json.dumps({"classes": classes, "like": like, "times": spent}))


if __name__ == "__main__":
    main()
