"""Interactive segmentation of a raster, without a user interface."""

from geoiseg.session.core import State
from geoiseg.session.session import Session

__all__ = ["Session", "State"]
