"""Objects that one threshold joins and a higher one tells apart::

    probability       ▁▃▇█▇▅▆██▇▂      cores above the threshold      . 1 1 1 1 1 1 1 1 1 .
                                       parts above the higher one     . . 1 1 1 . 2 2 2 2 .
                                       two large parts: both are cores, and grow back over the rest

Where a core holds a single part, or none, it stays as it is: dim objects are not lost.
"""

from __future__ import annotations

import numpy as np

from unseam.instances.components import label_block
from unseam.instances.labels import Labels, Mask
from unseam.instances.numbering import number_in_raster_order

REST = -2
"""What is left of a core that was divided, before its parts grow over it."""
REACH = 8
"""Pixels that parts grow over the rest: what lies between two thresholds is a few pixels wide."""


def divide(cores: Mask, parts: Mask, part_size: int) -> Labels:
    """Return the components of `cores`, those that hold two parts or more replaced by their parts.

    Parameters
    ----------
    cores, parts : ndarray of bool, (*spatial)
        Pixels above a threshold, and above a higher one.
    part_size : int
        Components of `parts` of fewer pixels do not count.

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
    is_large = np.bincount(part.ravel(), minlength=n_parts + 1) >= part_size
    is_large[0] = False
    core_of = np.zeros(n_parts + 1, np.int32)
    core_of[part] = core  # all pixels of a part lie in one core
    is_divided = np.bincount(core_of[is_large], minlength=n_cores + 1) > 1
    labels = np.where(is_divided[core], REST, core)
    kept = is_large[part] & is_divided[core]
    labels[kept] = n_cores + part[kept]
    rest = labels == REST
    labels = number_in_raster_order(np.maximum(labels, 0))
    labels[rest] = REST
    return labels
