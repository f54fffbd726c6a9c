"""Labels drawn as text, for tests."""

from __future__ import annotations

from typing import Any

import numpy as np


def array(text: str) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Return the picture as labels: a dot is background, a question mark is ignored."""
    digits = {".": 0, "?": -1}
    return np.array(
        [[digits.get(c) if c in digits else int(c) for c in row] for row in text.split()], np.int32
    )
