"""What is said of a model wherever it goes: its sizes, its intensities, its classes."""

from __future__ import annotations

from unseam.geometry import Geometry
from unseam.model.header import ModelHeader
from unseam.normalize import Normalization
from unseam.preprocess import Preprocessing

AXES = {2: "yx", 3: "zyx"}


def scaling_in_words(normalization: Normalization | Preprocessing) -> str:
    """How intensities are scaled before the network.

    >>> scaling_in_words(Normalization("none"))
    'intensities as they are'
    """
    if isinstance(normalization, Preprocessing):
        return str(normalization)
    if normalization.method == "none":
        return "intensities as they are"
    how = {
        "percentile": f"percentile {normalization.lower:g} becomes 0 and percentile {normalization.upper:g} "
        "becomes 1, nothing is clipped",
        "zscore": "mean 0, standard deviation 1",
        "unit": "integers by the range of their type, as 255 becomes 1 in 8 bits",
    }[normalization.method]
    return f"each channel scaled over the whole image: {how}; a constant channel becomes 0"


def sizes_in_words(geometry: Geometry) -> str:
    """The inputs that a network takes, and what it answers for.

    >>> sizes_in_words(Geometry.regular(spatial_dims=2, depth=4))
    'y 188 + 16 n, x 188 + 16 n pixels in; 92, 92 fewer out on each side'
    """
    letters = AXES[len(geometry.axes)]
    sizes = [
        f"{letter} {small} + {grid} n"
        for letter, small, grid in zip(letters, geometry.smallest_input, geometry.grid, strict=True)
    ]
    return f"{', '.join(sizes)} pixels in; {', '.join(map(str, geometry.halo))} fewer out on each side"


def to_be_known(header: ModelHeader, geometry: Geometry) -> tuple[str, ...]:
    """What whoever runs the network has to know, a line each."""
    return (
        sizes_in_words(geometry),
        f"before it: {scaling_in_words(header.normalization)}",
        f"after it: the probabilities of {', '.join(class_names(header))}",
    )


def class_names(header: ModelHeader) -> list[str]:
    """Names of the channels of the output: background, object; or background, class 1, class 2, ..."""
    if header.task == "instances" and header.network.classes == 2:
        return ["background", "object"]
    return ["background", *(f"class {k}" for k in range(1, header.network.classes or 2))]
