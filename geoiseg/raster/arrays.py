"""Types of the arrays that all rooms hand to each other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
"""Real numbers of any precision."""
BoolArray = NDArray[np.bool_]
"""``(y, x)`` masks, where True is the object or data, and flags of any shape."""
