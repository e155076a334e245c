"""The page in a real Chromium: it says what Python says, and a user gets files out of it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely

import geoiseg
from geoiseg.demo.scene import make_scene
from geoiseg.models import get_model
from geoiseg.models.tiny import careful
from geoiseg.outline.vectorize import contour, contour_from_mask, geometry_from_mask
from geoiseg.prompting import Point
from geoiseg.segment import Segmenter, Step
from geoiseg.web.site import write_site
from tests.conftest import write_raster
from tests.web.large_cog import CENTRE, RADIUS, counting, large_cog
from tests.web.scenes import Scene, scenes, serving

pytestmark = pytest.mark.browser

ASK = """async ([call, asked]) => {
  const { ask } = await import("./engine.js");
  const answer = await ask(call, asked);
  if (answer && answer.mask) answer.mask.data = Array.from(answer.mask.data).join("");
  return answer;
}"""
WIDTH, HEIGHT = 1100, 800


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    site = write_site(tmp_path_factory.mktemp("web") / "site")
    with serving(site.folder) as url:
        yield url


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scene]:
    return scenes(tmp_path_factory.mktemp("scenes"))


@pytest.fixture
def page(chromium: Any, address: str) -> Iterator[Any]:
    context = chromium.new_context(viewport={"width": WIDTH, "height": HEIGHT})
    shown = context.new_page()
    shown.set_default_timeout(60_000)
    outside: list[str] = []
    wrong: list[str] = []
    own = (address, "data:", "blob:")
    shown.on("request", lambda one: None if one.url.startswith(own) else outside.append(one.url))
    shown.on("pageerror", lambda error: wrong.append(str(error)))
    shown.goto(address)
    yield shown
    context.close()
    assert not outside
    assert not wrong


def opened(page: Any, path: Path) -> None:
    page.set_input_files("#file", path)
    says(page, f"{path.name}: ")


def dropped(page: Any, path: Path) -> None:
    """Let go of a file over the map."""
    content = base64.b64encode(path.read_bytes()).decode()
    files = page.evaluate_handle(
        """([name, content]) => {
          const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
          const files = new DataTransfer();
          files.items.add(new File([bytes], name));
          return files;
        }""",
        [path.name, content],
    )
    page.dispatch_event("#map", "drop", {"dataTransfer": files})
    says(page, f"{path.name}: ")


def says(page: Any, text: str) -> str:
    """Return what the page says once it says something with a text."""
    page.wait_for_function(
        "text => document.querySelector('#status').textContent.includes(text)", arg=text
    )
    return str(page.locator("#status").text_content())


def step(one: tuple[Any, ...]) -> dict[str, Any]:
    if len(one) == 4:
        return {"points": [], "box": list(one), "level": None}
    x, y, positive = one
    return {"points": [{"x": x, "y": y, "positive": positive}], "box": None, "level": None}


def told(session: geoiseg.Session, one: tuple[Any, ...]) -> tuple[Any, ...]:
    """Say in Python what a prompt says, and return it in the pixels that it means there."""
    grid = session.raster.grid
    if len(one) == 3:
        session.add_point(*grid.to_crs([one[:2]])[0], positive=one[2])
        return one
    x, y = grid.to_crs(np.reshape(one, (2, 2))).T
    box = (x.min(), y.min(), x.max(), y.max())
    session.add_box(*box)
    return grid.box_to_pixel(box)


def lies_on_the_same_line(
    found: Any, session: geoiseg.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hold that the page's coordinates are Python's to a hundredth of a pixel, or a twentieth where
    the network hardly says where the border is.

    Vertices that the line does not need are dropped up to a tenth of a pixel, and which these
    are the last digits of the logits decide: what is compared is the line with all of them.
    """
    grid, wanted = session.mask.grid, session.geometry
    with monkeypatch.context() as patch:
        patch.setattr(contour, "SLACK", 0.0)
        full = contour_from_mask(session.mask.array, grid.transform, session.outcome.told)

    def in_pixels(shape: Any) -> Any:
        return shapely.transform(shape, grid.to_pixel)

    assert found.geom_type == wanted.geom_type
    line = in_pixels(full).boundary
    vertices = shapely.points(shapely.get_coordinates(in_pixels(found)))
    off = shapely.distance(vertices, line)
    assert off.max() <= 0.05
    assert np.median(off) <= 0.01
    apart = shapely.hausdorff_distance(in_pixels(found).boundary, in_pixels(wanted).boundary)
    assert apart <= contour.SLACK + 0.05


def draws_the_same(page: Any, session: geoiseg.Session) -> None:
    """Hold that of the same mask and logits the page draws the very polygon that Python does."""
    from affine import Affine

    mask, logits = session.mask.array, session.outcome.told
    around = np.s_[*(slice(max(some.min() - 2, 0), some.max() + 3) for some in mask.nonzero())]
    mask, logits = mask[around], logits[around]
    wanted = contour_from_mask(mask, Affine.identity(), logits)
    assert shapely.equals_exact(outlined(page, mask, logits), wanted, 1e-9)


def outlined(page: Any, mask: np.ndarray, logits: np.ndarray | None = None) -> Any:
    """Return what the page draws of a mask, in pixels."""
    rows, cols = mask.shape
    told = None if logits is None else logits.astype(float).ravel().tolist()
    pixels = mask.ravel().astype(int).tolist()
    asked = {"rows": rows, "cols": cols, "pixels": pixels, "logits": told}
    return shapely.geometry.shape(page.evaluate(ASK, ["outline", asked]))


@pytest.mark.parametrize(
    "name",
    ["utm, seen from further away", "long", "beyond", "geographic", "rotated", "16 bits", "nodata"],
)
def test_the_page_says_what_python_says(
    page: Any, every: dict[str, Scene], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene, model = every[name], get_model("tiny")
    opened(page, scene.path)
    levels, shapes = set(), set()
    for prompts in scene.prompts:
        session = geoiseg.Session(geoiseg.open_raster(scene.path), model=model)
        page.evaluate(ASK, ["clear", None])
        for one in prompts:
            shown = page.evaluate(ASK, ["add", step(told(session, one))])
        mask = np.frombuffer(shown["mask"]["data"].encode(), np.uint8) == ord("1")
        ours = session.mask.array
        theirs = mask.reshape(shown["mask"]["rows"], -1)
        assert theirs.shape == ours.shape
        assert ours.any()
        assert (ours & theirs).sum() >= 0.995 * (ours | theirs).sum()
        levels.add(shown["level"])
        shapes.add(ours.shape)
        accepted = page.evaluate(ASK, ["accept", None])
        found = shapely.geometry.shape(accepted["geometry"])
        if name == "beyond":  # averages that differ by a grey level may tip a pixel of its mask
            apart = shapely.symmetric_difference(found, session.geometry).area
            assert apart <= 0.01 * session.geometry.area
        else:
            lies_on_the_same_line(found, session, monkeypatch)
        draws_the_same(page, session)
    assert (1 in levels) == (name in ("utm, seen from further away", "beyond"))
    assert shapes == {(288, 720)} or name != "long"


def test_clicks_that_come_together_mean_what_they_do_in_python(
    page: Any, every: dict[str, Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a click so far off that the object is looked at anew: there is no mask yet."""
    scene = every["rotated"]
    opened(page, scene.path)
    raster = geoiseg.open_raster(scene.path)
    segmenter = Segmenter(raster, get_model("tiny"))
    for points in (((281.5, 227.5, True), (48.5, 261.5, True)),
                   ((79.5, 225.5, True), (276.5, 27.5, True))):  # fmt: skip
        ours = tuple(
            Point(*raster.grid.to_crs([(x, y)])[0].tolist(), positive=on) for x, y, on in points
        )
        wanted = segmenter.run((Step(ours),)).mask.array
        with monkeypatch.context() as patch:  # these are such that it matters
            patch.setattr(careful, "meant_by_all", lambda *_: None)
            other = segmenter.run((Step(ours),)).mask.array
        assert (wanted & other).sum() < 0.98 * (wanted | other).sum()
        page.evaluate(ASK, ["clear", None])
        steps = [step(one) for one in points]
        together = {**steps[0], "points": [one for said in steps for one in said["points"]]}
        shown = page.evaluate(ASK, ["add", together])
        found = np.frombuffer(shown["mask"]["data"].encode(), np.uint8) == ord("1")
        found = found.reshape(shown["mask"]["rows"], -1)
        assert wanted.any()
        assert (found & wanted).sum() >= 0.995 * (found | wanted).sum()


def random_masks() -> list[np.ndarray]:
    """Return masks with holes, islands in them, and parts and holes that touch at corners."""
    rng = np.random.default_rng(3)
    dense = [rng.random((24, 31)) < share for share in (0.3, 0.5, 0.7, 0.9)]
    rings = np.zeros((15, 15), bool)
    for inset, value in ((1, True), (3, False), (5, True), (7, False)):
        rings[inset : 15 - inset, inset : 15 - inset] = value
    return [*dense, rings, np.ones((4, 5), bool), np.eye(6, dtype=bool)]


def random_logits(mask: np.ndarray) -> np.ndarray:
    """Return logits that say where borders are, contradict the mask, or say yes and no alone."""
    rng = np.random.default_rng(mask.size)
    sure = np.where(mask, 8.0, -8.0)
    told = sure * rng.uniform(0.05, 1, mask.shape) * rng.choice([1, 1, 1, -1], mask.shape)
    return np.where(rng.random(mask.shape) < 0.3, sure, told).astype(np.float16)


def test_outlines_are_those_of_python(page: Any) -> None:
    from affine import Affine

    for mask in random_masks():
        edges = outlined(page, mask)
        assert edges.is_valid
        assert shapely.equals_exact(edges, geometry_from_mask(mask, Affine.identity()), 0)
        logits = random_logits(mask)
        found = outlined(page, mask, logits)
        wanted = contour_from_mask(mask, Affine.identity(), logits)
        assert found.is_valid
        assert shapely.equals_exact(found, wanted, 1e-9)


CUT = """asked => new Promise((resolve, reject) => {
  const code = `
    const { learned, grabCut, loadVision } = await import("${new URL("engine/vision.js", document.baseURI)}");
    const { cutBand } = await import("${new URL("engine/mincut.js", document.baseURI)}");
    await loadVision("${new URL("vendor/opencv.js", document.baseURI)}");
    self.postMessage(${JSON.stringify(asked)}.map(([rows, cols, ...planes]) => {
      const [seen, sides] = planes.map((values) => ({ rows, cols, data: Uint8Array.from(values) }));
      const models = learned(seen, sides);
      return [cutBand(seen, sides, models), grabCut(seen, sides, models)].map(
        (found) => found && Array.from(found.data));
    }));`;
  const script = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const worker = new Worker(script, { type: "module" });
  worker.onmessage = ({ data }) => resolve(data);
  worker.onerror = ({ message }) => reject(new Error(message));
})"""


def uncertain(seed: int) -> tuple[int, int, np.ndarray, np.ndarray]:
    """Return rows, columns, an image and a trimap of a blob whose outline is uncertain."""
    rng = np.random.default_rng(seed)
    rows, cols = (int(side) for side in rng.integers(60, 110, 2))
    y, x = np.mgrid[:rows, :cols]
    away = np.hypot(x - cols / 2, y - rows / 2) + 3 * np.sin(x / 4)
    image = np.where((away < 22)[..., None], *rng.integers(0, 255, (2, 3)))
    image = np.clip(image + rng.normal(0, rng.choice([9, 40]), image.shape), 0, 255)
    trimap = np.where(away < 24, 1, 0) + 2 * (np.abs(away - 24) < rng.integers(3, 9))
    trimap[:, -1] = 2  # the image's border is uncertain, too
    return rows, cols, image.astype(int).ravel(), trimap.ravel()


def test_a_band_is_cut_as_opencv_cuts_all(page: Any) -> None:
    asked = [uncertain(seed) for seed in range(8)]
    plain = [(rows, cols, *(one.tolist() for one in planes)) for rows, cols, *planes in asked]
    for (ours, theirs), (*_, trimap) in zip(page.evaluate(CUT, plain), asked, strict=True):
        assert ours == theirs
        assert ours != trimap.tolist()


AHEAD = """() => new Promise((resolve, reject) => {
  const code = `
    const here = "${new URL(".", document.baseURI)}";
    const { Graphs } = await import(here + "engine/graphs.js");
    const { Tiny } = await import(here + "engine/tiny.js");
    const { loadVision } = await import(here + "engine/vision.js");
    await loadVision(here + "vendor/opencv.js");
    const ready = async () => {};
    const graphs = await Graphs.load(here + "model/", here + "vendor/", ready);
    const side = 160;
    const valid = { rows: side, cols: side, data: new Uint8Array(side * side).fill(1) };
    const image = { rows: side, cols: side, data: new Uint8Array(3 * side * side) };
    for (let at = 0; at < side * side; at++) {
      const inside = Math.hypot((at % side) - 80, Math.floor(at / side) - 80) < 45;
      image.data.set(inside ? [40, 60, 150] : [60, 110, 50], 3 * at);
    }
    const points = [[80, 80], [60, 80], [90, 100]].map(([x, y]) => ({ x, y, positive: true }));
    const said = (count) => ({ points: points.slice(0, count), box: null });
    const sessions = [];
    for (const isAhead of [false, true]) {
      const tiny = new Tiny(graphs);
      const embedding = await tiny.embed(image, valid);
      let before = null;
      for (const count of [1, 2]) {
        ({ logits: before } = await tiny.decode(embedding, said(count), before, false));
      }
      if (isAhead) for (const make of tiny.otherSides(embedding)) await make();
      const encoded = tiny.embedded;
      const { logits } = await tiny.decode(embedding, said(3), before, false);
      sessions.push([tiny.embedded - encoded, Array.from(logits.data)]);
    }
    self.postMessage(sessions);`;
  const script = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  const worker = new Worker(script, { type: "module" });
  worker.onmessage = ({ data }) => resolve(data);
  worker.onerror = ({ message }) => reject(new Error(message));
})"""


def test_a_third_click_encodes_nothing_where_a_user_looked_first(page: Any) -> None:
    (at_once, late), (ahead, soon) = page.evaluate(AHEAD)
    assert at_once == 2, "the chip turned, and from a third further away"
    assert ahead == 0
    assert soon == late


def test_what_a_third_click_needs_is_encoded_while_a_user_looks(page: Any, tmp_path: Path) -> None:
    scene = make_scene(tmp_path / "scene.tif", 512)
    opened(page, scene.path)
    x, y = 250.5, 250.5

    def add(*more: tuple[float, float]) -> int:
        for dx, dy in more:
            page.evaluate(ASK, ["add", step((x + dx, y + dy, True))])
        return int(page.evaluate(ASK, ["encoded", None]))

    def looked() -> int:
        """Return how many chips are encoded once nothing is made ahead any more."""
        before = -1
        while (now := int(page.evaluate(ASK, ["encoded", None]))) != before:
            before = now
            page.wait_for_timeout(1500)
        return now

    two = add((0, 0), (9, 7))
    assert looked() >= two + 2
    ready = looked()
    add((18, 7))
    assert looked() == ready, "nothing was left to encode but close-ups"


def place(page: Any, x: float, y: float) -> tuple[float, float]:
    """Return where a place of the raster is on the screen, as Leaflet's own tiles show it."""
    left, top, scale = page.evaluate("""() => {
      const home = document.querySelector("#map").getBoundingClientRect();
      const tile = document.querySelector(".leaflet-tile").getBoundingClientRect();
      const all = [...document.querySelectorAll(".leaflet-tile")].map(
        (one) => one.getBoundingClientRect());
      return [Math.min(...all.map((one) => one.left)), Math.min(...all.map((one) => one.top)),
              Number(getComputedStyle(document.querySelector("#map")).zoom) || 1];
    }""")
    zoom = 2.0 ** page.evaluate("async () => (await import('./app.js')).map.map.getZoom()")
    return left + x * zoom * scale, top + y * zoom * scale


def test_a_user_without_a_network_gets_files(
    page: Any, every: dict[str, Scene], tmp_path: Path
) -> None:
    path = every["rotated"].path
    page.evaluate("navigator.serviceWorker.ready")
    page.wait_for_function("navigator.serviceWorker.controller !== null")
    page.context.set_offline(True)
    page.reload()
    dropped(page, path)
    page.wait_for_selector(".leaflet-tile-loaded")
    page.mouse.click(*place(page, 90.5, 80.5))
    says(page, "score")
    assert page.locator(".leaflet-image-layer").count() == 1
    page.keyboard.down("Shift")
    page.mouse.click(*place(page, 150.5, 80.5))
    page.keyboard.up("Shift")
    page.wait_for_function("document.querySelectorAll('path.leaflet-interactive').length === 2")
    page.click("#undo")
    page.wait_for_function("document.querySelectorAll('path.leaflet-interactive').length === 1")
    page.fill("#label", "pond")
    page.click("#accept")
    says(page, "accepted: 1")
    layers = {}
    for button, suffix in (("geojson", ".geojson"), ("flatgeobuf", ".fgb")):
        with page.expect_download() as waited:
            page.click(f"#{button}")
        target = tmp_path / f"objects{suffix}"
        waited.value.save_as(target)
        assert waited.value.suggested_filename == f"turned{suffix}"
        layers[suffix] = gpd.read_file(target)
    own, world = layers[".fgb"], layers[".geojson"]
    assert own.crs.to_epsg() == 32633
    assert world.crs.to_epsg() == 4326
    assert own.label.tolist() == world.label.tolist() == ["pond"]
    moved = world.to_crs(own.crs).geometry[0]
    assert moved.hausdorff_distance(own.geometry[0]) < 0.001  # metres; a pixel has half a metre
    disc = own.geometry[0]
    assert 0.9 < disc.area / (np.pi * 18**2) < 1.1
    centre = geoiseg.open_raster(path).grid.to_crs([(90.5, 80.5)])[0]
    assert disc.centroid.distance(shapely.Point(centre)) < 1
    dropped(page, tmp_path / "objects.geojson")
    says(page, "objects.geojson: 1 object")
    with page.expect_download() as waited:
        page.click("#flatgeobuf")
    waited.value.save_as(tmp_path / "both.fgb")
    both = gpd.read_file(tmp_path / "both.fgb")
    assert both.id.tolist() == [1, 2]
    assert both.label.tolist() == ["pond", "pond"]
    assert both.geometry[1].hausdorff_distance(own.geometry[0]) < 0.001


def test_bands_are_chosen(page: Any, tmp_path: Path) -> None:
    noise = np.random.default_rng(2).normal(100, 5, (5, 200, 220))
    y, x = np.mgrid[:200, :220]
    disc = (x - 90) ** 2 + (y - 80) ** 2 < 36**2
    noise[3][disc] += 90
    path = write_raster(tmp_path / "five.tif", noise.astype(np.uint8), crs="EPSG:32633")
    with rasterio.open(path, "r+") as dataset:
        dataset.set_band_description(4, "near infrared")
    opened(page, path)
    assert page.locator("#bands option").count() == 15
    assert page.locator("[aria-label=Red]").inner_text().splitlines()[3] == "4 near infrared"
    page.select_option("[aria-label=Red]", index=3)
    says(page, "bands 4, 2, 3")
    shown = page.evaluate(ASK, ["add", step((90.5, 80.5, True))])
    found = np.frombuffer(shown["mask"]["data"].encode(), np.uint8) == ord("1")
    found = found.reshape(shown["mask"]["rows"], -1)[:200, :220]
    assert (found & disc).sum() >= 0.9 * (found | disc).sum()
    with pytest.raises(Exception, match="choose three of the 5 bands"):
        page.evaluate(ASK, ["choose", {"bands": [0, 1, 5]}])


def test_objects_that_can_not_be_opened_are_said(
    page: Any, every: dict[str, Scene], tmp_path: Path
) -> None:
    points = tmp_path / "points.geojson"
    points.write_text(
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {},'
        ' "geometry": {"type": "Point", "coordinates": [15, 47]}}]}'
    )
    page.set_input_files("#file", points)
    says(page, "open the raster first, then its objects")
    opened(page, every["utm, seen from further away"].path)
    page.set_input_files("#file", points)
    says(page, "only a GeoJSON collection of polygons can be opened here")
    points.write_text("{")
    page.set_input_files("#file", points)
    says(page, "this is no GeoJSON")


def test_a_large_cog_is_read_by_its_parts(chromium: Any, address: str, tmp_path: Path) -> None:
    path = large_cog(tmp_path / "large.tif")
    assert path.stat().st_size > 2e9
    context = chromium.new_context(viewport={"width": WIDTH, "height": HEIGHT})
    shown = context.new_page()
    shown.set_default_timeout(120_000)
    with counting(tmp_path) as (server, counted):
        shown.goto(address)
        shown.fill("#url", f"{server}large.tif")
        shown.press("#url", "Enter")
        says(shown, "large.tif: 28160 x 25600 pixels, EPSG:32633")
        shown.evaluate(
            "async ([x, y]) => (await import('./app.js')).map.map.setView([-y, x], 0)",
            list(CENTRE),
        )
        shown.mouse.click(WIDTH / 2, HEIGHT / 2)
        says(shown, "score")
        accepted = shown.evaluate(ASK, ["accept", None])
        read = counted.sent
    context.close()
    disc = shapely.geometry.shape(accepted["geometry"])
    assert 0.9 < disc.area / (np.pi * (RADIUS / 2) ** 2) < 1.1
    middle = shapely.Point(500_000 + CENTRE[0] / 2, 5_200_000 - CENTRE[1] / 2)
    assert disc.centroid.distance(middle) < 1
    assert read < 20e6


def test_what_is_no_data_is_not_segmented(page: Any, every: dict[str, Scene]) -> None:
    opened(page, every["nodata"].path)
    shown = page.evaluate(ASK, ["add", step((90.5, 80.5, True))])
    assert shown["mask"]["data"].count("1") > 1000
    with pytest.raises(Exception, match="there is no data under the prompts"):
        page.evaluate(ASK, ["add", step((120.5, 115.5, True))])


def test_what_the_page_can_not_read_is_said(page: Any, tmp_path: Path) -> None:
    wrong = tmp_path / "notes.tif"
    wrong.write_bytes(b"these are no pixels at all")
    page.set_input_files("#file", wrong)
    page.wait_for_selector("#status.is-wrong")
    page.click("#accept")
    says(page, "there is nothing to accept yet")
