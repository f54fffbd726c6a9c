"""The U-Net of 2015: unpadded convolutions, cropped skips, and nothing that looks at the tile.

::

    image ─▶ level 0 ──────────────── crop ───────────────▶ level 0 ─▶ 1x1 ─▶ logits
               ▼ pool                                         ▲ up
             level 1 ──────────── crop ────────────▶ level 1 ─┘
               ▼ pool                                  ▲ up
              ...                                     ...
               ▼ pool                                  │ up
             bottom ───────────── dropout ─────────────┘

A level is two convolutions with ReLU. Batch norm is optional and, at prediction, a constant per channel;
so an output pixel depends on its own surroundings alone, wherever the image was cut. What the authors
themselves released differs a little from the paper; the options `release`, `wide_top` and `leak` build it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from unseam.errors import ConfigError, ShapeError
from unseam.geometry import CONVOLUTIONS_PER_LEVEL, Geometry, check_levels
from unseam.model.gradients import pool_and_crop, up_convolution

Layer = Callable[..., nn.Module]
Convolution: dict[int, Layer] = {2: nn.Conv2d, 3: nn.Conv3d}
UpConvolution: dict[int, Layer] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
BatchNorm: dict[int, Layer] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


class UNet(nn.Module):
    """The network of the paper by default; other sizes, 3-D and anisotropic steps by option.

    Parameters
    ----------
    in_channels : int
        Channels of the image.
    classes : int
        Channels of the output, background included.
    spatial_dims : int
        2 or 3.
    base_width : int
        Channels at the first level; each level below has twice as many.
    depth : int
        Number of poolings.
    strides : sequence of (int, ...), optional
        Pooling stride of each of the `depth` steps, per axis; default 2 everywhere.
    kernels : sequence of (int, ...), optional
        Convolution kernel of each of the `depth` + 1 levels, per axis, odd; default 3 everywhere.
    batch_norm : bool
        Normalise after each convolution of a level; see `unseam.model.folded.fold`.
    dropout : float
        Probability of dropping a value at the end of the contracting path, 0 to 1.
    release : bool
        As the authors' release of October 2015: ReLU after each up-convolution too, the last of which keeps
        twice the width; dropout also at the last level before the bottom, ahead of pooling and skip.
    wide_top : bool
        The last level of the expanding path has twice the width, as in the authors' cell network of 2019.
    leak : float
        Slope of ReLU below 0; their network of 2019 has 0.1.
    generator : torch.Generator, optional
        What the weights are drawn with, as the paper does; see `initialise`.

    Raises
    ------
    ConfigError
        If a number is out of range, or strides and kernels do not fit the depth.
    ShapeError
        In `forward`, if the tile does not fit; see `geometry`.

    References
    ----------
    Ronneberger, Fischer, Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation",
    MICCAI 2015, figure 1 and section 3. doi:10.1007/978-3-319-24574-4_28

    Examples
    --------
    >>> net = UNet(in_channels=1, classes=2)
    >>> sum(p.numel() for p in net.parameters())
    31030658
    >>> sum(p.numel() for p in UNet(release=True).parameters())
    31100354
    >>> net.geometry.output((572, 572))
    (388, 388)
    """

    is_local = True
    """Whether a tile, its halo cut away, gives what the whole image would: it pads nothing."""

    def __init__(
        self,
        in_channels: int = 1,
        classes: int = 2,
        *,
        spatial_dims: int = 2,
        base_width: int = 64,
        depth: int = 4,
        strides: Sequence[Sequence[int]] | None = None,
        kernels: Sequence[Sequence[int]] | None = None,
        batch_norm: bool = False,
        dropout: float = 0.5,
        release: bool = False,
        wide_top: bool = False,
        leak: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        _check_options(in_channels, classes, spatial_dims, base_width, depth)
        _check_shares(dropout=dropout, leak=leak)
        strides = [tuple(s) for s in strides] if strides else [(2,) * spatial_dims] * depth
        kernels = [tuple(k) for k in kernels] if kernels else [(3,) * spatial_dims] * (depth + 1)
        check_levels(strides, kernels, spatial_dims=spatial_dims, depth=depth)
        self.in_channels, self.classes, self.spatial_dims = in_channels, classes, spatial_dims
        self.base_width, self.release = base_width, release
        self.strides, self.kernels = strides, kernels
        self.geometry = Geometry.from_levels(kernels, strides)
        widths = [base_width * 2**level for level in range(depth + 1)]
        up_widths, out_widths = _expanding(widths, release), _expanding(widths, wide_top)

        down = [
            double_convolution(in_width, width, kernel, batch_norm, leak)
            for in_width, width, kernel in zip([in_channels, *widths], widths[:-1], kernels, strict=False)
        ]
        if release and down:
            down[-1].append(nn.Dropout(dropout))
        self.down = nn.ModuleList(down)
        in_width = ([in_channels, *widths])[depth]
        self.bottom = double_convolution(in_width, widths[-1], kernels[-1], batch_norm, leak)
        self.dropout = nn.Dropout(dropout)
        self.up = nn.ModuleList(
            UpConvolution[spatial_dims](below, width, kernel_size=stride, stride=stride)
            for below, width, stride in zip([*out_widths, widths[-1]][1:], up_widths, strides, strict=True)
        )
        self.after_up = activation(leak) if release else nn.Identity()
        self.out = nn.ModuleList(
            double_convolution(skip + up, width, kernel, batch_norm, leak)
            for skip, up, width, kernel in zip(widths, up_widths, out_widths, kernels, strict=False)
        )
        self.head = Convolution[spatial_dims]([*out_widths, *widths][0], classes, kernel_size=1)
        initialise(self, generator)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the centre of a tile: (B, C, *spatial) to (B, classes, *geometry.output(spatial))."""
        self._check_tile(image)
        x, skips = image, []
        for level, stride, kept in zip(self.down, self.strides, self._kept(image.shape[2:]), strict=True):
            x, skip = pool_and_crop(level(x), stride, kept)
            skips.append(skip)
        x = self.dropout(self.bottom(x))
        for skip, up, level in zip(reversed(skips), reversed(self.up), reversed(self.out), strict=True):
            x = self.after_up(up_convolution(up, x))
            x = torch.cat([skip, x], dim=1)  # (B, skip + up, *spatial)
            x = level(x)
        logits: Tensor = self.head(x)
        return logits

    def _kept(self, shape: Sequence[int]) -> Iterator[list[int]]:
        """What is kept of the map of each level for its skip, from the top down; `shape` is the tile's."""
        inner = self.geometry.output(shape)
        for kernel, stride in zip(self.kernels, self.strides, strict=False):
            kept = [n + CONVOLUTIONS_PER_LEVEL * (k - 1) for n, k in zip(inner, kernel, strict=True)]
            yield kept
            inner = tuple(n // s for n, s in zip(kept, stride, strict=True))

    def _check_tile(self, image: Tensor) -> None:
        if image.ndim != self.spatial_dims + 2 or image.shape[1] != self.in_channels:
            raise ShapeError(
                f"the network takes (batch, {self.in_channels} channels, {self.spatial_dims} spatial axes) "
                f"and was given {tuple(image.shape)}"
            )
        self.geometry.check(image.shape[2:])


def double_convolution(
    in_width: int, width: int, kernel: Sequence[int], batch_norm: bool, leak: float = 0.0
) -> nn.Sequential:
    """Two unpadded convolutions, each with ReLU, and batch norm in between where asked for."""
    layers: list[nn.Module] = []
    for channels in (in_width, width):
        layers.append(Convolution[len(kernel)](channels, width, tuple(kernel), bias=not batch_norm))
        if batch_norm:
            layers.append(BatchNorm[len(kernel)](width))
        layers.append(activation(leak))
    return nn.Sequential(*layers)


def activation(leak: float) -> nn.Module:
    """ReLU, or one that lets `leak` times what is below 0 through."""
    return nn.LeakyReLU(leak) if leak else nn.ReLU()


def initialise(net: UNet, generator: torch.Generator | None = None) -> None:
    """Draw the weights from N(0, sqrt(2 / N)), N the incoming connections of one neuron; biases are 0.

    In an up-convolution whose kernel is its stride a neuron receives one position of the map below,
    so N is the number of channels there.
    """
    for layer in net.modules():
        if isinstance(layer, (nn.Conv2d, nn.Conv3d)):
            incoming = layer.in_channels * math.prod(layer.kernel_size)
        elif isinstance(layer, (nn.ConvTranspose2d, nn.ConvTranspose3d)):
            incoming = layer.in_channels
        else:
            continue
        nn.init.normal_(layer.weight, 0.0, math.sqrt(2.0 / incoming), generator=generator)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def _expanding(widths: Sequence[int], doubled: bool) -> list[int]:
    """Widths of the levels of the expanding path, the first of which, its last, may be doubled."""
    return [width * (2 if doubled and level == 0 else 1) for level, width in enumerate(widths[:-1])]


def _check_options(in_channels: int, classes: int, spatial_dims: int, base_width: int, depth: int) -> None:
    if spatial_dims not in (2, 3):
        raise ConfigError(f"spatial_dims is {spatial_dims}; the network is built for 2 or 3 spatial axes")
    for name, value, least in [
        ("in_channels", in_channels, 1),
        ("classes", classes, 2),
        ("base_width", base_width, 1),
        ("depth", depth, 0),
    ]:
        if value < least:
            raise ConfigError(f"{name} is {value}; it must be {least} or more")


def _check_shares(*, dropout: float, leak: float) -> None:
    for name, value, what in [("dropout", dropout, "a probability"), ("leak", leak, "a slope")]:
        if not 0 <= value < 1:
            raise ConfigError(f"{name} is {value}; it is {what}, 0 or more and below 1")
