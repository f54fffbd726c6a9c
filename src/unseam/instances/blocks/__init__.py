"""`instances.segment` block by block: the same objects with the same numbers, for any blocks.

Four passes over the blocks, each a pure function of one block, and three joins of their small records::

    pass              block in                            block out           record          join
    1  find_cores     masks of the block                  local cores         CoreSummary     join_cores
    2  grow_block     cores, margin of the growth         grown objects       ObjectSummary   join_objects
    3  find_holes     final numbers, margin of 1          (none)              HoleSummary     join_holes
    4  fill_block     final numbers, margin of 1          filled objects

Between the passes `apply_numbers` turns the numbers of one block into those of the whole image, with the
table that the join gave. The blocks of a pass may be done in any order, at once, or again: each is a
function of its input alone. Pass 4 must see the blocks that pass 3 saw, so it writes elsewhere.

Where a higher threshold divides cores, pass 1 also finds its parts (`find_parts`), `join_parts` numbers both
in place of `join_cores`, and `apply_parts` puts them together.

A join reads the records of a few blocks at a time and holds a few numbers per component, none per pixel.
Class maps need pass 1 and its join alone: `find_class_regions` in place of `find_cores`.
"""

from unseam.instances.blocks.cores import apply_numbers, find_class_regions, find_cores, join_cores
from unseam.instances.blocks.holes import fill_block, find_holes, join_holes
from unseam.instances.blocks.objects import grow_block, join_objects
from unseam.instances.blocks.parts import apply_parts, find_parts, join_parts
from unseam.instances.blocks.records import (
    BlockTable,
    CoreSummary,
    HoleSummary,
    ObjectSummary,
    PartSummary,
    from_arrays,
    to_arrays,
)
from unseam.instances.blocks.whole import segment_in_blocks

__all__ = [
    "BlockTable",
    "CoreSummary",
    "HoleSummary",
    "ObjectSummary",
    "PartSummary",
    "apply_numbers",
    "apply_parts",
    "fill_block",
    "find_class_regions",
    "find_cores",
    "find_holes",
    "find_parts",
    "from_arrays",
    "grow_block",
    "join_cores",
    "join_holes",
    "join_objects",
    "join_parts",
    "segment_in_blocks",
    "to_arrays",
]
