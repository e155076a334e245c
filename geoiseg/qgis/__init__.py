"""geoiseg in QGIS: a map tool and Processing algorithms.

QGIS loads this folder as a plugin of its own, so it imports nothing but ``qgis`` and the
standard library: the work is done by ``python -m geoiseg.companion`` in another environment.
"""

from __future__ import annotations

from typing import Any


def classFactory(iface: Any) -> Any:  # noqa: N802 - the name that QGIS looks for
    """Return the plugin for QGIS's interface; None where QGIS has none, in ``qgis_process``."""
    from .plugin import GeoisegPlugin

    return GeoisegPlugin(iface)
