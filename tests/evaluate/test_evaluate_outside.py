"""Public sets: folders in their layouts, the objects in them, and the row of a table."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from geoiseg.cli import main
from geoiseg.errors import PromptError
from geoiseg.evaluate import outside
from geoiseg.evaluate.outside import LAYOUTS, Pair, objects_of, pairs_of, window_of
from geoiseg.evaluate.published import PublishedOptions, PublishedScore, row_of, score_set
from geoiseg.models import Embedding, Masks, ModelInfo, get_model

ROWS, COLUMNS = np.indices((60, 80))
DISK = np.hypot(ROWS - 30, COLUMNS - 40) < 15
OTHER = (ROWS > 44) & (COLUMNS > 60)


def write(path: Path, array: np.ndarray) -> None:
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    given = array if array.ndim == 2 else np.ascontiguousarray(array[..., ::-1])
    assert cv2.imwrite(str(path), given)


def picture(mask: np.ndarray = DISK) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 6, (*mask.shape, 3))
    colours = np.where(mask[..., None], (170, 120, 60), (60, 90, 120))
    return np.clip(colours + noise, 0, 255).astype(np.uint8)


def grey(mask: np.ndarray, value: int = 255) -> np.ndarray:
    return np.where(mask, value, 0).astype(np.uint8)


def grabcut(folder: Path) -> None:
    write(folder / "data_GT" / "flower.jpg", picture())
    trimap = grey(DISK)
    trimap[:5] = 128
    write(folder / "boundary_GT" / "flower.bmp", trimap)


def berkeley(folder: Path) -> None:
    write(folder / "images" / "12003.jpg", picture())
    write(folder / "masks" / "12003.png", grey(DISK))


def davis(folder: Path) -> None:
    write(folder / "img" / "bear_00001.jpg", picture())
    write(
        folder / "gt" / "bear_00001.png", np.where(DISK[..., None], (0, 3, 0), 0).astype(np.uint8)
    )


def coco(folder: Path) -> None:
    write(folder / "img" / "cat00_1.jpg", picture())
    write(folder / "gt" / "cat00_1.png", grey(DISK))


def sbd(folder: Path) -> None:
    from scipy.io import savemat

    write(folder / "img" / "2008_000001.jpg", picture(DISK | OTHER))
    numbers = DISK.astype(np.uint8) + 2 * OTHER.astype(np.uint8)
    (folder / "inst").mkdir()
    savemat(folder / "inst" / "2008_000001.mat",
            {"GTinst": {"Segmentation": numbers, "Categories": np.array([[1], [2]])}})  # fmt: skip
    (folder / "val.txt").write_text("2008_000001\n")


def hqseg(folder: Path) -> None:
    write(folder / "DIS5K/DIS-VD/im" / "1#a.jpg", picture())
    write(folder / "DIS5K/DIS-VD/gt" / "1#a.png", grey(DISK))
    write(folder / "thin_object_detection/HRSOD/images" / "b.jpg", picture())
    write(folder / "thin_object_detection/HRSOD/masks_max255" / "b.png", grey(DISK))


def whu(folder: Path) -> None:
    write(folder / "test/image" / "2_1.tif", picture(DISK | OTHER))
    write(folder / "test/label" / "2_1.tif", grey(DISK | OTHER))


def loveda(folder: Path) -> None:
    write(folder / "Val/Urban/images_png" / "3514.png", picture(DISK | OTHER))
    classes = np.ones(DISK.shape, np.uint8)
    classes[DISK], classes[OTHER], classes[:, :4] = 4, 7, 0
    write(folder / "Val/Urban/masks_png" / "3514.png", classes)


def isaid(folder: Path) -> None:
    write(folder / "val/images/images" / "P0003.png", picture(DISK | OTHER))
    colours = np.zeros((*DISK.shape, 3), np.uint8)
    colours[DISK], colours[OTHER] = (0, 0, 63), (127, 1, 0)
    write(folder / "val/Instance_masks/images" / "P0003_instance_id_RGB.png", colours)


def potsdam(folder: Path) -> None:
    write(folder / "2_Ortho_RGB" / "top_potsdam_2_10_RGB.tif", picture(DISK | OTHER))
    colours = np.full((*DISK.shape, 3), 255, np.uint8)
    colours[DISK], colours[OTHER] = (0, 0, 255), (255, 0, 0)
    write(folder / "5_Labels_all" / "top_potsdam_2_10_label.tif", colours)


MADE: dict[str, tuple[Callable[[Path], None], int]] = {
    "grabcut": (grabcut, 1), "berkeley": (berkeley, 1), "davis": (davis, 1), "sbd": (sbd, 2),
    "coco-mval": (coco, 1), "hqseg44k": (hqseg, 2), "whu": (whu, 2), "loveda": (loveda, 2),
    "isaid": (isaid, 2), "potsdam": (potsdam, 1),
}  # fmt: skip


def test_every_set_is_tested() -> None:
    assert set(MADE) == set(LAYOUTS)


@pytest.mark.parametrize("name", sorted(MADE))
def test_objects_are_where_the_labels_say(name: str, tmp_path: Path) -> None:
    make, count = MADE[name]
    make(tmp_path)
    items = [item for pair in pairs_of(name, tmp_path) for item in objects_of(name, pair)]
    assert len(items) == count
    assert len({item.name for item in items}) == count
    found = [item.truth for item in items]
    assert any(np.array_equal(truth, DISK) for truth in found)
    if count == 2 and name != "hqseg44k":
        assert any(np.array_equal(truth, OTHER) for truth in found)
    for item in items:
        assert item.image.shape == (60, 80, 3)
        assert item.image.dtype == np.uint8
        middle = item.image[DISK].mean(axis=0)  # red first
        assert middle[0] > middle[2]
    if name == "grabcut":
        assert not items[0].valid[:5].any()
        assert items[0].valid[5:].all()
    if name == "loveda":
        assert not items[0].valid[:, :4].any()


def test_small_patches_are_no_objects(tmp_path: Path) -> None:
    speck = DISK.copy()
    speck[2:5, 2:5] = True
    write(tmp_path / "image" / "a.tif", picture(speck))
    write(tmp_path / "label" / "a.tif", grey(speck))
    (pair,) = pairs_of("whu", tmp_path)
    assert len(list(objects_of("whu", pair))) == 1


def test_a_window_around_an_object_stays_on_the_picture() -> None:
    truth = np.zeros((3000, 2000), bool)
    truth[2900:2990, 5:60] = True
    rows, columns = window_of(truth)
    assert (rows.stop - rows.start, columns.stop - columns.start) == (512, 512)
    assert truth[rows, columns].sum() == truth.sum()
    truth[:] = False
    truth[1000:1500, 500:1100] = True
    rows, columns = window_of(truth)
    assert (rows.stop - rows.start, columns.stop - columns.start) == (1000, 1200)
    assert window_of(np.ones((40, 50), bool)) == (slice(0, 40), slice(0, 50))


def test_what_is_no_such_set_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="is no GrabCut: it should hold data_GT and boundary_GT"):
        pairs_of("grabcut", tmp_path)
    with pytest.raises(PromptError, match="is no LoveDA"):
        pairs_of("loveda", tmp_path / "nowhere")
    with pytest.raises(PromptError, match="no set 'cityscapes'"):
        pairs_of("cityscapes", tmp_path)
    berkeley(tmp_path)
    (tmp_path / "masks" / "12003.png").unlink()
    with pytest.raises(PromptError, match="1 pictures have no labels"):
        pairs_of("berkeley", tmp_path)
    write(tmp_path / "masks" / "12003.png", grey(DISK[:20]))
    (pair,) = pairs_of("berkeley", tmp_path)
    with pytest.raises(PromptError, match=r"is \(20, 80\), its picture \(60, 80\)"):
        list(objects_of("berkeley", pair))
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(PromptError, match="no picture that can be read"):
        outside.read_rgb(tmp_path / "text.jpg")
    (tmp_path / "a.mat").write_bytes(b"no matlab")
    with pytest.raises(PromptError, match="holds no instances"):
        list(objects_of("sbd", Pair(tmp_path / "images" / "12003.jpg", tmp_path / "a.mat")))


class Oracle:
    """Knows the object from the third click on."""

    info = ModelInfo("oracle", "test", "Apache-2.0", "knows")

    def embed(self, image: np.ndarray, valid: np.ndarray) -> Embedding:
        return Embedding("oracle", valid.shape, {"image": image})

    def decode(self, embedding: Embedding, prompts: object, previous: object = None) -> Masks:
        count = len(prompts.points)  # type: ignore[attr-defined]
        known = DISK if count >= 3 else DISK & (COLUMNS < 42)
        return Masks(np.where(known, 4.0, -4.0).astype(np.float32)[None], np.ones(1, np.float32))


def test_clicks_are_counted_as_papers_count_them(tmp_path: Path) -> None:
    berkeley(tmp_path)
    (score,) = score_set("berkeley", tmp_path, Oracle())
    half = (DISK & (COLUMNS < 42)).sum() / DISK.sum()
    assert score.ious[:2] == pytest.approx((half, half))
    assert score.ious[2:] == (1.0,) * 18
    assert score.clicks == 3
    row = row_of([score])
    assert row.noc == (3, 3, 3)
    assert row.nof == (0, 0, 0)
    assert row.iou_1 == pytest.approx(half)
    assert row.iou_5 == 1


def test_an_object_that_is_never_reached_counts_with_all_clicks() -> None:
    never = PublishedScore("a", (0.87,) * 20, 20, 0.5, 1.5)
    once = PublishedScore("b", (0.96,) * 20, 1, 0.5, 0.1)
    row = row_of([never, once])
    assert row.noc == (1.0, 10.5, 10.5)
    assert row.nof == (0, 1, 1)
    assert row.spc == pytest.approx(2.6 / 21)
    assert row.encode == 0.5
    text = row.as_text("m", "set").splitlines()
    assert text[0].startswith("| model | set | objects | NoC@85 | NoC@90 | NoC@95 | NoF@85 |")
    assert text[2].startswith("| m | set | 2 | 1.00 | 10.50 | 10.50 | 0 | 1 | 1 |")


@pytest.mark.parametrize("user", ["centre", "realistic"])
def test_the_command_prints_the_row(
    tmp_path: Path, capsys: pytest.CaptureFixture, user: str
) -> None:
    sbd(tmp_path)
    arguments = ["evaluate", str(tmp_path), "--dataset", "sbd", "-m", "region-growing",
                 "--clicks", "6", "--user", user, "--seed", "3"]  # fmt: skip
    main(arguments)
    out = capsys.readouterr().out
    assert f"| region-growing | sbd, {user} clicks | 2 |" in out
    main([*arguments, "--json", "--limit", "1"])
    document = json.loads(capsys.readouterr().out)
    assert document["objects"] == 1
    assert document["noc85"] <= 6
    same = score_set("sbd", tmp_path, get_model("region-growing"), PublishedOptions(user, 3, 1, 6))
    assert document["noc85"] == row_of(same).noc[0]


def test_options_of_rasters_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    sbd(tmp_path)
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate", str(tmp_path), "--dataset", "sbd", "--gsd", "2"])
    assert "says nothing of a public set" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate", str(tmp_path), "--dataset", "sbd", "--clicks", "0"])
    assert "--clicks" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="1"):
        main(["evaluate", str(tmp_path), "--dataset", "grabcut", "-m", "region-growing"])
    assert capsys.readouterr().err.count("\n") == 1
