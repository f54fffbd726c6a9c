"""What runs a network, as another process has to know it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from unseam.engines.choosing import AUTO
from unseam.engines.network import EngineNetwork
from unseam.processor import processor
from unseam.tile_rule import ANY_TILE, TileRule


@dataclass(frozen=True)
class Runner:
    """What runs a model, as a plain value that travels to other processes.

    Attributes
    ----------
    engine, precision, device : as `load_model` takes them.
    rule : which tiles compute alike.
    versions : of what decides the bits of the result, the processor among them where it does.
    """

    engine: str = AUTO
    precision: str = AUTO
    device: str = "cpu"
    rule: TileRule = ANY_TILE
    versions: Mapping[str, str] = field(default_factory=dict)


def runner_of(net: EngineNetwork, device: str) -> Runner:
    """What runs a network; where precision is low, the processor decides the bits too."""
    versions = {net.engine.title: net.engine.version}
    if net.precision != "float32":
        versions["processor"] = processor()
    return Runner(net.engine.name, net.precision, device, net.rule, versions)
