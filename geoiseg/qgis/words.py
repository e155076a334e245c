"""What the plugin says, in the user's language where there is one of its own, or in English."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtCore import QCoreApplication

CONTEXT = "geoiseg"
"""Under which Qt's translators know the plugin's texts."""


def tr(text: str, **values: Any) -> str:
    """Return a text in the user's language, its named gaps filled.

    Args:
        text: In English; the key of its translations.
        **values: What goes into the gaps.
    """
    said = str(QCoreApplication.translate(CONTEXT, text))
    return said.format(**values) if values else said
