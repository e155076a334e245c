"""One button: an environment of its own for geoiseg, made, checked, repaired, updated, removed.

``machine``, ``home``, ``index`` and ``script`` know nothing of Qt: what is done on Windows and
macOS is tested on Linux. ``runner``, ``network`` and ``window`` carry it out in QGIS.
"""
