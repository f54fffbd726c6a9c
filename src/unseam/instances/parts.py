"""Objects that one threshold joins and a higher one tells apart::

    probability       ▁▃▇█▇▅▆██▇▂      cores above the threshold      . 1 1 1 1 1 1 1 1 1 .
                                       parts above the higher one     . . 1 1 1 . 2 2 2 2 .
                                       two large parts: both are cores, and grow back over the rest

Where a core holds a single part, or none, it stays as it is: dim objects are not lost. A part that is small
beside the largest of its core does not count: it is texture.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.instances.components import label_block
from unseam.instances.labels import Labels, Mask
from unseam.instances.numbering import numbered, runs

REST = -2
"""What is left of a core that was divided, before its parts grow over it."""
SHARE = 0.3
"""Size of a part that counts, of that of the largest part of its core."""


def divide(cores: Mask, parts: Mask, part_size: int) -> Labels:
    """Return the components of `cores`, those that hold two parts or more replaced by their parts.

    Parameters
    ----------
    cores, parts : ndarray of bool, (*spatial)
        Pixels above a threshold, and above a higher one.
    part_size : int
        Components of `parts` of fewer pixels do not count, nor those below `SHARE` of the largest in a core.

    Returns
    -------
    ndarray of int32, (*spatial)
        Numbered in raster order; 0 is background, `REST` what divided cores hold beside their parts.

    Examples
    --------
    >>> divide(np.array([True, True, True, False, True]), np.array([True, False, True, False, True]), 1)
    array([ 1, -2,  2,  0,  3], dtype=int32)
    """
    core, n_cores = label_block(cores)
    part, n_parts = label_block(parts & cores)
    numbers, lengths = runs(part)
    core_of = np.zeros(n_parts + 1, np.int32)
    core_of[numbers] = core.ravel()[np.cumsum(lengths) - lengths]  # all pixels of a part lie in one core
    sizes = np.bincount(numbers, weights=lengths, minlength=n_parts + 1)  # exact below 2**53
    sizes[0] = core_of[0] = 0
    is_large, is_divided = large_parts(sizes.astype(np.int64), core_of, n_cores + 1, part_size)
    of_core = np.where(is_divided, REST, np.arange(n_cores + 1)).astype(np.int32)
    of_part = n_cores + np.arange(n_parts + 1, dtype=np.int32)
    of_part[~(is_large & is_divided[core_of])] = REST  # less than every number of a core
    return numbered(np.maximum(of_core[core], of_part[part]))


def large_parts(
    sizes: NDArray[np.integer[Any]], core_of: NDArray[np.integer[Any]], n_cores: int, part_size: int
) -> tuple[Mask, Mask]:
    """Return which parts count, and which cores they divide.

    Parameters
    ----------
    sizes, core_of : ndarray of int, (parts,)
        Pixels of each part, and the core that it lies in.
    n_cores, part_size : int
    """
    largest = np.zeros(n_cores, np.int64)
    np.maximum.at(largest, core_of, sizes)
    is_large = (sizes >= max(part_size, 1)) & (sizes >= SHARE * largest[core_of])
    return is_large, np.bincount(core_of[is_large], minlength=n_cores) > 1
