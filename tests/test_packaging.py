"""What is packed: the wheel, and that recipe and container file are what their tools accept."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import geoiseg
from tests.conftest import missing, needed

ROOT = Path(__file__).parents[1]
ELSEWHERE = {"opencv-python-headless": "py-opencv"}
"""Names that packages have on conda-forge."""


MOST = 15_000_000
"""Bytes of a wheel that carries the page."""
INSTALLED = """
import sys
sys.path.insert(0, sys.argv[1])
import geoiseg
from geoiseg.models import listing
print(geoiseg.__file__)
print(dict((one.name, one.state) for one in listing.built_in())["tiny-1"])
print(geoiseg.get_model("tiny").info.name)
from geoiseg.web.site import VENDOR
print(VENDOR.is_file())
geoiseg.get_model("tiny-1")
"""


def test_the_wheel_is_small_and_works_without_what_it_leaves_out(tmp_path: Path) -> None:
    needed("hatchling")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    assert wheel.stat().st_size < MOST
    into = tmp_path / "into"
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(into)
    ran = [sys.executable, "-I", "-c", INSTALLED, str(into)]
    done = subprocess.run(ran, capture_output=True, text=True, check=False)
    place, state, *there = done.stdout.splitlines()
    assert place.startswith(str(into))
    assert (state, there) == ("a folder of geoiseg's source", ["tiny", "True"])
    assert re.search(
        r"WeightsError: .*copy the folder geoiseg/models/tiny/first .* to", done.stderr
    )


def rendered() -> Any:
    rattler_build = needed("rattler_build")
    recipe = rattler_build.Stage0Recipe.from_file(str(ROOT / "conda" / "recipe.yaml"))
    variants = recipe.render(rattler_build.VariantConfig(), rattler_build.RenderConfig())
    assert len(variants) == 1
    return variants[0].recipe


def test_the_conda_recipe_says_what_pyproject_says() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    recipe = rendered()
    assert str(recipe.package.name) == project["name"]
    assert str(recipe.package.version) == geoiseg.__version__
    wanted = {f"python {project['requires-python']}"}
    for one in project["dependencies"]:
        name, version = re.fullmatch(r"([\w-]+)(.*)", one).groups()
        wanted.add(f"{ELSEWHERE.get(name, name)} {version}")
    assert set(map(str, recipe.requirements.run)) == wanted


def test_the_environment_has_what_the_recipe_needs() -> None:
    listed = (ROOT / "environment.yml").read_text()
    for one in rendered().requirements.run:
        assert f"- {one}\n" in listed


def test_the_container_file_is_linted() -> None:
    beside = Path(sys.executable).with_name("hadolint")
    program = str(beside) if beside.exists() else shutil.which("hadolint")
    if program is None:
        missing("install the dev extra for hadolint")
    command = [program, str(ROOT / "containers" / "Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
