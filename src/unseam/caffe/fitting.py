"""A U that was read from Caffe as a `UNet`: its configuration, and its weights by their names there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from unseam.caffe.network import Level, U, Up
from unseam.caffe.weights import Convolution, Floats
from unseam.config import NetworkConfig
from unseam.errors import ModelFileError


def network_config(u: U) -> NetworkConfig:
    """The configuration of `UNet` for this network.

    Raises
    ------
    ModelFileError
        If `UNet` cannot be it; the layer is named.
    """
    levels = [*u.down, u.bottom]
    base, rectified = levels[0].width, any(up.leak is not None for up in u.up)
    for k, level in enumerate(levels):
        _check_width(level.first, base * 2**k)
        _check_width(level.second, base * 2**k)
    for k, (up, out) in enumerate(zip(u.up, u.out, strict=True)):
        _check_width(up.convolution, base * 2**k, *([2 * base] if rectified and k == 0 else []))
        _check_width(out.first, base * 2**k, *([2 * base] if k == 0 else []))
        _check_width(out.second, out.first.width)
        _check_leak(up, levels[0].leak if rectified else None)
    for level in [*levels, *u.out]:
        if level.leak != levels[0].leak:
            raise ModelFileError(
                f"{level.first.layer} has a ReLU of slope {level.leak} after it, others have not"
            )
    return NetworkConfig(
        in_channels=levels[0].first.weight.shape[1],
        classes=u.head.width,
        spatial_dims=len(u.bottom.kernel),
        base_width=base,
        depth=len(u.down),
        strides=u.strides,
        kernels=tuple(level.kernel for level in levels),
        batch_norm=False,
        dropout=u.bottom.dropout,
        release=rectified,
        wide_top=bool(u.out) and u.out[0].width == 2 * base,
        leak=levels[0].leak,
    )


def state_dict(u: U, config: NetworkConfig) -> dict[str, Floats]:
    """The weights by the names of `UNet`."""
    weights: dict[str, Floats] = {}

    def put(name: str, made: Convolution) -> None:
        weights[f"{name}.weight"], weights[f"{name}.bias"] = made.weight, made.bias

    def put_level(name: str, level: Level) -> None:
        put(f"{name}.0", level.first)
        put(f"{name}.2", level.second)  # 1 is the ReLU in between

    for k, level in enumerate(u.down):
        put_level(f"down.{k}", level)
    put_level("bottom", u.bottom)
    for k, (up, out, level) in enumerate(zip(u.up, u.out, u.down, strict=True)):
        width = 2 * level.width if config.release and k == 0 else level.width
        put(f"up.{k}", _widened(up.convolution, width))
        first = replace(out.first, weight=_joined(out.first.weight, up, level.width, width))
        put_level(f"out.{k}", replace(out, first=first))
    put("head", u.head)
    return weights


def _widened(up: Convolution, width: int) -> Convolution:
    """An up-convolution with more outputs, which are 0: networks made with the plugin have half as many."""
    missing = width - up.width
    weight = np.pad(up.weight, [(0, 0), (0, missing), *[(0, 0)] * len(up.kernel)])
    return replace(up, weight=weight, bias=np.pad(up.bias, (0, missing)))


def _joined(weight: Floats, up: Up, skip: int, width: int) -> Floats:
    """Weights after a concatenation, for the order [skip, up] of `UNet` and an `up` of this width."""
    count = up.convolution.width
    from_up = weight[:, :count] if up.first else weight[:, skip:]
    from_skip = weight[:, count:] if up.first else weight[:, :skip]
    padding = [(0, 0), (0, width - count), *[(0, 0)] * (weight.ndim - 2)]
    return np.concatenate([from_skip, np.pad(from_up, padding)], axis=1)


def _check_width(made: Convolution, *expected: int) -> None:
    if made.width not in expected:
        raise ModelFileError(
            f"{made.layer} has {made.width} outputs; expected {' or '.join(map(str, expected))}: widths "
            "double from level to level"
        )


def _check_leak(up: Up, leak: float | None) -> None:
    if up.leak != leak:
        follows = "no ReLU" if up.leak is None else f"a ReLU of slope {up.leak}"
        raise ModelFileError(f"{up.convolution.layer} is followed by {follows}, and others are not")
