"""The plugin's texts in every language: no key is missing, none is left over, every gap is kept."""

from __future__ import annotations

import ast
import json
import re
import string
from pathlib import Path

import pytest

from geoiseg.companion.plugin_zip import PLUGIN
from tests.conftest import Disk
from tests.qgis.qgis_app import Qgis
from tests.qgis.test_qgis_parity import picture

LANGUAGES = ("de", "es", "fr", "pt", "zh")
SOURCES = sorted(path for path in PLUGIN.rglob("*.py"))
TEXTS = {"tr", "SetupError", "Run", "Fetch"}
"""Whose first argument is a text for the user."""
SHOWN = ("TITLE", "HELP", "GROUP_TITLE")
"""What an algorithm says of itself."""
LATER = {"SetupError", "Run", "Fetch", "line", "HELD"}
"""Texts that are translated where they are shown."""


def first_text(node: ast.Call) -> str:
    first = node.args[0] if node.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def texts_of(path: Path) -> set[str]:
    """Return the texts for the user in a file of the plugin."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in TEXTS:
            found.add(first_text(node))
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            names = {getattr(target, "id", "") for target in node.targets}
            if path.parent.name == "setup" and names & LATER and isinstance(node.value.value, str):
                found.add(node.value.value)
    if path.parent.name == "algorithms":
        found |= algorithm_texts(path)
    return found - {""}


def algorithm_texts(path: Path) -> set[str]:
    """Return titles and explanations of an algorithm: what Processing shows."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in SHOWN:
            found.add(ast.literal_eval(node.value))
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        named = {word.arg: word.value for word in node.keywords}
        if name.startswith(("QgsProcessingParameter", "add_")):
            found |= {
                ast.literal_eval(one) for one in node.args[1:2] if isinstance(one, ast.Constant)
            }
        if name == "add":
            found |= {
                ast.literal_eval(one) for one in node.args[1:2] if isinstance(one, ast.Constant)
            }
        if "text" in named and isinstance(named["text"], ast.Constant):
            found.add(named["text"].value)
        found -= {"POLYGONS"}
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.For) and isinstance(node.iter, ast.Tuple):
            rows = (
                row for row in node.iter.elts if isinstance(row, ast.Tuple) and len(row.elts) > 1
            )
            found |= {ast.literal_eval(row.elts[1]) for row in rows}
    return {one for one in found if isinstance(one, str)}


def all_texts() -> set[str]:
    return set().union(*map(texts_of, SOURCES))


def table(language: str) -> dict[str, str]:
    path = PLUGIN / "languages" / f"{language}.json"
    return dict(json.loads(path.read_text("utf-8")))


def gaps(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def keys(text: str) -> list[str]:
    """Return the keys that a title names, as in ``Follow (F)``."""
    return re.findall(r"\(([A-Z])\)", text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_there_in_every_language(language: str) -> None:
    texts, said = all_texts(), table(language)
    assert len(texts) > 100
    assert sorted(texts - set(said)) == []
    assert sorted(set(said) - texts) == []
    for text, translated in said.items():
        assert translated.strip(), text
        assert gaps(translated) == gaps(text), text
        assert keys(translated) == keys(text), text
    same = [text for text, translated in said.items() if text == translated]
    assert len(same) < 0.05 * len(said), same


def test_every_call_of_tr_has_a_text_of_its_own() -> None:
    """A text that is put together would be missed by those who translate."""
    later = {
        "title",
        "error.line",
        "text",
        "self.TITLE",
        "self.HELP",
        "self.GROUP_TITLE",
        "parameter.description()",
    }
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "tr":
                assert first_text(node) or ast.unparse(node.args[0]) in later, ast.unparse(node)


@pytest.mark.qgis
@pytest.mark.slow
def test_qgis_speaks_the_user_s_language(disk: Disk, tmp_path: Path) -> None:
    qgis = Qgis.made(tmp_path, language="de_AT")
    steps = [{"do": "activate"}, {"do": "key", "key": "e"}, {"do": "tidy"},
             {"do": "picture", "path": picture(tmp_path, "german.png"), "window": True}]  # fmt: skip
    begun, asked, *_ = qgis.drive(steps, raster=str(disk.path), canvas_crs="EPSG:32631")["seen"]
    german = table("de")
    assert begun["state"] == german["Click on an object, or drag a box around it."]
    assert asked["said"][-1] == german["select one feature of a polygon layer to refine it"]
    told = json.loads(qgis.process("--json", "help", "geoiseg:segment").stdout)
    assert told["algorithm_details"]["name"] == german["Segment from prompts"]
    assert told["parameters"]["RASTER"]["description"] == german["Raster"]
