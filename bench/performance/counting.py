"""Exact counts of a 2-D U-Net's work: pixels of each layer, and floating point operations of them.

Along one axis, each array of the network has an index that begins at 0 where the tile begins. What index
depends on which does not depend on the size of the tile::

    convolution  i  needs  i, i + 1, i + 2        pooling  i  needs  2 i, 2 i + 1
    transposed   i  needs  i // 2                 skip     i  needs  i + what is cropped before it

So the needed part of every array follows, backwards, from the wanted part of the output. An image that is cut
into tiles has each of them compute all of its arrays; the needed parts of the whole image, computed once, are
what cannot be avoided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from unseam.tiling import TilePlan

Span = tuple[int, int]
"""First index, and the one behind the last."""
KERNEL = 3


@dataclass(frozen=True)
class Layer:
    """One convolution along one axis: the part of its output that is computed or needed.

    Attributes
    ----------
    name : as "down 0.1", "up 2", "head".
    operations : a multiplication and an addition for each weight, of one pixel of the output.
    span : part of the output.
    """

    name: str
    operations: int
    span: Span

    @property
    def size(self) -> int:
        """Pixels along the axis."""
        return self.span[1] - self.span[0]


def needed_layers(
    output: Span, *, base_width: int, depth: int, in_channels: int = 1, classes: int = 2
) -> list[Layer]:
    """Every convolution with the part of it that an output span needs, from the output to the input."""
    widths = [base_width * 2**level for level in range(depth + 1)]
    layers = [Layer("head", 2 * widths[0] * classes, output)]
    skips, span = [], output
    for level in range(depth):
        width = widths[level]
        for name, incoming in ((f"out {level}.1", width), (f"out {level}.0", 2 * width)):
            layers.append(convolution(name, incoming, width, span))
            span = wider(span)
        layers.append(Layer(f"up {level}", 2 * widths[level + 1] * width, span))
        cropped = cropped_before(level, depth)
        skips.append((span[0] + cropped, span[1] + cropped))
        span = (span[0] // 2, (span[1] + 1) // 2)
    for level in range(depth, -1, -1):
        incoming = widths[level - 1] if level else in_channels
        for name, channels in ((f"down {level}.1", widths[level]), (f"down {level}.0", incoming)):
            layers.append(convolution(name, channels, widths[level], span))
            span = wider(span)
        if level:
            skip = skips[level - 1]
            span = (min(2 * span[0], skip[0]), max(2 * span[1], skip[1]))
    return layers


def convolution(name: str, incoming: int, width: int, span: Span) -> Layer:
    """Of 3x3 in 2-D."""
    return Layer(name, 2 * KERNEL**2 * incoming * width, span)


def wider(span: Span) -> Span:
    """What an unpadded convolution needs."""
    return span[0], span[1] + KERNEL - 1


def cropped_before(level: int, depth: int) -> int:
    """Pixels that the skip of a level loses at its beginning: the halo of all below, in its own pixels."""
    loss = 2 * (KERNEL - 1)
    return sum(loss * 2**under for under in range(1, depth - level)) + loss * 2 ** (depth - level) // 2


def operations(layers_y: Sequence[Layer], layers_x: Sequence[Layer]) -> int:
    """Floating point operations of a region, given its layers along both axes."""
    return sum(y.operations * y.size * x.size for y, x in zip(layers_y, layers_x, strict=True))


def needed_operations(shape: tuple[int, int], *, base_width: int, depth: int) -> int:
    """What an image takes at least: each pixel of each layer once, none that reaches no output."""
    y, x = (needed_layers((0, n), base_width=base_width, depth=depth) for n in shape)
    return operations(y, x)


def computed_operations(plan: TilePlan, *, base_width: int, depth: int) -> int:
    """What the tiles of a plan take: each of them all that its input gives."""
    outputs = [n - 2 * halo for n, halo in zip(plan.tile_input, plan.halo, strict=True)]
    y, x = (needed_layers((0, n), base_width=base_width, depth=depth) for n in outputs)
    return len(plan) * operations(y, x)
