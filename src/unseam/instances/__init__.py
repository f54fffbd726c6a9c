"""From foreground probabilities to numbered objects, in 2-D, 3-D or N-D.

Every step is exact and says how far it looks, so that it can be done block by block and give what the
whole image gives: `unseam.instances.blocks` does so. Labels are int32: 0 is background, 1 and up are
objects, -1 (`IGNORE`) is unknown and left alone.

Objects are connected through faces (4 neighbours in 2-D, 6 in 3-D). The background is therefore connected
through faces, edges and corners (8 and 26): with this pair, and with no other of the simple ones, a closed
curve of object pixels separates its inside from its outside, also on a grid::

    . 1 .      face-connected ones: four objects, no closed curve,
    1 . 1      and the middle is joined to the outside through the corners: no hole
    . 1 .

References
----------
A. Rosenfeld, "Connectivity in digital pictures", Journal of the ACM 17:146-160, 1970,
doi:10.1145/321556.321570.
"""

from unseam.instances.components import (
    face_pairs,
    label_block,
    label_class_regions,
    label_components,
    merge,
)
from unseam.instances.gaps import carve_contacts
from unseam.instances.holes import fill_holes
from unseam.instances.labels import Labels, Mask
from unseam.instances.numbering import consecutive, number_in_raster_order
from unseam.instances.segment import segment
from unseam.instances.shapes import carve_gaps, grow, remove_small

__all__ = [
    "Labels",
    "Mask",
    "carve_contacts",
    "carve_gaps",
    "consecutive",
    "face_pairs",
    "fill_holes",
    "grow",
    "label_block",
    "label_class_regions",
    "label_components",
    "merge",
    "number_in_raster_order",
    "remove_small",
    "segment",
]
