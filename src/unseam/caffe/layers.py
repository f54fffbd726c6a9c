"""A layer of a network of Caffe as a plain record, wherever it was read from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.errors import ModelFileError

Message = dict[str, list[Any]]
"""A message of protobuf: the values of each field, in their order; a nested message is one again."""

Weights = NDArray[np.floating[Any]]

LARGEST = 2**63 - 1
"""As large as a number of a layer may be."""


@dataclass(frozen=True)
class Layer:
    """A layer.

    Attributes
    ----------
    name, type : as the file has them.
    bottoms, tops : names of what it reads and of what it makes; a name may be made anew, in place.
    parameters : the whole message.
    blobs : its weights.
    """

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    parameters: Message
    blobs: tuple[Weights, ...] = ()

    @property
    def kind(self) -> str:
        """The type in small letters: files of before 2015 say CONVOLUTION, later ones Convolution."""
        return self.type.replace("_", "").lower()

    @property
    def for_training_alone(self) -> bool:
        """Whether it takes no part in a prediction."""
        phases = {_phase(rule) for rule in self.parameters.get("include", [])}
        return phases == {"TRAIN"} or any(
            _phase(rule) == "TEST" for rule in self.parameters.get("exclude", [])
        )

    def all(self, *path: str) -> list[Any]:
        """All values of a field of a message within it, as of "pooling_param", "stride".

        Raises
        ------
        ModelFileError
            If there is a plain value where a message should be.
        """
        values: list[Any] = [self.parameters]
        for outer, name in zip(("layer", *path), path, strict=False):
            if not all(isinstance(part, dict) for part in values):
                raise ModelFileError(f"{self} states {outer} {values}; expected a message, in braces")
            values = [value for part in values for value in part.get(name, [])]
        return values

    def numbers(self, *path: str) -> list[float]:
        """All values of a field that holds numbers.

        Raises
        ------
        ModelFileError
            If one is no number, is not finite, or is beyond what Caffe holds.
        """
        values = self.all(*path)
        if not all(isinstance(value, (int, float)) and abs(value) <= LARGEST for value in values):
            raise ModelFileError(f"{self} states {path[-1]} {values}; expected a number")
        return values

    def number(self, section: str, field: str, default: float) -> float:
        """The value of a field; the last one, as protobuf has it."""
        return ([default, *self.numbers(section, field)])[-1]

    def sizes(self, section: str, field: str, dims: int, default: int) -> tuple[int, ...]:
        """A size per axis: given once for all, for each axis, or as `kernel_h` and `kernel_w`.

        Raises
        ------
        ModelFileError
            If there are other than one or `dims` of them.
        """
        given = self.numbers(section, field)
        by_name = [self.numbers(section, f"{field.removesuffix('_size')}_{axis}") for axis in "hw"]
        if all(by_name) and dims == 2:
            given = [values[-1] for values in by_name]
        if len(given) not in (0, 1, dims):
            raise ModelFileError(f"{self} states {len(given)} values of {field} for {dims} axes")
        sizes = given if len(given) == dims else (given or [default]) * dims
        return tuple(int(size) for size in sizes)

    def __str__(self) -> str:
        return f"layer {self.name!r} ({self.type})"


def layer_of(message: Message, blobs: Sequence[Weights] = ()) -> Layer:
    """The layer of a message, with the weights that are in it or given."""
    return Layer(
        name=str((["", *message.get("name", [])])[-1]),
        type=str((["", *message.get("type", [])])[-1]),
        bottoms=tuple(str(bottom) for bottom in message.get("bottom", [])),
        tops=tuple(str(top) for top in message.get("top", [])),
        parameters={key: value for key, value in message.items() if key != "blobs"},
        blobs=tuple(blobs) or tuple(message.get("blobs", [])),
    )


def _phase(rule: Any) -> str:
    """TRAIN, TEST or nothing; binary files number them."""
    given = rule.get("phase", []) if isinstance(rule, dict) else []
    phase = (["", *given])[-1]
    return {0: "TRAIN", 1: "TEST"}.get(phase, str(phase)) if isinstance(phase, int) else str(phase)
