"""A package for bioimage.io: a zip that bioimageio.core, and what is built on it, runs as it is.

The network in it is framed (`unseam.export.frame`): its output is as large as its input, with a margin that
the description calls halo. Software that works in blocks crops that margin and lets blocks overlap by it.
An output smaller than the input can be described too, by an offset, but bioimageio.core does not run such a
network in blocks.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.axes import times
from unseam.decisions import to_labels
from unseam.draw import display, overlay
from unseam.engines.onnx import OPSET
from unseam.errors import ConfigError, InputError, OutputError
from unseam.export.agreement import OnStep, Written, nobody, refuse_difference
from unseam.export.frame import frame_of
from unseam.export.onnx import onnx_model, onnx_run
from unseam.export.packages import need
from unseam.export.words import AXES, class_names
from unseam.io.atomic import replacing
from unseam.io.images import write_png, write_tiff
from unseam.io.source import array_source
from unseam.normalize import Normalization
from unseam.prediction import Model

KEPT = {2: 256, 3: 16}
"""Pixels along each axis of the test image that are predicted for, at least."""
COVER = 512
"""Pixels of the shorter side of the cover, about."""
EPSILON = 1e-6
"""What the format adds to a scale so as not to divide by 0; bioimageio.core takes this, whatever is said."""
DOI = "10.1007/978-3-319-24574-4_28"


@dataclass(frozen=True)
class Package:
    """What a package holds beside the network.

    Attributes
    ----------
    name : 5 to 128 letters, digits, spaces and _+-().
    card : Markdown, what a person should know; it needs a section about validation.
    image : (C, *spatial), what the network is tested on and the cover shows.
    authors : names.
    license : SPDX identifier, or None where nothing is known.
    tags : in addition to what follows from the model.
    """

    name: str
    card: str
    image: NDArray[Any]
    authors: tuple[str, ...] = ()
    license: str | None = None
    tags: tuple[str, ...] = ()


def write_bioimageio(
    model: Model,
    path: str | Path,
    package: Package,
    *,
    overwrite: bool = False,
    on_step: OnStep = nobody,
) -> Written:
    """Write a package, once its network gives what PyTorch gives and bioimageio.spec finds it valid.

    Parameters
    ----------
    model : Model
        As `unseam.load_model` gives it.
    path : str or Path
        The .zip file.
    package : Package
    overwrite : bool
        Whether an existing file may be replaced.
    on_step : callable
        Called with (steps done, steps in all).

    Raises
    ------
    MissingExtraError
        If bioimageio.spec, onnx or onnxruntime is not installed.
    InputError, ShapeError
        If the licence is none of SPDX, the name of an author is none, or the image does not fit the model.
    ConfigError
        If the format has no word for how the model scales intensities.
    OutputExistsError, OutputError
        As `unseam.io.atomic.replacing`, and if the network or the package is not as it should be.
    """
    spec = need("bioimageio.spec", "onnx", "onnxruntime", extra="bioimageio")
    _refuse(package)
    if model.header.own_normalization.method == "unit":
        raise ConfigError(
            "the model scales integers by the range of their type, which a bioimage.io package cannot say; "
            "export it with --to onnx"
        )
    path = Path(path)
    quiet = spec.ValidationContext(log_warnings=False, perform_io_checks=True)
    with (
        replacing(path, overwrite=overwrite) as temporary,
        TemporaryDirectory() as folder,
        quiet,
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "Found mapping with 'source'", UserWarning)  # of files in a zip
        difference = _write_files(model, package, Path(folder))
        on_step(1, 3)
        try:
            description = _describe(model, package, Path(folder))
            on_step(2, 3)
            spec.save_bioimageio_package(description, output_path=temporary)
            remarks = spec.load_description(temporary).validation_summary.warnings
        except ValueError as error:
            raise OutputError(
                f"bioimageio.spec {spec.__version__} finds the package invalid: {_reason(error)}; "
                "nothing was written: please report it"
            ) from error
        on_step(3, 3)
    valid = f"valid by bioimageio.spec {spec.__version__}, format {description.format_version}"
    wanting = [": ".join(filter(None, [*map(str, entry.loc), entry.msg])) for entry in remarks]
    return Written((path,), difference, (valid, *(f"bioimageio.spec remarks: {line}" for line in wanting)))


def _refuse(package: Package) -> None:
    """Raise `InputError` for what the format does not allow."""
    from bioimageio.spec.generic.v0_3 import LicenseId

    for name in package.authors:
        if not name.strip() or re.search(r"[/\\]", name):
            raise InputError(f"author is {name!r}; give a name without slashes, as --author 'Ada Lovelace'")
    try:
        if package.license is not None:
            LicenseId(package.license)
    except ValueError as error:
        raise InputError(
            f"license is {package.license!r}; give a current identifier of SPDX, as CC-BY-4.0, CC0-1.0, "
            "MIT or BSD-3-Clause (https://spdx.org/licenses)"
        ) from error


def _reason(error: ValueError) -> str:
    """What is wrong, without the whole description."""
    from pydantic import ValidationError

    return (
        "; ".join(one["msg"] for one in error.errors()) if isinstance(error, ValidationError) else str(error)
    )


def _write_files(model: Model, package: Package, folder: Path) -> float:
    """Write all but the description; returns the largest difference between ONNX and PyTorch."""
    frame = frame_of(model.network.geometry)
    model.check_channels(array_source(package.image))
    image = _centre(package.image, frame.input_for(KEPT[model.network.spatial_dims]))
    if not image.any():
        raise InputError(
            f"the middle of the image, {times(image.shape[1:])} pixels, is black; give another one"
        )
    scaled = model.header.normalization(image.astype(np.float32))
    answer = _answer(model, scaled)
    expected = np.pad(answer, [(0, 0), *((halo, halo) for halo in frame.halo)])
    (folder / "weights.onnx").write_bytes(onnx_model(model, framed=True).SerializeToString())
    difference = float(np.abs(onnx_run(folder / "weights.onnx")(scaled[None])[0] - expected).max())
    refuse_difference(difference)
    np.save(folder / "test_input.npy", image[None], allow_pickle=False)
    np.save(folder / "test_output.npy", expected[None], allow_pickle=False)
    kept = image[(slice(None), *(slice(halo, -halo or None) for halo in frame.halo))]
    _write_pictures(model, kept, answer, folder)
    (folder / "README.md").write_text(package.card, encoding="utf-8")
    return difference


def _answer(model: Model, scaled: NDArray[np.float32]) -> NDArray[np.float32]:
    """What PyTorch gives for that part of a framed input, (C, *input), which is kept."""
    extra = frame_of(model.network.geometry).extra
    tile = scaled[(slice(None), *(slice(e, None) for e in extra))]
    answer = model.tile_function("none")(tile)
    return answer[(slice(None), *(slice(-e or None) for e in extra))]


def _write_pictures(model: Model, image: NDArray[Any], answer: NDArray[np.float32], folder: Path) -> None:
    """Write an image and what becomes of it: as TIFF for machines, side by side for people."""
    axes, spacing = f"C{AXES[model.network.spatial_dims].upper()}", model.header.spacing
    write_tiff(folder / "sample_input.tif", image, axes=axes, spacing=spacing)
    write_tiff(folder / "sample_output.tif", answer, axes=axes, spacing=spacing)
    labels = to_labels(answer, model.header.task, model.header.objects)
    cover = np.concatenate([display(image), overlay(image, labels)], axis=1)
    larger = max(1, COVER // len(cover))
    write_png(folder / "cover.png", cover.repeat(larger, 0).repeat(larger, 1))


def _centre(image: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """The middle of an image, (C, *shape), mirrored where it is smaller."""
    lacking = [max(0, size - n) for size, n in zip(shape, image.shape[1:], strict=True)]
    image = np.pad(image, [(0, 0), *((pad // 2, pad - pad // 2) for pad in lacking)], mode="reflect")
    starts = [(n - size) // 2 for size, n in zip(shape, image.shape[1:], strict=True)]
    return image[(slice(None), *(slice(a, a + size) for a, size in zip(starts, shape, strict=True)))]


def _describe(model: Model, package: Package, folder: Path) -> Any:
    """The description, with files of a folder."""
    from bioimageio.spec.model import v0_5 as m

    header, net = model.header, model.own
    return m.ModelDescr(
        name=package.name,
        description=f"A U-Net that tells {' from '.join(class_names(header))}, trained with unseam.",
        authors=[m.Author(name=name) for name in package.authors],
        license=None if package.license is None else m.LicenseId(package.license),
        cite=[m.CiteEntry(text=header.citation.removesuffix(f" doi:{DOI}"), doi=m.Doi(DOI))],
        tags=[*_tags(model), *package.tags],
        documentation=m.FileDescr(source=folder / "README.md"),
        covers=[m.FileDescr(source=folder / "cover.png")],
        inputs=[_input(model, folder)],
        outputs=[_output(model, folder)],
        weights=m.WeightsDescr(onnx=m.OnnxWeightsDescr(source=folder / "weights.onnx", opset_version=OPSET)),
        config=m.Config(
            bioimageio=m.BioimageioConfig(
                architecture_type=f"{net.spatial_dims}D U-Net",
                task=_task(model),
                model_parameter_count=net.folded.size,
            )
        ),
        version=m.Version("0.1.0"),
        timestamp=m.Datetime(datetime.now(UTC)),
    )


def _task(model: Model) -> str:
    return "instance-segmentation" if model.header.task == "instances" else "semantic-segmentation"


def _tags(model: Model) -> list[str]:
    return ["unet", f"{model.network.spatial_dims}d", "pytorch", _task(model), "unseam"]


def _input(model: Model, folder: Path) -> Any:
    from bioimageio.spec.model import v0_5 as m

    net, frame = model.network, frame_of(model.network.geometry)
    smallest = frame.input_for(1)
    names = [f"channel{k}" for k in range(net.in_channels)]
    space = [
        m.SpaceInputAxis(
            id=m.AxisId(a), size=m.ParameterizedSize(min=low, step=step), concatenable=True, **size
        )
        for a, low, step, size in zip(
            AXES[net.spatial_dims], smallest, frame.step, _pixel_sizes(model), strict=True
        )
    ]
    return m.InputTensorDescr(
        id=m.TensorId("image"),
        description="Intensities as they are stored; each channel is scaled over the whole image.",
        axes=[m.BatchAxis(), m.ChannelAxis(channel_names=names), *space],
        test_tensor=m.FileDescr(source=folder / "test_input.npy"),
        sample_tensor=m.FileDescr(source=folder / "sample_input.tif"),
        preprocessing=_preprocessing(model.header.own_normalization, AXES[net.spatial_dims]),
        pad=m.ReflectPadding(mode="reflect"),  # what is not said is not written
    )


def _output(model: Model, folder: Path) -> Any:
    from bioimageio.spec.model import v0_5 as m

    net, frame = model.network, frame_of(model.network.geometry)
    letters = AXES[net.spatial_dims]
    space: list[Any] = []
    for letter, halo, size in zip(letters, frame.halo, _pixel_sizes(model), strict=True):
        same = m.SizeReference(tensor_id=m.TensorId("image"), axis_id=m.AxisId(letter))
        axis: dict[str, Any] = {"id": m.AxisId(letter), "size": same, **size}
        space.append(m.SpaceOutputAxisWithHalo(halo=halo, **axis) if halo else m.SpaceOutputAxis(**axis))
    names = [name.replace(" ", "_") for name in class_names(model.header)]
    return m.OutputTensorDescr(
        id=m.TensorId("probabilities"),
        description="Probability of each class; 0 in the halo.",
        axes=[m.BatchAxis(), m.ChannelAxis(channel_names=names), *space],
        test_tensor=m.FileDescr(source=folder / "test_output.npy"),
        sample_tensor=m.FileDescr(source=folder / "sample_output.tif"),
        data=m.IntervalOrRatioDataDescr(type="float32", range=(0.0, 1.0)),
    )


def _pixel_sizes(model: Model) -> list[dict[str, Any]]:
    """Scale and unit of each axis, where the model knows them."""
    spacing = model.header.spacing
    if spacing is None:
        return [{}] * model.network.spatial_dims
    return [{"scale": size, "unit": "micrometer"} for size in spacing]


def _preprocessing(normalization: Normalization, letters: str) -> list[Any]:
    """Our scaling in the operations of the format: each channel of each image by itself."""
    from bioimageio.spec.model import v0_5 as m

    axes = [m.AxisId(letter) for letter in letters]
    if normalization.method == "percentile":
        return [
            m.ScaleRangeDescr(
                kwargs=m.ScaleRangeKwargs(
                    axes=axes,
                    min_percentile=normalization.lower,
                    max_percentile=normalization.upper,
                    eps=EPSILON,
                )
            )
        ]
    if normalization.method == "zscore":
        return [m.ZeroMeanUnitVarianceDescr(kwargs=m.ZeroMeanUnitVarianceKwargs(axes=axes, eps=EPSILON))]
    return []
