"""The plugin's texts in other languages: tables of JSON, known to Qt as a translator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Dict, Optional

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QCoreApplication, QObject, QTranslator

from .words import CONTEXT

FOLDER = Path(__file__).parent / "languages"


class Translator(QTranslator):
    """Translates by a table; what is not there stays English."""

    def __init__(self, table: Dict[str, str], parent: Optional[QObject] = None) -> None:
        super().__init__(parent)
        self._table = table

    def translate(
        self, context: str, text: str, _disambiguation: Optional[str] = None, _n: int = -1
    ) -> str:
        """Return a text of the plugin's in the table's language; empty where it has none."""
        return self._table.get(text, "") if context == CONTEXT else ""

    def isEmpty(self) -> bool:  # noqa: N802 - a name of Qt
        """Return whether there is no text at all."""
        return not self._table


def table_of(locale: str) -> Dict[str, str]:
    """Return the texts of a locale as ``de_AT``; none for English and languages without a table."""
    path = FOLDER / f"{locale.replace('-', '_').partition('_')[0].lower()}.json"
    if not path.is_file():
        return {}
    said: Dict[str, str] = json.loads(path.read_text("utf-8"))
    return said


def install() -> Optional[Translator]:
    """Have Qt translate into the language of QGIS; returns what is to be removed at the end."""
    table = table_of(QgsApplication.locale())
    if not table:
        return None
    translator = Translator(table)
    QCoreApplication.installTranslator(translator)
    return translator
