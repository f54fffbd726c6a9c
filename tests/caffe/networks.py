"""Networks of the authors' kind with drawn weights, as the specs that files are written of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from tests.reference import caffe as reference
from tests.reference.caffe import Spec

from unseam.geometry import Geometry

Size = tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """What a network is like; by default the authors' release, but small.

    `crop` is "centre" (a crop that states no offset), "stated" (one that does) or "none" (the concatenation
    takes the centre). `before` are layers ahead of it, from "data" on.
    """

    width: int = 2
    channels: int = 1
    classes: int = 2
    kernels: tuple[Size, ...] = ((3, 3), (3, 3))
    strides: tuple[Size, ...] = ((2, 2),)
    relu_up: bool = True
    last_up: int = 2
    top: int = 1
    leak: float = 0.0
    group: int = 1
    up_first: bool = True
    crop: str = "centre"
    batch_norm: bool = False
    before: tuple[Spec, ...] = ()
    seed: int | None = 0


def u_net(plan: Plan) -> list[Spec]:
    """The layers of a network."""
    specs = _Builder(plan).specs
    return with_offsets(specs, plan) if plan.crop == "stated" else specs


def with_offsets(specs: list[Spec], plan: Plan) -> list[Spec]:
    """The layers with the offset of each crop stated: half of what the maps differ by, when they are run."""
    made = reference.run(specs, np.zeros((plan.channels, *size_for(plan))))
    stated = []
    for spec in specs:
        if spec.type == "Crop":
            large, small = (made[name].shape[1:] for name in spec.bottoms)
            offset = [(n - m) // 2 for n, m in zip(large, small, strict=True)]
            spec = replace(spec, fields={"offset": offset})
        stated.append(spec)
    return stated


def size_for(plan: Plan) -> Size:
    """A size that the network takes, not the same along all axes."""
    geometry = Geometry.from_levels(plan.kernels, plan.strides)
    sizes = zip(geometry.smallest_input, geometry.grid, strict=True)
    return tuple(size + k * grid for k, (size, grid) in enumerate(sizes, start=1))


@dataclass
class _Builder:
    plan: Plan
    specs: list[Spec] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = None if self.plan.seed is None else np.random.default_rng(self.plan.seed)
        plan, depth = self.plan, len(self.plan.strides)
        widths = [plan.width * 2**k for k in range(depth + 1)]
        self.specs += plan.before
        latest = plan.before[-1].tops[0] if plan.before else "data"
        for k, width in enumerate(widths):
            latest = self.level(f"d{k}", latest, (plan.channels, *widths)[k], width, plan.kernels[k])
            if k >= depth - 1:
                share = {"dropout_ratio": 0.5}
                self.specs.append(Spec(f"drop_{k}", "Dropout", (latest,), (latest,), share, training=True))
            if k < depth:
                stride = list(plan.strides[k])
                fields = {"pool": "MAX", "kernel_size": stride, "stride": stride}
                self.specs.append(Spec(f"pool_{k}", "Pooling", (latest,), (f"d{k + 1}a",), fields))
                latest = f"d{k + 1}a"
        below = widths[-1]
        for k in reversed(range(depth)):
            up, out = widths[k] * (1 if k else plan.last_up), widths[k] * (1 if k else plan.top)
            self.up(k, latest, below, up)
            latest = self.level(f"u{k}", f"u{k}b", widths[k] + up, out, plan.kernels[k])
            below = out
        self.convolution("conv_score", latest, "score", (below, plan.classes), (1,) * len(plan.kernels[0]))

    def level(self, name: str, bottom: str, inputs: int, outputs: int, kernel: Size) -> str:
        for letter in "bc":
            made = f"{name}{letter}"
            self.convolution(f"conv_{made}", bottom, made, (inputs, outputs), kernel)
            if self.plan.batch_norm:
                self.batch_norm(made, outputs)
            self.relu(made)
            bottom, inputs = made, outputs
        return bottom

    def up(self, k: int, bottom: str, inputs: int, outputs: int) -> None:
        made, skip, stride = f"u{k}a", f"d{k}c", self.plan.strides[k]
        group = self.plan.group if outputs % self.plan.group == 0 else 1
        blobs = (self.draw(inputs, outputs // group, *stride), self.draw(outputs))
        fields = {"num_output": outputs, "kernel_size": list(stride), "stride": list(stride), "group": group}
        self.specs.append(Spec(f"up_{k}", "Deconvolution", (bottom,), (made,), fields, blobs))
        if self.plan.relu_up:
            self.relu(made)
        if self.plan.crop != "none":
            self.specs.append(Spec(f"crop_{k}", "Crop", (skip, made), (f"d{k}cc",)))
            skip = f"d{k}cc"
        joined = (made, skip) if self.plan.up_first else (skip, made)
        self.specs.append(Spec(f"concat_{k}", "Concat", joined, (f"u{k}b",)))

    def convolution(self, name: str, bottom: str, top: str, widths: tuple[int, int], kernel: Size) -> None:
        inputs, outputs = widths
        group = 1 if inputs % self.plan.group or outputs % self.plan.group else self.plan.group
        size = kernel[0] if len(set(kernel)) == 1 else list(kernel)
        blobs = (self.draw(outputs, inputs // group, *kernel), self.draw(outputs))
        fields = {"num_output": outputs, "pad": 0, "kernel_size": size, "group": group}
        self.specs.append(Spec(name, "Convolution", (bottom,), (top,), fields, blobs))

    def batch_norm(self, made: str, width: int) -> None:
        sums = (self.draw(width), np.abs(self.draw(width)) + 1, np.array([4.0], np.float32))
        self.specs.append(Spec(f"bn_{made}", "BatchNorm", (made,), (made,), {"eps": 1e-3}, sums))
        factors = (self.draw(width), self.draw(width))
        self.specs.append(Spec(f"scale_{made}", "Scale", (made,), (made,), {}, factors))

    def relu(self, made: str) -> None:
        fields = {"negative_slope": self.plan.leak} if self.plan.leak else {}
        self.specs.append(Spec(f"relu_{made}", "ReLU", (made,), (made,), fields))

    def draw(self, *shape: int) -> NDArray[np.float32]:
        """Weights; zeros without a seed, for networks of full size."""
        if self.random is None:
            return np.zeros(shape, np.float32)
        return self.random.normal(0, 0.5, shape).astype(np.float32)
