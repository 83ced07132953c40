"""Names for arrays by what they hold; a docstring that uses one says the shape."""

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
"""Real numbers along one axis, unless the docstring says otherwise."""
Matrix = NDArray[np.float64]
"""Real numbers along two axes."""
Mask = NDArray[np.bool_]
"""True where a row counts."""
Codes = NDArray[np.int64]
"""Whole numbers that stand for groups, layouts or rows."""
Image = NDArray[np.float32]
"""(n, 1, h, w) images."""
