"""One patch with the same kinds of change, by unseam and by others.

Each module has `augmenter(cells, size, *, best, grey)`: it returns a function that draws a patch of
`size` x `size` pixels from the image of a given number, as `Patch`. `best` takes what we believe to be the
fastest way of the package instead of what its documentation shows first; without `grey` the intensities stay.

All shift, rotate by any angle, mirror, scale and deform each patch, and change contrast, brightness and
gamma, about as far as `unseam.config.AugmentConfig` does by default. Where it is cheaper the patch is cut out
before it is deformed; what then lies outside is mirrored.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from unseam.config import AugmentConfig

WANTED = AugmentConfig()
Patch = tuple[Tensor, Tensor, Tensor]
"""Image (1, Y, X) and weights (Y, X) of float32, classes (Y, X) of integers."""
Draw = Callable[[int], Patch]
