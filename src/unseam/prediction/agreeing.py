"""An engine that gives what PyTorch gives in float32: looked at on an image, and else replaced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from unseam.engines.agreement import Agreement, compare, is_reference, known_agreement
from unseam.engines.choosing import instead
from unseam.engines.engine import first_line
from unseam.engines.network import EngineNetwork
from unseam.io.source import Source
from unseam.model.header import ModelHeader
from unseam.prediction.region import sample_tile


@dataclass(frozen=True)
class Seen:
    """Networks that were looked at.

    Attributes
    ----------
    networks : with engines that agree; one, or those that are averaged.
    agreement : how far it is from PyTorch in float32, the worst where several are averaged; None where it is
        that.
    notes : a line for each engine that was replaced.
    """

    networks: tuple[EngineNetwork, ...]
    agreement: Agreement | None
    notes: tuple[str, ...] = ()


def agree(networks: Sequence[EngineNetwork], header: ModelHeader, image: Source) -> Seen:
    """Networks, with other engines where theirs fail or disagree on a tile of an image.

    Raises
    ------
    InputError
        If a pixel is NaN or infinite.
    UnseamError
        If no engine is left.
    """
    each = [_agree(member, header, image) for member in networks]
    found = [one.agreement for one in each if one.agreement is not None]
    worst = max(found, key=lambda one: one.largest, default=None)
    if worst is not None:
        worst = replace(worst, is_blank=any(one.is_blank for one in found))
    notes = dict.fromkeys(note for one in each for note in one.notes)
    return Seen(tuple(net for one in each for net in one.networks), worst, tuple(notes))


def _agree(network: EngineNetwork, header: ModelHeader, image: Source) -> Seen:
    """As `agree`, of one network."""
    notes: list[str] = []
    while not is_reference(network):
        found = known_agreement(network) or _look(network, header, image)
        if isinstance(found, Agreement):
            if found.is_good:
                return Seen((network,), found, tuple(notes))
            found = f"disagrees with PyTorch in float32 ({found.in_full})"
        other = instead(network)
        notes.append(f"{network} {found}; {other} is taken")
        network = other
    return Seen((network,), None, tuple(notes))


def _look(network: EngineNetwork, header: ModelHeader, image: Source) -> Agreement | str:
    """What a tile of the image shows, or why there is nothing to be seen."""
    tile = sample_tile(network, header, image)
    try:
        found = network.probabilities(tile)
    except MemoryError:
        raise
    except Exception as error:  # of another package, with classes of its own
        return f"cannot run this network ({first_line(error)})"
    return compare(network, tile, found)
