"""What a description does to intensities before the network, and to its output after it, by name.

Formulas: the model specification of bioimage.io, versions 0.4 and 0.5, at
https://github.com/bioimage-io/spec-bioimage-io. What is not known by name is refused: to leave out a step, or
to guess one, gives other results without a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from unseam.errors import ModelFileError
from unseam.packages.document import Entry
from unseam.preprocess import Clip, Fixed, Preprocessing, ScaleRange, Step, ZeroMean

FLOATS: Final = ("float32", "float64")
INTEGERS: Final = ("uint8", "int8", "uint16", "int16", "uint32", "int32")
AXIS_LETTERS: Final = {"batch": "b", "channel": "c"}
LARGEST: Final = float(np.finfo(np.float32).max)
MODES: Final = ("fixed", "per_sample", "per_dataset")


@dataclass(frozen=True)
class Binarize:
    """1 above the threshold and 0 elsewhere."""

    threshold: float


@dataclass(frozen=True)
class Activation:
    """`sigmoid`, or `softmax` over the channels."""

    name: str


Post = Binarize | Activation | Clip | Fixed


def preprocessing_of(tensor: Entry, spatial: str, names: Sequence[str] = ()) -> Preprocessing:
    """The steps before the network.

    Parameters
    ----------
    tensor : Entry
        The input, of either version.
    spatial : str
        Its spatial axes, as "yx".
    names : sequence of str
        What else the tensor is called, for steps that refer to it.

    Raises
    ------
    ModelFileError
        If a step, or a way of doing it, is not known.
    """
    steps: list[Step] = []
    only: str | None = None
    operations = list(tensor.entries("preprocessing"))
    for k, operation in enumerate(operations):
        name, how = _named(operation)
        if name == "ensure_dtype":
            dtype = how.text("dtype")
            _known(how, "dtype")
            if dtype in INTEGERS and k == 0:
                only = dtype
            elif dtype not in FLOATS and not (dtype == only and not steps):
                raise _unknown(operation, f"ensure_dtype {dtype} there")
        elif name == "scale_range":
            steps.append(_scale_range(operation, how, spatial, names, first=not steps))
        elif name == "zero_mean_unit_variance":
            steps.append(_zero_mean(operation, how, spatial))
        elif name in ("fixed_zero_mean_unit_variance", "scale_linear", "clip"):
            steps.append(_fixed(operation, name, how, spatial))
        else:
            raise _unknown(operation, name)
    return Preprocessing(tuple(steps), only)


def postprocessing_of(tensor: Entry, spatial: str) -> tuple[Post, ...]:
    """The steps after the network, errors as `preprocessing_of`."""
    steps: list[Post] = []
    for operation in tensor.entries("postprocessing"):
        name, how = _named(operation)
        if name == "ensure_dtype":
            dtype = how.text("dtype")
            if dtype not in FLOATS and not (steps and isinstance(steps[-1], Binarize)):
                raise _unknown(operation, f"ensure_dtype {dtype} there")
        elif name in ("sigmoid", "softmax"):
            if how.values.get("axis", "channel") not in ("channel", "c"):
                raise _unknown(operation, f"{name} along {how.text('axis')}")
            steps.append(Activation(name))
        elif name == "binarize":
            _known(how, "threshold")
            steps.append(Binarize(how.number("threshold")))
        elif name in ("fixed_zero_mean_unit_variance", "scale_linear", "clip"):
            steps.append(_fixed(operation, name, how, spatial))
        else:
            raise _unknown(operation, name)
    return tuple(steps)


def _named(operation: Entry) -> tuple[str, Entry]:
    """Name and options: `name` in version 0.4, `id` in 0.5."""
    return operation.text("id" if "id" in operation else "name"), operation.entry("kwargs")


def _scale_range(
    operation: Entry, how: Entry, spatial: str, names: Sequence[str], *, first: bool
) -> ScaleRange:
    _known(how, "mode", "axes", "min_percentile", "max_percentile", "eps", "reference_tensor")
    if "reference_tensor" in how and not (first and how.text("reference_tensor") in names):
        raise _unknown(operation, f"scale_range by {how.text('reference_tensor')}")
    _mode(operation, how)
    lower, upper = how.number("min_percentile", 0.0), how.number("max_percentile", 100.0)
    if not 0 <= lower < upper <= 100:
        raise ModelFileError(
            f"{operation.place} scales percentile {lower:g} to {upper:g}; expected 0 to 100, the lower first"
        )
    return ScaleRange(lower, upper, _eps(operation, how), _joint(operation, how, spatial))


def _zero_mean(operation: Entry, how: Entry, spatial: str) -> Step:
    _known(how, "mode", "axes", "mean", "std", "eps")
    if _mode(operation, how) == "fixed" or "mean" in how:
        _joint(operation, how, spatial)
        eps = _eps(operation, how)
        return _over(operation, how.numbers("mean"), tuple(s + eps for s in how.numbers("std")))
    return ZeroMean(_eps(operation, how), _joint(operation, how, spatial))


def _fixed(operation: Entry, name: str, how: Entry, spatial: str) -> Clip | Fixed:
    """The steps whose numbers are all stated."""
    if name == "clip":
        _known(how, "min", "max")
        low, high = how.number("min", -LARGEST), how.number("max", LARGEST)
        if not low < high:
            raise ModelFileError(f"{operation.place} clips from {low:g} to {high:g}; the lower comes first")
        return Clip(low, high)
    if name == "scale_linear":
        _known(how, "axes", "axis", "gain", "offset")
        _along(operation, how)
        _joint(operation, how, spatial)
        gain, offset = how.numbers("gain", 1.0), how.numbers("offset", 0.0)
        if 0 in gain:
            raise ModelFileError(f"{operation.place} has gain 0, which leaves nothing of an image")
        count = max(len(gain), len(offset))
        gain, offset = (values * count if len(values) == 1 else values for values in (gain, offset))
        if len(gain) != len(offset):
            raise ModelFileError(f"{operation.place} has {len(gain)} gains and {len(offset)} offsets")
        # x gain + offset = (x - (-offset / gain)) / (1 / gain)
        return Fixed(
            tuple(0.0 - o / g for g, o in zip(gain, offset, strict=True)), tuple(1 / g for g in gain)
        )
    _known(how, "mean", "std", "axis")
    _along(operation, how)
    return _over(operation, how.numbers("mean"), how.numbers("std"))


def _over(operation: Entry, offset: tuple[float, ...], scale: tuple[float, ...]) -> Fixed:
    if min(scale) <= 0:
        raise ModelFileError(f"{operation.place} divides by {min(scale):g}; expected a number above 0")
    return Fixed(offset, scale)


def _along(operation: Entry, how: Entry) -> None:
    """Refuse numbers along another axis than the channels."""
    if "axis" in how and how.text("axis") not in ("channel", "c"):
        raise _unknown(operation, f"{_named(operation)[0]} along {how.text('axis')}")


def _mode(operation: Entry, how: Entry) -> str:
    """How statistics are taken; those of a data set are, here, those of the image."""
    mode = how.text("mode") if "mode" in how else "per_sample"
    if mode not in MODES:
        raise _unknown(operation, f"mode {mode}")
    return mode


def _eps(operation: Entry, how: Entry) -> float:
    eps = how.number("eps", 1e-6)
    if eps <= 0:
        raise ModelFileError(f"{operation.place} has eps {eps:g}; expected a number above 0, as 1e-6")
    return eps


def _joint(operation: Entry, how: Entry, spatial: str) -> bool:
    """Whether channels are taken together: a number is taken over the axes that are named, else over all."""
    if "axes" not in how:
        return True
    axes = how["axes"]
    letters = {AXIS_LETTERS.get(str(a), str(a)) for a in (axes if isinstance(axes, list) else str(axes))}
    if letters - {"b", "c"} != set(spatial):
        raise _unknown(operation, f"axes {' '.join(map(str, axes))}")
    return "c" in letters


def _known(how: Entry, *keys: str) -> None:
    other = [key for key in how.values if key not in keys and key in how]
    if other:
        raise ModelFileError(f"{how.place} has {other[0]}, which unseam does not know; nothing is left out")


def _unknown(operation: Entry, what: str) -> ModelFileError:
    return ModelFileError(
        f"{operation.place} is {what}, which unseam does not know; what is left out would change the result"
    )


def in_words(steps: Iterable[Post]) -> str:
    """The steps after the network, as a person reads them."""
    words = [
        step.name
        if isinstance(step, Activation)
        else f"above {step.threshold:g}"
        if isinstance(step, Binarize)
        else str(step)
        for step in steps
    ]
    return ", then ".join(words) or "none"
