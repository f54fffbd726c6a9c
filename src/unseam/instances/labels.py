"""What a label array is: its type, and the check that it is one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.data.sample import IGNORE
from unseam.errors import LabelError, ShapeError

Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]

NO_LABEL = np.iinfo(np.int32).max  # larger than every label, so that it loses each minimum


def checked(labels: NDArray[Any]) -> Labels:
    """Return `labels` as int32 in raster layout, or say why they cannot be labels."""
    labels = np.asarray(labels)
    if labels.ndim == 0:
        raise ShapeError("labels are a single number; expected an array with one axis or more")
    if not np.issubdtype(labels.dtype, np.integer):
        raise LabelError(
            f"labels have dtype {labels.dtype}; expected integers; number a mask with label_components first"
        )
    if labels.size and (labels.min() < IGNORE or labels.max() >= NO_LABEL):
        raise LabelError(
            f"labels run from {labels.min()} to {labels.max()}; expected -1 (ignored), 0 (background) "
            f"and objects below {NO_LABEL}"
        )
    return np.ascontiguousarray(labels, np.int32)
