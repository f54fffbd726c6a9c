"""A network as prediction sees it: sizes, and a function of a tile, whichever engine runs it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from threading import Lock
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from unseam.engines.engine import Encode, Engine, Run
from unseam.geometry import Geometry
from unseam.model.folded import FoldedNetwork
from unseam.processor import processor
from unseam.tile_rule import ANY_TILE, TileRule

KEPT = 4
"""Tile shapes that stay compiled: each holds a form of the weights of its own."""


F = TypeVar("F")


class _Compiled(Generic[F]):
    """What was compiled for the latest few shapes."""

    def __init__(self) -> None:
        self._by_shape: OrderedDict[tuple[int, ...], F] = OrderedDict()
        self._lock = Lock()

    def of(self, shape: tuple[int, ...], build: Callable[[], F]) -> F:
        """What is compiled for a shape, now or before."""
        with self._lock:
            if shape not in self._by_shape:
                self._by_shape[shape] = build()
            self._by_shape.move_to_end(shape)
            if len(self._by_shape) > KEPT:
                self._by_shape.popitem(last=False)
            return self._by_shape[shape]


@dataclass(frozen=True, eq=False)
class EngineNetwork:
    """A network and the engine that runs it.

    Attributes
    ----------
    folded : the network.
    engine : what runs it.
    precision : what it computes in.
    threads : 0 for as many as the engine takes by itself.
    rule : which tiles compute alike, and how fast they are.
    digest : of the file of its weights, by which is remembered what was found out; "" where there is none.
    """

    folded: FoldedNetwork
    engine: Engine
    precision: str = "float32"
    threads: int = 0
    rule: TileRule = ANY_TILE
    digest: str = ""
    _runs: _Compiled[Run] = field(default_factory=_Compiled, init=False, repr=False)
    _encoders: _Compiled[Encode] = field(default_factory=_Compiled, init=False, repr=False)

    @property
    def in_channels(self) -> int:
        """Channels of the image."""
        return self.folded.in_channels

    @property
    def classes(self) -> int:
        """Channels of the probabilities, background included."""
        return self.folded.classes

    @property
    def spatial_dims(self) -> int:
        """2 or 3."""
        return self.folded.spatial_dims

    @property
    def base_width(self) -> int:
        """Channels at full resolution."""
        return self.folded.base_width

    @property
    def geometry(self) -> Geometry:
        """Sizes of its tiles."""
        return self.folded.geometry

    @property
    def key(self) -> str:
        """What decides its bits, under which is remembered what was found out; "" where it has no file."""
        if not self.digest:
            return ""
        made = f"{self}, {self.threads or 'all'} threads, unseam {version('unseam')}"
        return f"{self.digest} | {made} | {processor()}"

    @property
    def is_local(self) -> bool:
        """Whether a tile, its halo cut away, gives what the whole image would: it pads nothing."""
        return True

    def probabilities(self, tile: NDArray[np.float32]) -> NDArray[np.float32]:
        """A tile, scaled, (C, *input), to probabilities (classes, *output).

        Raises
        ------
        ShapeError
            If the tile is of no valid size.
        """
        shape = tile.shape[1:]
        self.geometry.check(shape)
        build = self.engine.compile_tile
        run = self._runs.of(
            shape, lambda: build(self.folded, shape, precision=self.precision, threads=self.threads)
        )
        return run(tile)

    def moments(self, part: NDArray[np.float32]) -> NDArray[np.float64]:
        """Mean and mean square of each channel of the encoder, (2, channels of all levels), in float32.

        Of what is before each pooling and at the bottom, over all pixels of a part (C, *pixels).
        """
        shape = part.shape[1:]
        build = self.engine.compile_encoder
        encode = self._encoders.of(shape, lambda: build(self.folded, shape, threads=self.threads))
        levels = [values.reshape(len(values), -1).astype(np.float64) for values in encode(part)]
        return np.concatenate([np.stack([x.mean(1), np.square(x).mean(1)]) for x in levels], axis=1)

    def with_rule(self, rule: TileRule) -> EngineNetwork:
        """The same network, of which more is known about its tiles; what is compiled stays so."""
        other = replace(self, rule=rule)
        object.__setattr__(other, "_runs", self._runs)
        object.__setattr__(other, "_encoders", self._encoders)
        return other

    def __str__(self) -> str:
        return f"{self.engine}, {self.precision}"
