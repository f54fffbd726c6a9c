"""Prediction: an image of any size through a trained network, to probabilities, labels and objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unseam.config import Config
from unseam.decisions import settle_decisions, to_labels
from unseam.errors import InputError, ShapeError
from unseam.instances import label_class_regions
from unseam.measure import ObjectTable, measure
from unseam.model.checkpoint import ModelHeader, load_network
from unseam.model.unet import UNet, fold_batch_norm
from unseam.tiling import TileFunction, TilePlan, apply_tiled, plan_tiles

TTA = ("none", "mirror", "rotate")
LARGEST_TILE = {2: 512, 3: 96}
"""Output pixels per axis that `tile="auto"` does not exceed: on processors larger tiles were not faster."""
SHARE_OF_MEMORY = 0.25
"""Share of the free memory that the activations of one tile may take with `tile="auto"`."""

Symmetry = tuple[int, tuple[int, ...]]
"""Quarter turns in the last two axes, then the axes that are mirrored."""


@dataclass(frozen=True)
class Segmentation:
    """The result for one image.

    Attributes
    ----------
    labels : ndarray of int32, (*spatial)
        Objects numbered in raster order of their first pixel, or classes; 0 is background.
    probabilities : ndarray of float32, (classes, *spatial)
    spacing : tuple of float or None
        Pixel size, micrometres per axis.
    image : ndarray, (C, *spatial)
        What was segmented.
    task : "instances" or "semantic".
    """

    labels: NDArray[np.int32]
    probabilities: NDArray[np.float32]
    spacing: tuple[float, ...] | None
    image: NDArray[Any]
    task: str

    def table(self) -> ObjectTable:
        """One row per object: place, size, shape, intensities, mean probability; see `unseam.measure`."""
        if self.task == "instances":
            return measure(
                self.labels, self.image, probabilities=1 - self.probabilities[0], spacing=self.spacing
            )
        return measure_classes(self)


@dataclass(frozen=True)
class Model:
    """A trained network with all that using it takes.

    Examples
    --------
    >>> model = unseam.load_model("run/model.safetensors")  # doctest: +SKIP
    >>> model.predict(image).labels.max()  # doctest: +SKIP
    87
    """

    network: UNet
    header: ModelHeader
    device: torch.device

    def predict(
        self,
        image: NDArray[Any],
        *,
        tile: int | str = "auto",
        tta: str = "none",
        spacing: Sequence[float] | None = None,
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
            Pixel size, micrometres per axis, for the table.
        on_tile : callable, optional
            Called with (tiles done, tiles in all).

        Raises
        ------
        ShapeError
            If axes or channels do not fit the model, or the image is empty.
        InputError
            If a pixel is NaN or infinite, or `tta` is unknown or does not fit the network.
        """
        channels = self._with_channels(np.asarray(image))
        function = self._tile_function(tta)
        plan = plan_image(channels.shape[1:], self.network, tile=tile)
        scaled = self.header.normalization(channels)
        probabilities: NDArray[np.float32] = apply_tiled(function, scaled, plan, on_tile=on_tile)
        header = self.header
        settle_decisions(
            function,
            scaled,
            self.network.geometry,
            probabilities,
            task=header.task,
            objects=header.objects,
        )
        labels = to_labels(probabilities, header.task, header.objects)
        size = tuple(float(s) for s in spacing) if spacing else None
        return Segmentation(labels, probabilities, size, channels, header.task)

    def probabilities(
        self,
        image: NDArray[Any],
        *,
        tile: int | str = "auto",
        tta: str = "none",
        on_tile: Callable[[int, int], None] | None = None,
    ) -> NDArray[np.float32]:
        """Softmax over the classes: (C, *spatial) to (classes, *spatial), up to rounding of float32."""
        function = self._tile_function(tta)
        plan = plan_image(image.shape[1:], self.network, tile=tile)
        result: NDArray[np.float32] = apply_tiled(
            function, self.header.normalization(image), plan, on_tile=on_tile
        )
        return result

    def with_objects(self, **changes: Any) -> Model:
        """The same model with other values of `unseam.config.ObjectConfig`, as threshold=0.6."""
        config = Config(objects=self.header.objects).updated({"objects": changes})
        return replace(self, header=replace(self.header, objects=config.objects))

    def _tile_function(self, tta: str) -> TileFunction:
        if tta not in TTA:
            raise InputError(f"tta is {tta!r}; expected one of: {', '.join(TTA)}")
        if tta == "rotate" and len(set(self.network.geometry.axes[-2:])) > 1:
            raise InputError("tta is 'rotate' and this network is not the same along Y and X; use mirror")
        versions = symmetries(self.network.spatial_dims, tta)
        return tile_function(self.network, self.device, versions)

    def _with_channels(self, image: NDArray[Any]) -> NDArray[Any]:
        dims, expected = self.network.spatial_dims, self.network.in_channels
        if image.ndim == dims and expected == 1:
            image = image[None]
        if image.ndim != dims + 1 or image.shape[0] != expected:
            what = f"{expected} channel{'s' if expected > 1 else ''}"
            raise ShapeError(
                f"the image has shape {image.shape}; this model takes {what} and {dims} spatial axes, "
                f"({expected}, {'Z, ' if dims == 3 else ''}Y, X): convert it, or train on images like it"
            )
        return image


def load_model(path: str | Path, *, device: str = "auto") -> Model:
    """A trained model from its file, ready to predict.

    Parameters
    ----------
    path : str or Path
        The .safetensors file, or the folder of the run that made it.
    device : str
        "auto", "cpu" or "cuda".

    Raises
    ------
    ModelFileError
        If the file is missing, cut short, no model, or of a newer version.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "model.safetensors"
    net, header = load_network(path)
    return ready(net, header, choose_device(device))


def ready(net: UNet, header: ModelHeader, device: torch.device) -> Model:
    """A model whose network is folded, laid out and placed for prediction; `net` is left as it is."""
    layout = torch.channels_last if net.spatial_dims == 2 else torch.channels_last_3d
    folded = fold_batch_norm(net).to(device).to(memory_format=layout)  # type: ignore[call-overload]
    return Model(folded.requires_grad_(False), header, device)


def choose_device(name: str) -> torch.device:
    """The device of a name; "auto" is CUDA where there is one.

    Raises
    ------
    InputError
        If there is no such device.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "device cuda was asked for and PyTorch finds none; use --device cpu, or see `unseam doctor`"
        )
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.device(name)
    except RuntimeError:
        raise InputError(f"device is {name!r}; expected auto, cpu or cuda") from None


def measure_classes(segmentation: Segmentation) -> ObjectTable:
    """The table of a class map: one row per connected region of each class."""
    classes = segmentation.labels
    chosen = np.take_along_axis(segmentation.probabilities, classes[None].astype(np.intp), 0)[0]
    return measure(
        label_class_regions(classes),
        segmentation.image,
        probabilities=chosen,
        spacing=segmentation.spacing,
        classes=classes,
    )


def symmetries(spatial_dims: int, tta: str) -> list[Symmetry]:
    """The versions of a tile that are averaged: 1, 4 or 8 in 2-D; 1, 8 or 16 in 3-D."""
    axes = range(-spatial_dims, 0)
    mirrors = [
        tuple(a for a, m in zip(axes, on, strict=True) if m) for on in product((0, 1), repeat=spatial_dims)
    ]
    if tta == "none":
        return [(0, ())]
    return [(turns, mirror) for turns in ((0,) if tta == "mirror" else (0, 1)) for mirror in mirrors]


def tile_function(
    net: UNet, device: torch.device, versions: Sequence[Symmetry]
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Tile (C, *input) to probabilities (classes, *output), averaged over `versions`.

    Each version is undone before averaging. All tiles have the same size and start on the same grid, so
    they do when mirrored too: averaging changes nothing about seams.
    """

    def predict_version(x: Tensor, turns: int, mirror: tuple[int, ...]) -> Tensor:
        x = torch.rot90(x, turns, (-2, -1)).flip(mirror)
        layout = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
        p = torch.softmax(net(x.contiguous(memory_format=layout)).float(), dim=1)
        return torch.rot90(p.flip(mirror), -turns, (-2, -1))

    @torch.inference_mode()
    def predict_tile(tile: NDArray[np.float32]) -> NDArray[np.float32]:
        x = torch.from_numpy(np.ascontiguousarray(tile))[None].to(device)
        with torch.backends.cudnn.flags(allow_tf32=False):  # 10 bits of mantissa are not float32
            total = sum(predict_version(x, turns, mirror)[0] for turns, mirror in versions)
        mean: NDArray[np.float32] = (total / len(versions)).cpu().numpy()  # type: ignore[union-attr]
        return mean

    return predict_tile


def plan_image(shape: Sequence[int], net: UNet, *, tile: int | str) -> TilePlan:
    """The tiles of an image; "auto" takes what memory allows, and no more than pays."""
    if tile != "auto":
        return plan_tiles(shape, net.geometry, _whole_number(tile))
    size = LARGEST_TILE[net.spatial_dims]
    plan = plan_tiles(shape, net.geometry, size)
    while tile_bytes(plan.tile_input, net) > SHARE_OF_MEMORY * free_memory() and size // 2 >= max(
        net.geometry.grid
    ):
        size //= 2
        plan = plan_tiles(shape, net.geometry, size)
    return plan


def tile_bytes(tile_input: Sequence[int], net: UNet) -> int:
    """About the memory that the activations of one tile take at their peak, float32.

    At the first level live the skip, the concatenation (two widths) and a convolution's input and output.
    """
    pixels = int(np.prod(tile_input))
    width = net.base_width
    return 4 * pixels * 6 * width


def free_memory() -> int:
    """Memory that can be had without swapping, bytes; 4 GB where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 4 * 1024**3


def _whole_number(tile: int | str) -> int:
    try:
        return int(tile)
    except ValueError:
        raise InputError(f"tile is {tile!r}; expected auto or a number of pixels") from None
