"""Several networks as one: the mean of their probabilities, in a fixed order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unseam.engines.network import EngineNetwork
from unseam.geometry import Geometry
from unseam.tile_rule import ANY_TILE, TileRule


@dataclass(frozen=True, eq=False)
class CombinedNetwork:
    """Networks of one geometry whose probabilities are averaged; `together` makes it.

    The mean is taken pixel by pixel in double precision, the members in their order, and rounded once. So a
    pixel depends on the same pixel of the members alone, and what no cut changes in them it does not change
    here; and the mean of equal probabilities is exactly these.

    Attributes
    ----------
    members : two or more, in the order in which they are summed.
    rule : which tiles compute alike in all of them.
    """

    members: tuple[EngineNetwork, ...]
    rule: TileRule = ANY_TILE

    @property
    def in_channels(self) -> int:
        """Channels of the image."""
        return self.members[0].in_channels

    @property
    def classes(self) -> int:
        """Channels of the probabilities, background included."""
        return self.members[0].classes

    @property
    def spatial_dims(self) -> int:
        """2 or 3."""
        return self.members[0].spatial_dims

    @property
    def base_width(self) -> int:
        """Channels at full resolution of the widest member: they work one after the other."""
        return max(member.base_width for member in self.members)

    @property
    def geometry(self) -> Geometry:
        """Sizes of its tiles."""
        return self.members[0].geometry

    @property
    def precision(self) -> str:
        """What all compute in; where they differ float32, for the memory that a tile takes."""
        kinds = {member.precision for member in self.members}
        return kinds.pop() if len(kinds) == 1 else "float32"

    @property
    def is_local(self) -> bool:
        """Whether a tile, its halo cut away, gives what the whole image would."""
        return all(member.is_local for member in self.members)

    def probabilities(self, tile: NDArray[np.float32]) -> NDArray[np.float32]:
        """A tile, scaled, (C, *input), to the mean of the members' probabilities, (classes, *output).

        Raises
        ------
        ShapeError
            If the tile is of no valid size.
        """
        first = self.members[0].probabilities(tile)
        total = first.astype(np.float64)
        for member in self.members[1:]:
            total += member.probabilities(tile)
        mean: NDArray[np.float32] = (total / len(self.members)).astype(first.dtype)
        return mean

    def __str__(self) -> str:
        kinds = dict.fromkeys(map(str, self.members))
        return f"{len(self.members)} networks, {' and '.join(kinds)}"


def together(networks: Sequence[EngineNetwork]) -> EngineNetwork | CombinedNetwork:
    """Networks as one; a single one as it is.

    Where no size of tiles computes alike in all of them, they compute in float32, in which all sizes do.
    """
    if len(networks) == 1:
        return networks[0]
    rule = common_rule([network.rule for network in networks])
    if rule is None:
        networks = [replace(network, precision="float32", rule=ANY_TILE) for network in networks]
        rule = ANY_TILE
    return CombinedNetwork(tuple(networks), rule)


def members_of(network: object) -> tuple[EngineNetwork, ...]:
    """The networks that are averaged, or the one itself; none where it is another program's."""
    if isinstance(network, CombinedNetwork):
        return network.members
    return (network,) if isinstance(network, EngineNetwork) else ()


def common_rule(rules: Sequence[TileRule]) -> TileRule | None:
    """The tiles that compute alike by every rule; None where there are none.

    >>> common_rule([TileRule(((128, 128), (256, 256))), TileRule(((256, 256),))]).shapes
    ((256, 256),)
    """
    exact = all(rule.is_exact for rule in rules)
    choosy = [rule for rule in rules if rule.shapes]
    if not choosy:
        return TileRule(is_exact=exact)
    first, *rest = choosy
    shapes = tuple(shape for shape in first.shapes if all(shape in rule.shapes for rule in rest))
    return TileRule(shapes, is_exact=exact) if shapes else None
