"""The conda recipe and the container file are what their tools accept, and say what pyproject says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import geoiseg
from tests.conftest import missing, needed

ROOT = Path(__file__).parents[1]
ELSEWHERE = {"opencv-python-headless": "py-opencv"}
"""Names that packages have on conda-forge."""


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
