"""Data sets for training, read by pycocotools and not by a reader of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.features import rasterize

import geoiseg
from geoiseg.errors import ExportError, VectorError
from geoiseg.files.coco import read_coco
from geoiseg.files.splits import SPLITS
from geoiseg.files.training_set import run_lengths
from tests.cli.test_cli import run
from tests.conftest import UTM, needed, write_raster

EAST, NORTH = 500_000.0, 4_500_000.0
SIZE = 64


def box(left: float, top: float, right: float, bottom: float) -> shapely.Polygon:
    """Return a rectangle of pixels, 2 m each, in the CRS."""
    return shapely.box(EAST + 2 * left, NORTH - 2 * bottom, EAST + 2 * right, NORTH - 2 * top)


@pytest.fixture
def session(tmp_path: Path) -> geoiseg.Session:
    """Squares all over 256 x 256 pixels, one with a hole, one over four chips, and no data."""
    data = np.random.default_rng(0).integers(1, 255, (3, 256, 256), dtype=np.uint8)
    data[:, 240:, 240:] = 0
    path = write_raster(tmp_path / "scene a.tif", data, nodata=0)
    shapes = [
        box(x + 10, y + 20, x + 40, y + 50) for y in range(0, 256, 64) for x in range(0, 256, 64)
    ]
    shapes[5] = shapes[5].difference(box(80, 90, 90, 100))
    shapes.append(box(118, 116, 140, 138))
    labels = ["field" if n % 2 else "pond" for n in range(len(shapes))]
    session = geoiseg.Session(path, "grabcut", project=tmp_path / "p.gpkg")
    session.add_features(gpd.GeoDataFrame({"label": labels}, geometry=shapes, crs=UTM))
    return session


def burnt(session: geoiseg.Session, number: int) -> np.ndarray:
    shape = next(one.geometry for one in session.accepted if one.id == number)
    grid = session.raster.grid
    return rasterize([shape], out_shape=grid.shape, transform=grid.transform).astype(bool)


def window(picture: dict[str, Any]) -> tuple[slice, slice]:
    row, col = map(int, Path(picture["file_name"]).stem.split("_")[-2:])
    return np.s_[row : row + picture["height"], col : col + picture["width"]]


@pytest.mark.parametrize("rle", [False, True])
def test_pycocotools_reads_every_object_as_it_is(
    session: geoiseg.Session, tmp_path: Path, rle: bool
) -> None:
    coco = needed("pycocotools.coco")
    written = session.export_training(tmp_path / "set", size=SIZE, rle=rle)
    assert written.classes == ("field", "pond")
    seen: dict[int, np.ndarray] = {}
    for split in SPLITS:
        api = coco.COCO(str(tmp_path / "set" / "annotations" / f"instances_{split}.json"))
        assert [one["name"] for one in api.loadCats(api.getCatIds())] == ["field", "pond"]
        assert len(api.imgs) == written.chips[split] > 0
        assert len(api.anns) == written.objects[split] > 0
        for picture in api.imgs.values():
            image = cv2.imread(str(tmp_path / "set" / "images" / picture["file_name"]))
            assert image.shape == (picture["height"], picture["width"], 3)
            for one in api.loadAnns(api.getAnnIds(imgIds=picture["id"])):
                mask = api.annToMask(one).astype(bool)
                own = burnt(session, one["feature"])[window(picture)]
                np.testing.assert_array_equal(mask, own)
                assert one["area"] == pytest.approx(mask.sum())
                rows, cols = np.nonzero(mask)
                x, y, wide, tall = one["bbox"]
                assert (x, y, x + wide, y + tall) == pytest.approx(
                    (cols.min(), rows.min(), cols.max() + 1, rows.max() + 1))  # fmt: skip
                whole = seen.setdefault(one["feature"], np.zeros((256, 256), bool))
                whole[window(picture)] |= mask
    assert sorted(seen) == list(range(1, 18))
    for number, whole in seen.items():
        np.testing.assert_array_equal(whole, burnt(session, number))


def test_coco_comes_back_as_it_was(session: geoiseg.Session, tmp_path: Path, capsys) -> None:
    session.export_training(tmp_path / "set", size=SIZE, splits=(1, 0, 0))
    file = tmp_path / "set" / "annotations" / "instances_train.json"
    out = tmp_path / "back.gpkg"
    assert run(capsys, "dataset", file, out) == (0, f"17 objects written to {out}\n", "")
    back = gpd.read_file(out).set_index("feature").sort_index()
    assert back.crs == UTM
    for one in session.accepted:
        assert shapely.symmetric_difference(back.geometry[one.id], one.geometry).area < 0.01
        assert back["label"][one.id] == one.label


def test_compressed_run_lengths_of_others_are_read(tmp_path: Path) -> None:
    mask_api = needed("pycocotools.mask")
    mask = np.zeros((70, 90), bool)
    mask[10:40, 20:70] = True
    mask[20:25, 30:60] = False
    packed = mask_api.encode(np.asfortranarray(mask.astype(np.uint8)))
    packed["counts"] = packed["counts"].decode()
    raw = run_lengths(mask)
    again = mask_api.decode(mask_api.frPyObjects(raw, *mask.shape))
    np.testing.assert_array_equal(again.astype(bool), mask)
    (tmp_path / "images").mkdir()
    write_raster(tmp_path / "images" / "a.tif", np.ones((3, 70, 90), np.uint8))
    held = {"images": [{"id": 7, "file_name": "a.tif", "height": 70, "width": 90}],
            "categories": [{"id": 3, "name": "pond"}],
            "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "segmentation": packed}]}  # fmt: skip
    path = tmp_path / "theirs.json"
    path.write_text(json.dumps(held))
    with pytest.raises(VectorError, match=r"a\.tif has no place on the ground"):
        read_coco(path)
    [shape] = read_coco(path, tmp_path / "images").geometry
    assert shape.equals(box(20, 10, 70, 40).difference(box(30, 20, 60, 25)))


def annotated(path: Path, images: list[dict[str, Any]], segmentation: Any) -> Path:
    held = {"images": images, "categories": [{"id": 3, "name": "pond"}],
            "annotations": [{"id": n, "image_id": one["id"], "category_id": 3,
                             "segmentation": segmentation} for n, one in enumerate(images)]}  # fmt: skip
    path.write_text(json.dumps(held))
    return path


def test_images_of_several_crs_come_back_in_one(tmp_path: Path) -> None:
    ring = [[10, 10, 20, 10, 20, 20, 10, 20]]
    images = [{"id": zone, "file_name": f"{zone}.png", "height": 30, "width": 30,
               "crs": f"EPSG:326{zone}", "transform": [2, 0, east, 0, -2, NORTH]}
              for zone, east in ((31, 700_000), (32, 205_000))]  # fmt: skip
    found = read_coco(annotated(tmp_path / "two.json", images, ring))
    assert found.crs == "EPSG:32631"
    alone = [read_coco(annotated(tmp_path / "one.json", [one], ring)) for one in images]
    for shape, own in zip(found.geometry, alone, strict=True):
        wanted = own.to_crs(found.crs).geometry[0]
        assert shapely.symmetric_difference(shape, wanted).area < 0.1


def test_annotations_that_do_not_fit_are_told(tmp_path: Path) -> None:
    place = {"crs": UTM, "transform": [2, 0, EAST, 0, -2, NORTH]}
    image = {"id": 1, "file_name": "a.tif", "height": 30, "width": 40}
    for segmentation in (
        {"size": [30, 40], "counts": "o"},
        {"size": [30, 40], "counts": [7]},
        [[float("nan"), 1, 5, 1, 5, 5]],
    ):
        path = annotated(tmp_path / "bad.json", [image | place], segmentation)
        with pytest.raises(VectorError, match=r"bad\.json"):
            read_coco(path)
    write_raster(tmp_path / "a.tif", np.ones((3, 60, 80), np.uint8))
    path = annotated(tmp_path / "half.json", [image], [[1, 1, 9, 1, 9, 9]])
    with pytest.raises(VectorError, match=r"a\.tif is 80 x 60 pixels, its annotations .* 40 x 30"):
        read_coco(path, tmp_path)


def test_yolo_says_classes_and_shares(session: geoiseg.Session, tmp_path: Path) -> None:
    session.export_training(tmp_path / "set", kind="yolo", size=SIZE)
    text = (tmp_path / "set" / "dataset.yaml").read_text()
    assert text == ("# made by geoiseg\npath: .\ntrain: images/train\nval: images/val\ntest: images/test\nnames:\n"
                    '  0: "field"\n  1: "pond"\n')  # fmt: skip
    for place in (tmp_path / "set" / "labels").rglob("*.txt"):
        image = place.parents[2] / "images" / place.parent.name / f"{place.stem}.png"
        assert image.exists()
        row, col = map(int, place.stem.split("_")[-2:])
        drawn = np.zeros((SIZE, SIZE), np.uint8)
        wanted = np.zeros((256, 256), bool)
        for line in place.read_text().splitlines():
            kind, *values = line.split()
            xy = np.array(values, float).reshape(-1, 2) * SIZE
            ring = shapely.make_valid(shapely.Polygon(xy), method="linework").buffer(0)
            drawn |= rasterize([ring], out_shape=drawn.shape, dtype="uint8")
            assert kind in "01"
        for one in session.accepted:
            wanted |= burnt(session, one.id)
        np.testing.assert_array_equal(
            drawn.astype(bool), wanted[row : row + SIZE, col : col + SIZE]
        )


@pytest.mark.parametrize("form", ["png", "tif", "npy"])
def test_class_maps_tell_classes_and_no_data(
    session: geoiseg.Session, tmp_path: Path, form: str
) -> None:
    session.export_training(tmp_path / "set", kind="masks", form=form, size=SIZE, empty=True)
    whole = np.zeros((256, 256), np.uint8)
    count = 0
    for place in (tmp_path / "set" / "masks").rglob(f"*.{form}"):
        row, col = map(int, place.stem.split("_")[-2:])
        if form == "npy":
            found = np.load(place)
        elif form == "png":
            found = cv2.imread(str(place), cv2.IMREAD_UNCHANGED)
        else:
            with rasterio.open(place) as source:
                found = source.read(1)
                assert source.bounds.left == EAST + 2 * col
                assert source.crs == UTM
        whole[row : row + SIZE, col : col + SIZE] = found
        count += 1
    assert count == 16
    assert (whole[240:, 240:] == 255).all()
    for one in session.accepted:
        expected = 1 if one.label == "field" else 2
        here = burnt(session, one.id) & (whole != 255)
        assert (whole[here] == expected).mean() > 0.9
    assert '0: "background"\n  1: "field"' in (tmp_path / "set" / "dataset.yaml").read_text()


def test_splits_are_made_by_blocks_of_ground(session: geoiseg.Session, tmp_path: Path) -> None:
    session.export_training(tmp_path / "set", size=32, block=2, splits=(0.5, 0.25, 0.25))
    home: dict[tuple[int, int], str] = {}
    counts = dict.fromkeys(SPLITS, 0)
    for image in (tmp_path / "set" / "images").rglob("*.png"):
        row, col = map(int, image.stem.split("_")[-2:])
        block, split = (row // 64, col // 64), image.parent.name
        assert home.setdefault(block, split) == split
        counts[split] += 1
    whole = sum(counts.values())
    assert [counts[name] / whole for name in SPLITS] == pytest.approx([0.5, 0.25, 0.25], abs=0.1)


def test_ground_of_two_dates_goes_to_one_split(
    session: geoiseg.Session, tmp_path: Path, capsys
) -> None:
    data = np.random.default_rng(1).integers(1, 255, (3, 128, 128), dtype=np.uint8)
    place = rasterio.Affine(2, 0, EAST + 2 * 64, 0, -2, NORTH - 2 * 64)
    path = write_raster(tmp_path / "later.tif", data, transform=place)
    later = geoiseg.Session(path, "grabcut", project=tmp_path / "later.gpkg")
    shapes = [
        box(70, 70, 90, 90),
        box(130, 70, 150, 90),
        box(70, 130, 90, 150),
        box(71, 92, 90, 96),
    ]
    later.add_features(gpd.GeoDataFrame({"label": ["field"] * 4}, geometry=shapes, crs=UTM))
    given = (tmp_path / "p.gpkg", tmp_path / "later.gpkg", tmp_path / "set")
    code, _, err = run(capsys, "dataset", *given, "--size", SIZE, "--block", 1,
                       "--splits", "0.4,0.3,0.3")  # fmt: skip
    assert (code, err) == (0, "")
    home: dict[tuple[int, int], list[str]] = {}
    for image in (tmp_path / "set" / "images").rglob("*.png"):
        row, col = map(int, image.stem.split("_")[-2:])
        moved = 64 if image.stem.startswith("later") else 0
        home.setdefault((row + moved, col + moved), []).append(image.parent.name)
    twice = [names for names in home.values() if len(names) == 2]
    assert len(twice) == 3
    assert all(one == other for one, other in twice)
    assert {name for names in home.values() for name in names} == set(SPLITS)


@pytest.mark.parametrize("kind", ["coco", "masks"])
def test_what_fills_many_chips_is_in_all_of_them(
    session: geoiseg.Session, tmp_path: Path, kind: str
) -> None:
    for number in range(1, 18):
        session.delete(number)
    lake = gpd.GeoDataFrame({"label": ["lake"]}, geometry=[box(0, 0, 256, 200)], crs=UTM)
    session.add_features(lake)
    written = session.export_training(tmp_path / "set", size=SIZE, kind=kind, splits=(1, 0, 0))
    assert written.objects["train"] == 16
    if kind == "masks":
        maps = [cv2.imread(str(one), cv2.IMREAD_UNCHANGED)
                for one in (tmp_path / "set" / "masks").rglob("*.png")]  # fmt: skip
        assert sum(int((one == 1).sum()) for one in maps) == 256 * 200


def test_a_folder_of_others_is_left_alone(
    session: geoiseg.Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "dataset.yaml").write_text("path: .\nnames: [x]\n")
    with pytest.raises(ExportError, match="holds something else"):
        session.export_training(theirs)
    session.export_training(tmp_path / "set", size=SIZE)
    (tmp_path / "set" / "best.pt").write_text("weights")
    with pytest.raises(ExportError, match="holds something else"):
        session.export_training(tmp_path / "set", size=SIZE)
    assert (tmp_path / "set" / "best.pt").exists()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(ExportError, match="a folder of its own"):
        session.export_training(".", size=SIZE)


def test_what_can_not_be_written_says_why(session: geoiseg.Session, tmp_path: Path, capsys) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("keep")
    with pytest.raises(ExportError, match="holds something else"):
        session.export_training(full)
    assert (full / "mine.txt").read_text() == "keep"
    with pytest.raises(ExportError, match="kind is one of coco, yolo, masks, got 'voc'"):
        session.export_training(tmp_path / "set", kind="voc")
    session.export_training(tmp_path / "set", size=SIZE)
    session.export_training(tmp_path / "set", size=SIZE, kind="yolo")  # ours is replaced whole
    assert not (tmp_path / "set" / "annotations").exists()
    code, text, _ = run(capsys, "dataset", tmp_path / "p.gpkg", tmp_path / "set", "--size", SIZE,
                        "--json")  # fmt: skip
    facts = json.loads(text)
    assert code == 0
    assert sum(facts["objects"].values()) >= 17
    code, _, err = run(
        capsys, "dataset", tmp_path / "p.gpkg", tmp_path / "set", "--splits", "1,1,1"
    )
    assert code == 2
    assert "three shares that make 1" in err
    (tmp_path / "odd.json").write_text('{"images": 3}')
    code, _, err = run(capsys, "dataset", tmp_path / "odd.json", tmp_path / "x.gpkg")
    assert code == 1
    assert "is no file of COCO annotations" in err
    for number in range(1, 18):
        session.delete(number)
    with pytest.raises(ExportError, match="accept a feature first"):
        session.export_training(tmp_path / "set")
