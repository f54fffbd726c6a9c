"""Prediction: an image of any size through a trained network, to probabilities, labels and objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from unseam.config import Config
from unseam.decisions import to_labels
from unseam.engines.agreement import Agreement, compare, is_reference, known_agreement
from unseam.engines.choosing import AUTO, Choice, choices, choose, instead
from unseam.engines.known import torch_on
from unseam.engines.network import EngineNetwork
from unseam.errors import InputError, ShapeError
from unseam.guard.correction import NONE, Correction
from unseam.io.source import Source, array_source
from unseam.model.finding import find_model
from unseam.model.folded import FoldedNetwork, fold
from unseam.model.header import ModelHeader
from unseam.model.weights import file_digest, load_folded
from unseam.normalize import MapParts
from unseam.packages.files import is_package
from unseam.packages.load import load_package
from unseam.prediction.diameter import Sized, check_diameter, find_size, is_found, zoom_of
from unseam.prediction.guarding import judge
from unseam.prediction.region import Prepared, predict_region, prepare, sample_tile, whole_of
from unseam.prediction.segmentation import Segmentation
from unseam.prediction.tiles import TTA, Network, plan_image, symmetries, tile_function
from unseam.processor import may_have_gpu, processor, threads_wanted
from unseam.tiling import ANY_TILE, TileFunction, TileRule, apply_tiled

if TYPE_CHECKING:
    from unseam.model.unet import UNet


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


@dataclass(frozen=True)
class Model:
    """A trained network with all that using it takes.

    Examples
    --------
    >>> model = unseam.load_model("run/model.safetensors")  # doctest: +SKIP
    >>> model.predict(image).labels.max()  # doctest: +SKIP
    87
    """

    network: Network
    header: ModelHeader
    device: str = "cpu"
    path: Path | None = None
    """The file it was loaded from."""
    notes: tuple[str, ...] = ()
    """What a person should know before using it, a line each: of another program's model, or of engines that
    failed."""
    agreement: Agreement | None = None
    """How far its engine is from PyTorch in float32, once that was looked at."""

    @property
    def own(self) -> EngineNetwork:
        """The network, where it is one that was made here.

        Raises
        ------
        InputError
            If it is another program's.
        """
        if not isinstance(self.network, EngineNetwork):
            raise InputError(
                f"{self.path} is a network of another program, and this takes a U-Net of unseam; give the "
                "model.safetensors of a run"
            )
        return self.network

    @property
    def engine(self) -> str:
        """What runs the network, in which precision, in words."""
        return str(self.network) if isinstance(self.network, EngineNetwork) else "ONNX Runtime, float32"

    @property
    def runner(self) -> Runner:
        """What another process has to run the network with, so that it gives the same bits."""
        net = self.network
        if not isinstance(net, EngineNetwork):
            return Runner(device=self.device)
        versions = {net.engine.title: net.engine.version}
        if net.precision != "float32":
            versions["processor"] = processor()
        return Runner(net.engine.name, net.precision, self.device, net.rule, versions)

    def agreeing(self, image: Source) -> Model:
        """The model with an engine that gives what PyTorch gives in float32, seen on a tile of an image.

        The first time that a model is used on a machine, a tile of the middle of the image is compared; later
        what came of it is remembered, see `unseam.engines.agreement`. An engine that disagrees is replaced by
        another, and `notes` say so.

        Raises
        ------
        ShapeError
            If axes or channels do not fit the model, or the image is empty.
        InputError
            If a pixel is NaN or infinite.
        """
        if self.agreement is not None or not isinstance(self.network, EngineNetwork):
            return self
        if is_reference(self.network):
            return self
        self.check_channels(image)
        found = known_agreement(self.network)
        if found is None:
            found = compare(self.network, sample_tile(self.network, self.header, image))
        if found.is_good:
            return replace(self, agreement=found)
        other = instead(self.network)
        note = f"{self.engine} disagrees with PyTorch in float32 ({found.in_full}); {other} is taken"
        return replace(self, network=other, notes=(*self.notes, note)).agreeing(image)

    def predict(
        self,
        image: NDArray[Any],
        *,
        tile: int | str = "auto",
        tta: str = "none",
        spacing: Sequence[float] | None = None,
        rescale: bool = True,
        diameter: float | str | None = None,
        zoom: float | None = None,
        correction: Correction = NONE,
        on_tile: Callable[[int, int], None] | None = None,
    ) -> Segmentation:
        """Segment an image of any size.

        Parameters
        ----------
        image : ndarray, (*spatial) or (C, *spatial)
            Any real dtype; a single-channel image may leave C out.
        tile : int or "auto"
            Largest output of a tile, pixels per axis. It changes time and memory, never the result.
        tta : str
            "mirror" averages over all mirrored versions, "rotate" over the quarter turns as well.
        spacing : sequence of float, optional
            Pixel size, micrometres per axis, for the table and for `rescale`.
        rescale : bool
            Whether an image whose pixels are more than a tenth larger or smaller than those the model learned
            on is brought to their size for the network; labels and probabilities keep the image's own pixels.
        diameter : float or "auto", optional
            Of the objects, pixels of the image, by which it is rescaled whatever its pixel size. "auto" finds
            it; that is the default of models that are made for images of any scale (`header.diameters`).
        zoom : float, optional
            How many times the image is rescaled for the network, whatever the diameter.
        correction : Correction
            What is done to the image for the network, as `unseam.prediction.adapting.find_correction` gives
            it; its zoom takes the place of `zoom`. The table keeps the image's own intensities.
        on_tile : callable, optional
            Called with (tiles done, tiles in all).

        Raises
        ------
        ShapeError
            If axes or channels do not fit the model, or the image is empty.
        InputError
            If a pixel is NaN or infinite, `tta` is unknown or does not fit the network, or `diameter` or
            `zoom` is out of its range.
        """
        channels = self._with_channels(np.asarray(image))
        size = tuple(float(s) for s in spacing) if spacing else None
        source = correction.apply(array_source(channels, spacing=size))
        model = self.agreeing(source)
        sized = Sized(correction.zoom or zoom)
        if sized.zoom is None:
            sized = model.sized(source, diameter, rescale=rescale, tta=tta, on_tile=on_tile)
        prepared = model.prepare(source, tile=tile, tta=tta, rescale=rescale, zoom=sized.zoom)
        verdict = judge(model.network, self.header, prepared, correction=correction)
        probabilities = sized.probabilities
        if probabilities is None:
            probabilities = predict_region(prepared, whole_of(source.shape), on_tile=on_tile)
        labels = to_labels(probabilities, prepared.task, prepared.objects)
        return Segmentation(
            labels, probabilities, size, channels, self.header.task, sized.zoom, sized.diameter, verdict
        )

    def sized(
        self,
        image: Source,
        diameter: float | str | None = None,
        *,
        rescale: bool = True,
        tta: str = "none",
        on_tile: Callable[[int, int], None] | None = None,
    ) -> Sized:
        """How an image is rescaled by the size of its objects; options and errors as of `predict`."""
        self.check_channels(image)
        check_diameter(self.header, diameter, rescale=rescale)
        if isinstance(diameter, (int, float)):
            return Sized(zoom_of(self.header, diameter), diameter)
        if diameter is None and not is_found(self.header, image, rescale=rescale):
            return Sized()
        function = self.tile_function(tta)
        return find_size(self.network, self.header, function, image, on_tile=on_tile)

    def prepare(
        self,
        image: Source,
        *,
        tile: int | str = "auto",
        tta: str = "none",
        rescale: bool = True,
        zoom: float | None = None,
        memory: float | None = None,
        map_parts: MapParts = map,
    ) -> Prepared:
        """All that segmenting parts of an image takes; its intensities are read for it once or more.

        Parameters
        ----------
        image : Source
        tile, tta, rescale, zoom
            As in `predict`.
        memory : float, optional
            Bytes that one tile may take with `tile="auto"`.
        map_parts : callable
            Reads the parts for the intensities: `map`, or the map of an executor.

        Raises
        ------
        ShapeError, InputError
            As in `predict`.
        """
        self.check_channels(image)
        function = self.tile_function(tta)
        scaling = self.header.normalization.fit(
            image.read, image.shape, channels=image.channels, dtype=image.dtype, map_parts=map_parts
        )
        return prepare(
            self.network,
            self.header,
            function,
            image,
            scaling,
            tile=tile,
            rescale=rescale,
            zoom=zoom,
            memory=memory,
        )

    def probabilities(
        self,
        image: NDArray[Any],
        *,
        tile: int | str = "auto",
        tta: str = "none",
        on_tile: Callable[[int, int], None] | None = None,
    ) -> NDArray[np.float32]:
        """Softmax over the classes: (C, *spatial) to (classes, *spatial), up to rounding of float32."""
        function = self.tile_function(tta)
        plan = plan_image(image.shape[1:], self.network, tile=tile)
        scaled = array_source(self.header.normalization(image))
        result: NDArray[np.float32] = apply_tiled(function, scaled, plan, on_tile=on_tile)
        return result

    def with_objects(self, **changes: Any) -> Model:
        """The same model with other values of `unseam.config.ObjectConfig`, as threshold=0.6."""
        config = Config(objects=self.header.objects).updated({"objects": changes})
        return replace(self, header=replace(self.header, objects=config.objects))

    def tile_function(self, tta: str) -> TileFunction:
        """A tile, scaled, (C, *input), to probabilities (classes, *output), averaged as `tta` says.

        Raises
        ------
        InputError
            If `tta` is unknown or does not fit the network.
        """
        if tta not in TTA:
            raise InputError(f"tta is {tta!r}; expected one of: {', '.join(TTA)}")
        if tta == "rotate" and len(set(self.network.geometry.axes[-2:])) > 1:
            raise InputError("tta is 'rotate' and this network is not the same along Y and X; use mirror")
        versions = symmetries(self.network.spatial_dims, tta)
        return tile_function(self.network, versions)

    def _with_channels(self, image: NDArray[Any]) -> NDArray[Any]:
        if image.ndim == self.network.spatial_dims and self.network.in_channels == 1:
            image = image[None]
        self._check_shape(image.shape)
        return image

    def check_channels(self, image: Source) -> None:
        """Raise `ShapeError` if an image has other axes or channels than the model, or no pixel."""
        self._check_shape((image.channels, *image.shape))

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        dims, expected = self.network.spatial_dims, self.network.in_channels
        if len(shape) != dims + 1 or shape[0] != expected:
            what = f"{expected} channel{'s' if expected > 1 else ''}"
            raise ShapeError(
                f"the image has shape {shape}; this model takes {what} and {dims} spatial axes, "
                f"({expected}, {'Z, ' if dims == 3 else ''}Y, X): convert it, --select a part of it, or "
                "train on images like it"
            )
        if 0 in shape:
            raise ShapeError(f"the image is empty: its shape is {shape[1:]}")


def load_model(
    path: str | Path,
    *,
    device: str = "auto",
    engine: str = "auto",
    precision: str = "auto",
    threads: int = 0,
) -> Model:
    """A trained model from its file, ready to predict.

    Parameters
    ----------
    path : str or Path
        The .safetensors file, the folder of the run that made it, or the name of a model, as "nuclei"; see
        `unseam.model.finding.find_model`. Or a bioimage.io package, packed or not, with ONNX weights or those
        of a `unseam.UNet`.
    device : str
        "auto", "cpu" or "cuda".
    engine : str
        What runs the network: "openvino", "onnx", "torch", or "auto", the fastest of those installed.
    precision : str
        "float32", "bfloat16", or "auto": bfloat16 where the processor multiplies it natively. Or "int8", of a
        model that is calibrated for it.
    threads : int
        Of the engine; 0 for as many as it takes by itself.

    Raises
    ------
    ModelFileError
        If the file is missing, cut short, no model, or of a newer version, or the name unknown.
    MissingExtraError
        If a package takes an optional one, or the engine is not installed.
    InputError
        If there is no such device, engine or precision, or they do not go together, or the model is not
        calibrated for int8.
    """
    on_cpu = engine in ("openvino", "onnx") or precision == "int8"
    place = "cpu" if device == "auto" and on_cpu else choose_device(device)
    options = choices(engine, precision, device=place)
    threads = threads or threads_wanted()
    if is_package(Path(path)):
        return from_package(Path(path), options, threads=threads)
    path = find_model(path)
    folded, header = load_folded(path)
    chosen = choose(folded, options, threads=threads, digest=file_digest(path))
    return Model(chosen.network, header, chosen.network.engine.device, path, chosen.failures)


def load_model_for(path: Path, runner: Runner, *, threads: int = 0) -> Model:
    """The model of a file with the engine that another process chose: this one, and no other.

    Raises
    ------
    UnseamError
        As `load_model`, and if the engine does not run it.
    """
    if is_package(path):
        loaded = load_package(path)
        if not isinstance(loaded.network, FoldedNetwork):
            return Model(loaded.network, loaded.header, "cpu", path, loaded.notes)
        folded, header = loaded.network, loaded.header
    else:
        folded, header = load_folded(path)
    device = choose_device(runner.device)
    option = choices(runner.engine, runner.precision, device=device)[0]
    network = EngineNetwork(folded, option.engine, option.precision, threads, runner.rule)
    return Model(network, header, device, path)


def from_package(path: Path, options: Sequence[Choice], *, threads: int = 0) -> Model:
    """The model of a bioimage.io package, ready to predict; see `unseam.packages.load.load_package`.

    Networks of other programs are run by ONNX Runtime, in float32.
    """
    loaded = load_package(path)
    if not isinstance(loaded.network, FoldedNetwork):
        return Model(loaded.network, loaded.header, "cpu", loaded.path, loaded.notes)
    chosen = choose(loaded.network, options, threads=threads)
    notes = (*loaded.notes, *chosen.failures)
    return Model(chosen.network, loaded.header, chosen.network.engine.device, loaded.path, notes)


def ready(net: UNet, header: ModelHeader, device: str = "cpu") -> Model:
    """A model of a network in training, run by PyTorch in float32; `net` is left as it is."""
    arrays = {name: values.detach().float().cpu().numpy() for name, values in net.state_dict().items()}
    network = EngineNetwork(fold(header.network, arrays), torch_on(device), threads=threads_wanted())
    return Model(network, header, device)


def choose_device(name: str) -> str:
    """The device of a name; "auto" is CUDA where there is one. PyTorch is imported only where there may be.

    Raises
    ------
    InputError
        If there is no such device.
    """
    if name == "cpu" or (name == "auto" and not may_have_gpu()):
        return "cpu"
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "device cuda was asked for and PyTorch finds none; use --device cpu, or see `unseam doctor`"
        )
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return str(torch.device(name))
    except RuntimeError:
        raise InputError(f"device is {name!r}; expected auto, cpu or cuda") from None
