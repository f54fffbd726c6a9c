"""Prediction: an image of any size through a trained network, to probabilities, labels and objects."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unseam.config import Config
from unseam.decisions import to_labels
from unseam.engines.agreement import Agreement, is_reference
from unseam.engines.combined import members_of, together
from unseam.engines.network import EngineNetwork
from unseam.engines.pace import paced
from unseam.errors import EngineWarning, InputError, ShapeError
from unseam.guard.correction import NONE, Correction
from unseam.io.source import Source, array_source
from unseam.model.header import ModelHeader
from unseam.normalize import MapParts
from unseam.prediction.agreeing import agree
from unseam.prediction.diameter import Sized, check_diameter, find_size, is_found, zoom_of
from unseam.prediction.guarding import judge
from unseam.prediction.region import (
    Prepared,
    compute_region,
    network_shape,
    predict_region,
    prepare,
    whole_of,
)
from unseam.prediction.runner import Runner, runner_of
from unseam.prediction.segmentation import Segmentation
from unseam.prediction.tiles import TTA, Network, fits_memory, symmetries, tile_function
from unseam.prediction.turning import turns_of
from unseam.tiling import TileFunction


@dataclass(frozen=True, repr=False)
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
    members: tuple[Path, ...] = ()
    """Where several models are averaged, the file of each, in the order of the sum."""

    def __repr__(self) -> str:
        name = self.path.name if self.path else "not from a file"
        return f"Model({name}: {self.header.task}, {self.network})"

    @property
    def own(self) -> EngineNetwork:
        """The network, where it is one that was made here.

        Raises
        ------
        InputError
            If it is another program's, or there are several.
        """
        nets = self.own_members
        if len(nets) > 1:
            raise InputError(f"{len(nets)} models are averaged here, and this takes one; give one of them")
        return nets[0]

    @property
    def own_members(self) -> tuple[EngineNetwork, ...]:
        """The networks that are averaged, or the only one, where they were made here.

        Raises
        ------
        InputError
            If it is another program's.
        """
        nets = members_of(self.network)
        if not nets:
            raise InputError(
                f"{self.path} is a network of another program, and this takes a U-Net of unseam; give the "
                "model.safetensors of a run"
            )
        return nets

    @property
    def files(self) -> tuple[Path, ...]:
        """The file of each model that is averaged, or of the only one; none where it has none."""
        return self.members or ((self.path,) if self.path else ())

    @property
    def engine(self) -> str:
        """What runs the network, in which precision, in words."""
        return str(self.network) if members_of(self.network) else "ONNX Runtime, float32"

    @property
    def runners(self) -> tuple[Runner, ...]:
        """What another process has to run the network of each file with, so that it gives the same bits."""
        nets = members_of(self.network)
        return tuple(runner_of(net, self.device) for net in nets) or (Runner(device=self.device),)

    def agreeing(self, image: Source) -> Model:
        """The model with an engine that gives what PyTorch gives in float32, seen on a tile of an image.

        The first time that a model is used on a machine, a tile of the middle of the image is compared; later
        what came of it is remembered, see `unseam.engines.agreement`; after a blank tile the next image is
        compared as well. An engine that disagrees or fails is replaced by another, and `notes` say so.

        Raises
        ------
        ShapeError
            If axes or channels do not fit the model, or the image is empty.
        InputError
            If a pixel is NaN or infinite.
        UnseamError
            If no engine is left.
        """
        nets = members_of(self.network)
        is_seen = self.agreement is not None and not self.agreement.is_blank
        if is_seen or all(map(is_reference, nets)):
            return self
        self.check_channels(image)
        seen = agree(nets, self.header, image)
        notes = (*self.notes, *seen.notes)
        return replace(self, network=together(seen.networks), agreement=seen.agreement, notes=notes)

    def _agreeing(self, image: Source) -> Model:
        """As `agreeing`; a program that calls `predict` is warned of what else `notes` say alone."""
        model = self.agreeing(image)
        for note in model.notes[len(self.notes) :]:
            warnings.warn(note, EngineWarning, stacklevel=3)
        return model

    def paced(self, shape: Sequence[int], memory: float | None = None) -> Model:
        """The model, of which it is known how fast tiles of several sizes are on this machine.

        Measured once for a machine, the first time that an image (`shape`, in the network's pixels) is large
        enough for it; see `unseam.engines.pace`. It changes time alone, never the result.
        """
        if not isinstance(self.network, EngineNetwork):
            return self
        return replace(self, network=paced(self.network, shape, fits_memory(self.network, memory)))

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
            "mirror" averages over all mirrored versions, "rotate" over the quarter turns as well, "turn" over
            seven turns of the whole image, as the paper did.
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
        model = self._agreeing(source)
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
        found = find_size(self.network, self.header, function, image, on_tile=on_tile)
        return replace(found, probabilities=None) if turns_of(tta) else found  # it was looked at unturned

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
        model = self
        if tile == "auto":
            shape = network_shape(image, self.header.spacing, rescale=rescale, zoom=zoom)
            model = self.paced(shape, memory)
        function = model.tile_function(tta)
        scaling = self.header.normalization.fit(
            image.read, image.shape, channels=image.channels, dtype=image.dtype, map_parts=map_parts
        )
        return prepare(
            model.network,
            self.header,
            function,
            image,
            scaling,
            tile=tile,
            rescale=rescale,
            zoom=zoom,
            memory=memory,
            turns=turns_of(tta),
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
        source = array_source(image)
        prepared = self._agreeing(source).prepare(source, tile=tile, tta=tta, rescale=False)
        return compute_region(prepared, whole_of(source.shape), on_tile=on_tile).probabilities

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
        if tta in ("rotate", "turn") and len(set(self.network.geometry.axes[-2:])) > 1:
            raise InputError(f"tta is {tta!r} and this network is not the same along Y and X; use mirror")
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
