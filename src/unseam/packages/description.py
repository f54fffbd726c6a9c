"""What a bioimage.io package says of its model, versions 0.4 and 0.5 of the description alike.

Specification: https://github.com/bioimage-io/spec-bioimage-io. Only what prediction needs is read, strictly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from unseam.errors import ModelFileError
from unseam.geometry import Geometry
from unseam.model.header import ModelHeader
from unseam.packages.document import Entry, number, read_yaml, whole
from unseam.packages.operations import Post, postprocessing_of, preprocessing_of
from unseam.preprocess import Preprocessing

MICROMETRES: Final = {
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "meter": 1e6,
}


@dataclass(frozen=True)
class AxisSize:
    """Sizes along a spatial axis.

    Attributes
    ----------
    smallest, step : valid inputs are `smallest` + n `step`; step 0 is one size alone.
    cut : pixels that the output is smaller by, on each side.
    halo : pixels of the output, on each side, that are not to be used; None where none is stated.
    """

    smallest: int
    step: int
    cut: int
    halo: int | None


@dataclass(frozen=True)
class Weights:
    """Weights in one format.

    Attributes
    ----------
    source : name of the file.
    sha256 : of its content, or None.
    architecture, options : of a state dict, what builds the network.
    """

    source: str
    sha256: str | None
    architecture: str = ""
    options: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Description:
    """A model of a package.

    Attributes
    ----------
    name, version : of the model, and what it is described in.
    input_axes, output_axes : letters in the network's order, as "bcyx".
    spatial : "yx" or "zyx".
    channels_in, channels_out : numbers of channels.
    channel_names : of the output, if they are stated.
    sizes : along each spatial axis.
    spacing : pixel size, micrometres, or None.
    preprocessing, postprocessing : before and after the network.
    weights : by format.
    license, citation, authors : as stated.
    """

    name: str
    version: str
    input_axes: str
    output_axes: str
    spatial: str
    channels_in: int
    channels_out: int
    channel_names: tuple[str, ...]
    sizes: tuple[AxisSize, ...]
    spacing: tuple[float, ...] | None
    preprocessing: Preprocessing
    postprocessing: tuple[Post, ...]
    weights: dict[str, Weights]
    license: str
    citation: str
    authors: str


@dataclass(frozen=True)
class _Axis:
    """An axis of a tensor: its letter and, as far as they are stated, sizes, halo, pixel size and names."""

    letter: str
    smallest: int
    step: int = 0
    offset: int | None = None  # of an output, what it is larger by than the same axis of the input
    halo: int | None = None
    scale: float = 1.0
    unit: str = ""
    names: tuple[str, ...] = ()


def read_description(content: bytes, place: str) -> Description:
    """The model that a description describes.

    Raises
    ------
    ModelFileError
        If it is no description of a model, of another version, or asks for what unseam does not do.
    MissingExtraError
        If PyYAML is not installed.
    """
    top = read_yaml(content, place)
    version = top.text("format_version")
    if top.text("type") != "model" or version.split(".")[:2] not in (["0", "4"], ["0", "5"]):
        raise ModelFileError(
            f"{place} describes a {top.text('type')} in version {version}; a model in version 0.4 or 0.5 was "
            "expected: write it anew with bioimageio.core"
        )
    source, result = _only(top, "inputs"), _only(top, "outputs")
    name = source.text("id" if "id" in source else "name")
    axes, of_result = (_axes_04 if version.startswith("0.4") else _axes_05)(source, result, name)
    spatial = "".join(letter for letter in "zyx" if any(a.letter == letter for a in axes))
    both = (_letters(axes), _letters(of_result))
    same = {letter for letter in both[1] if letter in "zyx"} == set(spatial)
    if len(spatial) < 2 or not same or any(len(set(letters)) < len(letters) for letters in both):
        raise ModelFileError(
            f"{place} describes a network from axes {both[0]} to {both[1]}; expected y and x, or z, y and x, "
            "once in each"
        )
    before, after = ({a.letter: a for a in some} for some in (axes, of_result))
    channels = after.get("c", _Axis("c", 1))
    return Description(
        name=top.text("name"),
        version=f"bioimage.io model {version}",
        input_axes=both[0],
        output_axes=both[1],
        spatial=spatial,
        channels_in=before["c"].smallest if "c" in before else 1,
        channels_out=channels.smallest,
        channel_names=channels.names,
        sizes=tuple(_size(before[letter], after[letter], result.place) for letter in spatial),
        spacing=_spacing([before[letter] for letter in spatial]),
        preprocessing=preprocessing_of(source, spatial, (name,)),
        postprocessing=postprocessing_of(result, spatial),
        weights={key: _weights(top.entry("weights").entry(key)) for key in top.entry("weights").values},
        license=top.text("license") if "license" in top else "not stated",
        citation="; ".join(_cited(entry) for entry in top.entries("cite")) or "not stated",
        authors=", ".join(str(a.values.get("name")) for a in top.entries("authors")) or "not stated",
    )


def described(header: ModelHeader, name: str) -> Description:
    """The description of an ONNX file that `unseam export` wrote for a model with this header."""
    config = header.network
    dims, depth = config.spatial_dims or 2, config.depth or 0
    kernels = config.kernels or ((3,) * dims,) * (depth + 1)
    geometry = Geometry.from_levels(kernels, config.strides or ((2,) * dims,) * depth)
    letters = "zyx"[-dims:]
    sizes = (AxisSize(axis.smallest_input, axis.grid, axis.halo, halo=None) for axis in geometry.axes)
    return Description(
        name=name,
        version=f"written by unseam {header.unseam_version}",
        input_axes=f"bc{letters}",
        output_axes=f"bc{letters}",
        spatial=letters,
        channels_in=config.in_channels or 1,
        channels_out=config.classes or 2,
        channel_names=(),
        sizes=tuple(sizes),
        spacing=header.spacing,
        preprocessing=Preprocessing(),
        postprocessing=(),
        weights={},
        license=header.license,
        citation=header.citation,
        authors="not stated",
    )


def _only(top: Entry, key: str) -> Entry:
    found = list(top.entries(key))
    if len(found) != 1:
        raise ModelFileError(
            f"{top.place} describes a network of {len(found)} {key}; unseam runs one with one"
        )
    return found[0]


def _axes_04(source: Entry, result: Entry, name: str) -> tuple[list[_Axis], list[_Axis]]:
    """Axes of version 0.4: letters, and lists of numbers in their order."""
    letters, of_result = _checked(source, "axes"), _checked(result, "axes")
    if isinstance(source["shape"], dict):
        shape = source.entry("shape")
        smallest, steps = _listed(shape, "min", letters), _listed(shape, "step", letters)
    else:
        smallest, steps = _listed(source, "shape", letters), [0] * len(letters)
    axes = [_Axis(*values) for values in zip(letters, smallest, steps, strict=True)]
    halos: list[int | None] = [*_listed(result, "halo", of_result)] if "halo" in result else [None] * 9
    if not isinstance(result["shape"], dict):
        sizes = _listed(result, "shape", of_result)
        return axes, [_Axis(a, n, halo=h) for a, n, h in zip(of_result, sizes, halos, strict=False)]
    shape = result.entry("shape")
    if shape.text("reference_tensor") != name:
        raise ModelFileError(
            f"{shape.place}.reference_tensor is {shape.text('reference_tensor')}, not {name}"
        )
    scales, offsets = (
        [number(v or 0, f"{shape.place}.{key}") for v in shape.listed(key)] for key in ("scale", "offset")
    )
    if not len(scales) == len(offsets) == len(of_result):
        raise ModelFileError(f"{shape.place} has not a scale and an offset for each of the axes {of_result}")
    by_letter = {a.letter: a for a in axes}
    outputs = []
    for letter, scale, offset, halo in zip(of_result, scales, offsets, halos, strict=False):
        total = whole(abs(2 * offset), f"{shape.place}.offset") * (1 if offset > 0 else -1)
        if letter == "c" or not scale:
            of_input = by_letter[letter].smallest if letter in by_letter else 0
            outputs.append(_Axis(letter, int(of_input * scale) + total))
        else:
            outputs.append(_Axis(letter, 0, offset=total, halo=halo, scale=1 / scale))
    return axes, outputs


def _axes_05(source: Entry, result: Entry, name: str) -> tuple[list[_Axis], list[_Axis]]:
    """Axes of version 0.5: an entry each."""
    axes = [_axis_05(entry) for entry in source.entries("axes")]
    if any(a.offset is not None for a in axes):
        raise ModelFileError(f"{source.place} has axes as large as others; unseam needs a size for each")
    outputs = []
    for entry in result.entries("axes"):
        axis = _axis_05(entry)
        if axis.offset is not None:
            size = entry.entry("size")
            if (size.text("tensor_id"), size.text("axis_id")) != (name, axis.letter):
                raise ModelFileError(f"{size.place} is not relative to the axis {axis.letter} of {name}")
        outputs.append(axis)
    return axes, outputs


def _axis_05(entry: Entry) -> _Axis:
    kind = entry.text("type")
    if kind == "batch":
        return _Axis("b", 1)
    if kind == "channel":
        names = tuple(map(str, entry.listed("channel_names")))
        if not names:
            raise ModelFileError(f"{entry.place} has no channel_names, which say how many channels there are")
        return _Axis("c", len(names), names=names)
    letter = entry.text("id")
    if kind != "space" or letter not in ("z", "y", "x"):
        raise ModelFileError(
            f"{entry.place} is an axis {letter} of {kind}; unseam knows batch, channel, z, y, x"
        )
    scale, unit = entry.number("scale", 1.0), entry.text("unit") if "unit" in entry else ""
    halo = entry.whole("halo") if "halo" in entry else None
    if not isinstance(entry["size"], dict):
        return _Axis(letter, entry.whole("size"), halo=halo, scale=scale, unit=unit)
    size = entry.entry("size")
    if "axis_id" in size:
        offset = int(size.number("offset", 0.0))
        return _Axis(letter, 0, offset=offset, halo=halo, scale=scale, unit=unit)
    if "step" not in size:
        raise ModelFileError(f"{size.place} depends on the image; unseam needs a size that is stated")
    return _Axis(letter, size.whole("min"), size.whole("step"), halo=halo, scale=scale, unit=unit)


def _size(before: _Axis, after: _Axis, place: str) -> AxisSize:
    """Sizes along one axis of input and output."""
    smaller = -after.offset if after.offset is not None else before.smallest - after.smallest
    if before.smallest < 1 or (after.offset is None and before.step):
        raise ModelFileError(
            f"{place} is {after.smallest} pixels along {after.letter} whatever the input is, or has no size; "
            "unseam needs an output as large as its input, or smaller by a number of pixels"
        )
    if smaller < 0 or smaller % 2 or before.scale != after.scale:
        raise ModelFileError(
            f"{place} has other pixels along {after.letter} than the input; unseam needs an output as large "
            "as its input, or smaller by as much on both sides"
        )
    return AxisSize(before.smallest, before.step, smaller // 2, after.halo)


def _weights(entry: Entry) -> Weights:
    """Weights in one format; of a state dict, version 0.5 has the architecture as an entry of its own."""
    architecture = entry.values.get("architecture")
    if not isinstance(architecture, dict):
        name, options = str(architecture or ""), entry.entry("kwargs").values
    else:
        built = entry.entry("architecture")
        where = built.values.get("import_from") or built.values.get("source") or ""
        name, options = f"{where}.{built.text('callable')}", built.entry("kwargs").values
    sha256 = entry.text("sha256").lower() if "sha256" in entry else None
    return Weights(entry.text("source"), sha256, name, tuple(options.items()))


def _spacing(axes: Sequence[_Axis]) -> tuple[float, ...] | None:
    """Pixel size in micrometres, where a unit is stated for each axis."""
    if not all(a.unit in MICROMETRES for a in axes):
        return None
    return tuple(a.scale * MICROMETRES[a.unit] for a in axes)


def _cited(entry: Entry) -> str:
    return " ".join(str(entry.values[key]) for key in ("text", "doi", "url") if key in entry)


def _checked(tensor: Entry, key: str) -> str:
    letters = tensor.text(key)
    if set(letters) - set("bczyx") or len(set(letters)) != len(letters):
        raise ModelFileError(f"{tensor.place}.{key} is {letters}; unseam knows b, c, z, y and x, each once")
    return letters


def _listed(entry: Entry, key: str, letters: str) -> list[int]:
    values = entry.listed(key)
    if len(values) != len(letters):
        raise ModelFileError(f"{entry.place}.{key} has {len(values)} numbers for the axes {letters}")
    return [whole(value, f"{entry.place}.{key}") for value in values]


def _letters(axes: Sequence[_Axis]) -> str:
    return "".join(a.letter for a in axes)
