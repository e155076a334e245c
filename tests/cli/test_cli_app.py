"""``geoiseg app`` and ``geoiseg lab`` with real servers: who gets in, what is served, how it ends."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import geopandas as gpd
import numpy as np
import pytest
from click.testing import CliRunner

from geoiseg.cli.app import make_notebook
from geoiseg.cli.lab import copy_quick_start
from geoiseg.cli.main import main
from tests.conftest import Disk, disk_pixels, missing, needed, write_raster
from tests.widget.browser.harness import CHROMIUM, FLAGS

voila = needed("voila")
PATIENCE = 90.0
GEOISEG = [sys.executable, "-m", "geoiseg"]


@dataclass
class App:
    process: subprocess.Popen[str]
    url: str
    folder: Path
    log: Path

    @property
    def port(self) -> int:
        return int(urlsplit(self.url).port or 0)

    @property
    def token(self) -> str:
        return self.url.partition("token=")[2]

    def ask(self, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
        """Return the answer to one raw request: the path goes out as it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.putrequest(method, path, skip_host=False)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        answer.body = answer.read()  # type: ignore[attr-defined]
        connection.close()
        return answer

    def ticket(self) -> str:
        """Return the cookie that the token buys."""
        answer = self.ask(f"/?token={self.token}")
        assert answer.status == 302
        return answer.getheader("Set-Cookie", "").partition(";")[0]


def start(disk: Disk, folder: Path, *options: str) -> App:
    log = folder / "log.txt"
    environment = {
        **os.environ, "OMP_NUM_THREADS": "1", "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "IPYTHONDIR": str(folder / "ipython"), "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    command = [*GEOISEG, "app", str(disk.path), "--no-browser", "--port", "0", *options]
    with log.open("w") as file:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, text=True, stdout=file, stderr=file
        )
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(r"http://\S+", log.read_text()):
            return App(process, found[0], folder, log)
        time.sleep(0.1)
    process.kill()
    raise AssertionError(f"the app did not start: {log.read_text()}")


@pytest.fixture(scope="module")
def app(disk: Disk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    folder = tmp_path_factory.mktemp("app")
    (folder / "secret.png").write_bytes(b"a picture of the host")
    (folder / "secret.txt").write_text("a text of the host")
    running = start(disk, folder, "--project", str(folder / "p.gpkg"))
    yield running
    running.process.send_signal(signal.SIGINT)
    running.process.wait(30)


KERNEL_ID = "01234567-89ab-cdef-0123-456789abcdef"
EVERYWHERE = [
    "/",
    "/?token=",
    "/?token=wrong",
    "/?token=wrong&token={token}",
    "/voila/static/voila.js",
    "/voila/templates/lab/static/index.css",
    "/voila/labextensions/jupyter-leaflet/package.json",
    "/voila/files/secret.png",
    "/voila/files/geoiseg.ipynb",
    f"/api/kernels/{KERNEL_ID}",
    f"/api/kernels/{KERNEL_ID}/channels",
    "/api/contents",
    "/static/base/images/favicon.ico",
    "/login",
    "/favicon.ico",
    "/nowhere",
]


@pytest.mark.parametrize("path", EVERYWHERE)
def test_without_the_token_there_is_nothing(app: App, path: str) -> None:
    answer = app.ask(path.format(token=app.token))
    assert answer.status == 403
    assert answer.getheader("Set-Cookie") is None
    assert len(answer.body) < 100  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
@pytest.mark.parametrize(
    "path", ["/", f"/voila/api/shutdown/{KERNEL_ID}", f"/api/kernels/{KERNEL_ID}"]
)
def test_no_method_gets_around_the_token(app: App, method: str, path: str) -> None:
    assert app.ask(path, method).status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "token {token}"},
        {"Authorization": "Bearer {token}"},
        {"Cookie": "geoiseg=1"},
        {"Cookie": "{name}=wrong"},
        {"Cookie": "{name}={token}"},
        {"Cookie": "{name}="},
        {"Cookie": ';;;="\\'},
        {"X_Forwarded_For": "127.0.0.1", "X_Real_Ip": "127.0.0.1"},
    ],
)
def test_the_token_is_good_for_the_front_door_alone(app: App, headers: dict[str, str]) -> None:
    name = app.ticket().partition("=")[0]
    filled = {key: value.format(token=app.token, name=name) for key, value in headers.items()}
    assert app.ask("/voila/static/voila.js", **filled).status == 403


def test_a_socket_needs_the_ticket(app: App) -> None:
    upgrade = {
        "Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    path = f"/api/kernels/{KERNEL_ID}/channels"
    assert app.ask(path, **upgrade).status == 403
    assert app.ask(f"{path}?token={app.token}", **upgrade).status == 403
    elsewhere = {**upgrade, "Cookie": app.ticket(), "Origin": "http://example.com"}
    assert app.ask(path, **elsewhere).status in (403, 404)


def test_the_token_buys_a_cookie_that_scripts_can_not_read(app: App) -> None:
    answer = app.ask(f"/?token={app.token}")
    assert answer.status == 302
    assert answer.getheader("Location") == "/"
    cookie = answer.getheader("Set-Cookie", "").lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert app.token.lower() not in cookie


OUTSIDE = [
    "/voila/files/secret.png",
    "/voila/files/secret.txt",
    "/voila/files/geoiseg.ipynb",
    "/voila/files/../../etc/passwd",
    "/voila/static/../../../../../../etc/passwd",
    "/voila/static/..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/voila/static/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/voila/static/%252e%252e/%252e%252e/etc/passwd",
    "/voila/static//etc/passwd",
    "/voila/static/%2fetc/passwd",
    "/voila/static/..\\..\\secret.txt",
    "/voila/templates/../static/../../../etc/passwd",
    "/voila/templates/%2e%2e/static/secret.txt",
    "/voila/templates/lab/static/../../../../../../../etc/passwd",
    "/voila/labextensions/../../../../../../etc/passwd",
    "/voila/labextensions/%2e%2e%2f%2e%2e%2fetc/passwd",
    "/voila/api/themes/../../../../../../etc/passwd",
    "/voila/api/contents/secret.txt",
    "/voila/tree",
    "/voila/render/geoiseg.ipynb",
    "/api/contents/secret.txt",
    "/api/kernels",
    "/api/sessions",
    "/files/secret.txt",
    "/geoiseg.ipynb",
    "/secret.png",
    "/static/style.css",
    "//etc/passwd",
    "/voila/query/" + KERNEL_ID,
    "/voila/execution/" + KERNEL_ID,
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_no_file_of_the_host_is_served_even_to_the_user(app: App, path: str) -> None:
    answer = app.ask(path, Cookie=app.ticket())
    assert answer.status in (400, 403, 404), answer.status
    body = answer.body  # type: ignore[attr-defined]
    for secret in (b"of the host", b"root:", b"chdir"):
        assert secret not in body


def test_the_page_is_the_map_and_asks_no_other_host(app: App) -> None:
    answer = app.ask("/", Cookie=app.ticket())
    assert answer.status == 200
    text = answer.body.decode()  # type: ignore[attr-defined]
    assert "application/vnd.jupyter.widget-view+json" in text
    assert "role='alert'" not in text
    assert "disk.tif - geoiseg" in text
    assert "os.chdir" not in text  # the code is not shown
    policy = answer.getheader("Content-Security-Policy", "")
    assert "default-src 'self'" in policy
    assert "http" not in policy
    for path in ("/voila/static/voila.js", "/voila/labextensions/jupyter-leaflet/package.json"):
        assert app.ask(path, Cookie=app.ticket()).status == 200


def test_it_listens_to_this_machine_alone(app: App) -> None:
    psutil = needed("psutil")
    family = [
        psutil.Process(app.process.pid),
        *psutil.Process(app.process.pid).children(recursive=True),
    ]
    addresses = {
        found.laddr.ip
        for one in family
        for found in one.net_connections("inet")
        if found.status == psutil.CONN_LISTEN
    }
    assert addresses <= {"127.0.0.1", "::1"}
    assert addresses


@pytest.mark.skipif(sys.platform == "win32", reason="sends an interrupt")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly(disk: Disk, tmp_path: Path, sent: signal.Signals) -> None:
    psutil = needed("psutil")
    running = start(disk, tmp_path)
    assert running.ask("/", Cookie=running.ticket()).status == 200
    kernels = psutil.Process(running.process.pid).children(recursive=True)
    assert kernels
    running.process.send_signal(sent)
    assert running.process.wait(30) == 0
    assert psutil.wait_procs(kernels, timeout=10)[1] == []
    log = running.log.read_text()
    assert log.endswith("geoiseg: stopped\n")
    assert "Traceback" not in log
    assert not list(tmp_path.glob("geoiseg-app-*"))


def test_a_second_page_takes_over_from_the_first(disk: Disk, tmp_path: Path) -> None:
    psutil = needed("psutil")
    running = start(disk, tmp_path)
    try:
        ticket = running.ticket()
        me = psutil.Process(running.process.pid)
        assert running.ask("/", Cookie=ticket).status == 200
        first = {one.pid for one in me.children(recursive=True)}
        assert running.ask("/", Cookie=ticket).status == 200
        second = {one.pid for one in me.children(recursive=True) if one.is_running()}
        assert first.isdisjoint(second)
        assert second
    finally:
        running.process.send_signal(signal.SIGINT)
        running.process.wait(30)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.tif"], "nowhere.tif does not exist"),
        (["{raster}", "--model", "nothing"], "nothing"),
        (["{raster}", "--project", "{raster}"], "no project"),
        (["{raster}", "--host", "192.0.2.1", "--port", "0"], "can not listen on 192.0.2.1"),
    ],
)
def test_mistakes_are_said_in_one_line(
    disk: Disk, tmp_path: Path, arguments: list[str], said: str
) -> None:
    filled = [part.format(raster=disk.path) for part in arguments]
    done = subprocess.run(
        [*GEOISEG, "app", "--no-browser", *filled], check=False, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE
    )  # fmt: skip
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert said in lines[-1]
    assert lines[-1].startswith("geoiseg: ")
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_said(app: App, disk: Disk, tmp_path: Path) -> None:
    command = [*GEOISEG, "app", str(disk.path), "--no-browser", "--port", str(app.port)]
    done = subprocess.run(
        command, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 1
    assert f"port {app.port}" in done.stderr
    assert "--port" in done.stderr


@pytest.mark.parametrize(("command", "module"), [("app", "voila"), ("lab", "jupyterlab")])
def test_a_missing_extra_is_named(
    disk: Disk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    command: str, module: str, tmp_path: Path,
) -> None:  # fmt: skip
    for name in [one for one in sys.modules if one == module or one.startswith(f"{module}.")]:
        monkeypatch.delitem(sys.modules, name)

    class Missing:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> None:
            if name.partition(".")[0] == module:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(sys, "meta_path", [Missing, *sys.meta_path])
    with pytest.raises(SystemExit) as caught:
        main([command, str(disk.path) if command == "app" else str(tmp_path)])
    assert caught.value.code == 1
    said = capsys.readouterr().err
    assert "geoiseg[app]" in said
    assert module in said
    assert said.count("\n") == 1


def test_names_can_not_break_out_of_the_notebook(tmp_path: Path) -> None:
    nasty = 'a\'); import os; os.abort() #\n""".tif'
    cell = make_notebook(nasty, "tiny", tmp_path / "it's.gpkg")["cells"][0]["source"]
    tree = compile(cell, "cell", "exec")
    assert nasty in _constants(tree)
    assert str(tmp_path / "it's.gpkg") in _constants(tree)
    assert "abort" not in tree.co_names


def _constants(code: object) -> set[object]:
    return {one for one in code.co_consts if isinstance(one, str)}  # type: ignore[attr-defined]


def test_the_page_shows_the_bands_that_are_asked_for(tmp_path: Path, monkeypatch) -> None:
    pixels, _ = disk_pixels()
    path = write_raster(tmp_path / "a.tif", np.concatenate([pixels, pixels[:1]]))
    for bands, shown in ((None, (1, 2, 3)), ((4, 2, 1), (4, 2, 1)), ((3,), (3,))):
        (cell,) = make_notebook(str(path), "grabcut", None, None, bands)["cells"]
        monkeypatch.chdir(tmp_path)
        found: dict[str, Any] = {}
        exec(compile(cell["source"], "cell", "exec"), found)
        assert found["m"].session.raster.bands == shown
        found["m"].close()


def test_bands_that_are_not_there_are_said_before_the_page(capsys, disk: Disk) -> None:
    for bands, code in (("7,8,9", 1), ("1,2", 2), ("purple", 1)):
        with pytest.raises(SystemExit) as caught:
            main(["app", str(disk.path), "--bands", bands, "--no-browser"])
        assert caught.value.code == code
        assert "band" in capsys.readouterr().err.lower()


@pytest.mark.browser
def test_a_click_in_the_page_ends_in_the_project(disk: Disk, tmp_path: Path) -> None:
    if not Path(CHROMIUM).exists():
        missing(f"there is no Chromium at {CHROMIUM}: install it, or set GEOISEG_CHROMIUM")
    sync_api = needed("playwright.sync_api")
    project = tmp_path / "clicks.gpkg"
    running = start(disk, tmp_path, "--project", str(project))
    asked: list[str] = []
    try:
        with sync_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_page(viewport={"width": 1000, "height": 700})
            page.on("requestfinished", lambda one: asked.append(one.url))
            page.goto(running.url)
            page.wait_for_function(
                "() => document.querySelectorAll('.leaflet-tile-loaded').length >= 1",
                timeout=60_000,
            )
            page.wait_for_timeout(1500)
            assert "token" not in page.url
            box = page.locator(".leaflet-container").bounding_box()
            assert box is not None
            assert (box["width"], box["height"]) == (1000, 700)
            drawn = page.evaluate(
                "() => [...document.querySelectorAll('.leaflet-tile')].map(t => t.getBoundingClientRect())"
                ".reduce((a, r) => [Math.min(a[0], r.left), Math.min(a[1], r.top)], [1e9, 1e9])"
            )
            assert drawn[0] < 1000
            page.mouse.click(500, 325)
            page.wait_for_selector(
                ".leaflet-image-layer[src^='blob']", state="attached", timeout=60_000
            )
            page.wait_for_timeout(1000)
            page.keyboard.press("Enter")
            end = time.monotonic() + 30
            while not project.exists() and time.monotonic() < end:
                page.wait_for_timeout(200)
            page.wait_for_timeout(500)
            browser.close()
    finally:
        running.process.send_signal(signal.SIGINT)
        running.process.wait(30)
    frame = gpd.read_file(project, layer="features")
    assert len(frame) == 1
    x, y = frame.geometry.iloc[0].centroid.coords[0]
    assert abs(x - disk.centre[0]) < 40
    assert abs(y - disk.centre[1]) < 40
    hosts = {urlsplit(url).hostname for url in asked if url.startswith("http")}
    assert hosts == {"127.0.0.1"}


# -- lab -----------------------------------------------------------------------------------


def test_lab_copies_the_quick_start_once(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    copy = copy_quick_start(folder)
    assert copy.parent == folder
    book = json.loads(copy.read_text())
    assert any("SegmentMap" in "".join(cell["source"]) for cell in book["cells"])
    copy.write_text("mine now")
    assert copy_quick_start(folder).read_text() == "mine now"


def test_lab_opens_the_copy(tmp_path: Path) -> None:
    lab = needed("jupyterlab")
    assert lab
    log = tmp_path / "log.txt"
    environment = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
        "PYTHONUNBUFFERED": "1",
    }
    command = [*GEOISEG, "lab", str(tmp_path / "work"), "--no-browser", "--port", "0"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        config = tmp_path / "config" / "jupyter_server_config.json"
        config.parent.mkdir()
        config.write_text(json.dumps({"ServerApp": {"allow_root": True}}))
    with log.open("w") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file, cwd=tmp_path)
    try:
        end = time.monotonic() + PATIENCE
        while "/lab/tree/01-quick-start.ipynb" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.2)
        assert "token=" in log.read_text()
        assert "extension was successfully" not in log.read_text()  # the address is soon seen
        assert (tmp_path / "work" / "01-quick-start.ipynb").exists()
    finally:
        process.terminate()
        process.wait(30)


def test_help_names_what_can_be_chosen() -> None:
    from geoiseg.cli.app import app as command

    text = CliRunner().invoke(command, ["--help"]).output
    for option in ("--project", "--model", "--host", "--port", "--no-browser"):
        assert option in text
    assert "127.0.0.1" in text
