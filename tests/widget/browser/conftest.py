"""A real Chromium, a real JupyterLab and a real Voila, with no network beyond this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import missing
from tests.widget.browser.harness import (
    CHROMIUM,
    HERE,
    MapPage,
    Server,
    launch,
    load,
    note_outside,
    notebook,
    stop,
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if HERE in Path(item.fspath).parents]
    for item in here:
        item.add_marker(pytest.mark.browser)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    if not Path(CHROMIUM).exists():
        missing(f"there is no Chromium at {CHROMIUM}: install it, or set GEOISEG_CHROMIUM")


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = launch("lab", tmp_path_factory.mktemp("lab"))
    yield server
    stop(server)


@pytest.fixture(scope="session")
def voila(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = launch("voila", tmp_path_factory.mktemp("voila"))
    yield server
    stop(server)


class Opener:
    """Opens notebooks whose code makes a map ``m``, and closes their pages at the end."""

    def __init__(self, chromium: Any, name: str) -> None:
        self._chromium = chromium
        self._name = name
        self._opened: list[Any] = []

    def __call__(
        self,
        server: Server,
        code: str,
        *,
        size: tuple[int, int] = (1200, 900),
        query: str = "",
        tiles: int = 4,
        script: Path | None = None,
        by_itself: bool = False,
    ) -> MapPage:
        """Return the page once its tiles are there; ``script`` runs in it before its own.

        Unless ``by_itself``, objects are sharpened when they are asked to alone, as steps and
        times of other things are looked at.
        """
        told = "" if by_itself else "m.use_detail('seen')\n"
        stem = f"{self._name}-{len(self._opened)}"
        state = server.folder / f"{stem}.json"
        book = notebook(
            server.folder / f"{stem}.ipynb",
            f"import geoiseg, probe\n{code}\n{told}probe.watch(m, {str(state)!r})",
            "marker = 'second cell'",
        )
        context = self._chromium.new_context(viewport={"width": size[0], "height": size[1]})
        context.set_default_navigation_timeout(90_000)  # a kernel starts before the page is there
        self._opened.append(context)
        if script is not None:
            context.add_init_script(path=script)
        shown = MapPage(context.new_page(), server, book, state, query)
        shown.page.on("request", lambda one: note_outside(shown, one.url))
        load(shown)
        shown.tiles_loaded(tiles)
        return shown

    def close(self) -> None:
        for context in self._opened:
            context.close()


def _name(request: pytest.FixtureRequest) -> str:
    return "".join(c if c.isalnum() else "-" for c in request.node.name).strip("-")


@pytest.fixture
def open_map(chromium: Any, request: pytest.FixtureRequest) -> Iterator[Opener]:
    opener = Opener(chromium, _name(request))
    yield opener
    opener.close()


@pytest.fixture(scope="module")
def open_shared(chromium: Any, request: pytest.FixtureRequest) -> Iterator[Opener]:
    """Like ``open_map``, for pages that the tests of a module share."""
    opener = Opener(chromium, _name(request))
    yield opener
    opener.close()
