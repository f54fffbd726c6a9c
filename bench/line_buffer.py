"""A prediction that keeps rows instead of computing them again, beside the prediction in tiles.

``python bench/line_buffer.py`` prints, for each network, what tiles and bands of several sizes compute over
what is needed (exact), the processor time of one thread for a whole image, and how many times faster than the
first tile that is. It takes the least time of one tile or band, measured in turn, times their number; reading
and writing the image is left out.

A band is all columns of a strip and a few rows (in 3-D planes). A convolution has as input the last rows of
the band before and the new ones, so it gives as many rows as it gets; what the path below lags behind a skip,
the skip waits in a queue. All shapes are constant: one compiled graph does an image of any height. Rows are
kept for each convolution, or for both of a level at once ("two"), which copies less and computes a few rows
of the first one again::

    rows kept ┐
    new rows ─┴▶ level 0 ─┬────── queue ──────┬▶ level 0 ─▶ result, `lag` rows late
                          ▼ pool              ▲ up
              rows kept ──┴▶ level 1 ─ kept ──┘
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unseam.config import NetworkConfig
from unseam.engines import openvino as engine
from unseam.geometry import AxisGeometry
from unseam.io.source import array_source
from unseam.model.folded import Convolution, FoldedNetwork, crop_margins, fold
from unseam.model.unet import UNet
from unseam.tiling import plan_tiles, read_mirrored

Floats = NDArray[np.float32]
ROWS, END = 2, 2**31 - 1


@dataclass(frozen=True)
class Case:
    """A network, an image, and how it is cut: output pixels of tiles, (rows, output columns) of bands."""

    name: str
    width: int
    depth: int
    shape: tuple[int, ...]
    tiles: tuple[int, ...]
    bands: tuple[tuple[int, int], ...]


IN_2D = ((32, 1024), (64, 1024), (32, 2048))
IN_3D = ((16, 128), (32, 128), (8, 256), (16, 256))
CASES = (
    Case("width 16, depth 3", 16, 3, (2048, 2048), (512, 384, 1024), IN_2D),
    Case("width 32, depth 3", 32, 3, (2048, 2048), (512, 384, 1024), IN_2D),
    Case("paper: width 64, depth 4", 64, 4, (2048, 2048), (512, 384, 1024), IN_2D),
    Case("3-D, width 8, depth 2", 8, 2, (256,) * 3, (96, 64, 128, 256), IN_3D),
    Case("3-D, width 8, depth 3", 8, 3, (256,) * 3, (96, 64, 128), IN_3D),
)


@dataclass
class Kept:
    """What is remembered from band to band: OpenVINO's variables, and what is written into them."""

    ops: Any
    assigned: list[Any] = field(default_factory=list)

    def before(self, x: Any, rows: int, name: str) -> Any:
        """The last `rows` of the band before, then `x`."""
        both = self.ops.concat([self._read(x, rows, name), x], axis=ROWS)
        self._write(self._rows(both, -rows, END), name)
        return both

    def queue(self, x: Any, wait: int, rows: int, name: str) -> Any:
        """The first `rows` of what came `wait` rows ago, up to now; `x` goes in."""
        kept, band = self._read(x, wait, name), shape_of(x)[ROWS]
        if rows <= wait:  # all of them waited: nothing of x is copied twice
            left = [self._rows(kept, band, END)] if wait > band else []
            self._write(self.ops.concat([*left, x], axis=ROWS) if left else self._rows(x, -wait, END), name)
            return self._rows(kept, 0, rows)
        both = self.ops.concat([kept, x], axis=ROWS)
        self._write(self._rows(both, -wait, END), name)
        return self._rows(both, 0, rows)

    def _rows(self, x: Any, start: int, stop: int) -> Any:
        return self.ops.slice(x, [start], [stop], [1], [ROWS])

    def _read(self, x: Any, rows: int, name: str) -> Any:
        shape = shape_of(x)
        shape[ROWS] = rows
        return self.ops.read_value(self.ops.constant(np.zeros(shape, np.float32)), name)

    def _write(self, x: Any, name: str) -> None:
        self.assigned.append(self.ops.assign(x, name))


def shape_of(x: Any) -> list[int]:
    """Shape of a node or of an output of one."""
    return list(x.get_shape() if hasattr(x, "get_shape") else x.get_output_shape(0))


@dataclass(frozen=True)
class BandGraph:
    """An `openvino.Model` of a band, and how many rows its result lags behind what it is given."""

    model: Any
    lag: int


def band_graph(network: FoldedNetwork, band: int, columns: Sequence[int], *, each: bool) -> BandGraph:
    """The network for `band` rows, a multiple of the grid, and valid sizes of the other axes.

    Rows are kept for `each` convolution, or for a level's two at once.
    """
    openvino = engine.load_openvino()
    ops, axis = openvino.opset13, network.geometry.axes[0]
    assert isinstance(axis, AxisGeometry)
    image = ops.parameter([1, network.in_channels, band, *columns], np.float32, name="image")
    kept, depth = Kept(ops), len(network.strides)
    x, lag, skips = image, lead(axis), []
    for k, layers in enumerate((*network.down, network.bottom)):
        x = x if each else kept.before(x, taken(layers), f"down.{k}")
        x, lag = level(network, kept, layers, x, f"down.{k}", each), lag + taken(layers)
        if k < depth:
            skips.append((x, lag))
            x, lag = engine._pool(ops, x, network.strides[k], f"pool.{k}"), lag // network.strides[k][0]
    margins = crop_margins(network.geometry)
    for k in reversed(range(depth)):
        layers, step, (skip, ready) = network.out[k], network.strides[k][0], skips[k]
        more, lag = 0 if each else taken(layers), lag * step
        x = kept.before(x, more // step, f"up.{k}") if more else x
        x = engine._up(ops, network.up[k], x, network.strides[k], f"up.{k}")
        wait, rows = lag - ready - margins[k][0] + more, shape_of(skip)[ROWS] + more
        skip = engine._crop(ops, kept.queue(skip, wait, rows, f"skip.{k}"), (0, *margins[k][1:]), f"crop.{k}")
        x = level(network, kept, layers, ops.concat([skip, x], axis=1), f"out.{k}", each)
        lag += taken(layers)
    probabilities = ops.softmax(engine._convolution(ops, network.head, x, "head"), axis=1)
    return BandGraph(openvino.Model([ops.result(probabilities)], kept.assigned, [image], "band"), lag)


def level(
    network: FoldedNetwork, kept: Kept, layers: Sequence[Convolution], x: Any, name: str, each: bool
) -> Any:
    """The convolutions of a level; where `each` keeps its rows, with as many rows as `x` has."""
    for k, layer in enumerate(layers):
        if each:
            x = kept.before(x, taken([layer]), f"{name}.{k}")
        x = engine._convolution(kept.ops, layer, x, f"{name}.{k}")
        x = engine._activation(kept.ops, x, network.leak, f"{name}.{k}.relu")
    return x


def lead(axis: AxisGeometry) -> int:
    """Rows that are given before the first of the halo, so that the poolings meet whole rows."""
    return -axis.smallest_input % axis.grid


def taken(layers: Sequence[Convolution]) -> int:
    """Rows that convolutions take away: what is kept for them."""
    return sum(layer.weight.shape[ROWS] - 1 for layer in layers)


def products(model: Any) -> int:
    """Multiplications of all convolutions of a graph."""
    total = 0
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        if kind.startswith("Convolution"):
            weight = list(node.input(1).get_shape())
            each = weight[0] if kind == "ConvolutionBackpropData" else math.prod(weight[1:])
            total += each * math.prod(node.get_output_shape(0))
    return total


def compiled(model: Any, precision: str) -> Any:
    """A request of one thread."""
    settings = {
        "INFERENCE_PRECISION_HINT": engine.PRECISIONS[precision],
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": 1,
    }
    return engine.load_openvino().Core().compile_model(model, "CPU", settings).create_infer_request()


def in_bands(network: FoldedNetwork, image: Floats, band: int, precision: str, *, each: bool) -> Floats:
    """Probabilities of an image (C, *spatial), all its columns in one strip."""
    shape, halo, axis = image.shape[1:], network.geometry.halo, network.geometry.axes[0]
    assert isinstance(axis, AxisGeometry)
    columns = network.geometry.input_for(shape)[1:]
    graph = band_graph(network, band, columns, each=each)
    request, first = compiled(graph.model, precision), -halo[0] - lead(axis)
    source, parts = array_source(image), []
    for start in range(first, first + shape[0] + graph.lag, band):
        sides = [(-h, n - h) for h, n in zip(halo[1:], columns, strict=True)]
        rows = read_mirrored(source, ((start, start + band), *sides))
        request.infer([np.ascontiguousarray(rows)[None]])
        parts.append(request.get_output_tensor(0).data[0].copy())
    result = np.concatenate(parts, axis=1)[:, graph.lag :]
    return np.ascontiguousarray(result[(slice(None), *(slice(n) for n in shape))])


@dataclass
class Way:
    """One way to cut an image: how many multiplications, runs, and seconds of a run it takes."""

    name: str
    model: Any
    runs: int
    seconds: list[float] = field(default_factory=list)


def ways(network: FoldedNetwork, case: Case) -> list[Way]:
    """The tiles and bands of a case."""
    found = []
    for tile in case.tiles:
        plan = plan_tiles(case.shape, network.geometry, tile)
        size = "x".join(map(str, plan.step))
        found.append(Way(f"tiles of {size}", engine.graph(network, plan.tile_input), len(plan)))
    for (band, columns), each in product(case.bands, (True, False)):
        plan = plan_tiles(case.shape, network.geometry, columns)
        graph = band_graph(network, band, plan.tile_input[1:], each=each)
        strips = math.prod(math.ceil(n / s) for n, s in zip(case.shape[1:], plan.step[1:], strict=True))
        size = "x".join(map(str, (band, *plan.step[1:])))
        runs = math.ceil((case.shape[0] + graph.lag) / band) * strips
        found.append(Way(f"bands of {size}, {'each' if each else 'two'}", graph.model, runs))
    return found


def measure(found: Sequence[Way], precision: str, rounds: int) -> None:
    """Time one run of each way in turn, on noise; the first round is thrown away."""
    requests = [compiled(way.model, precision) for way in found]
    for request in requests:
        given = request.get_input_tensor(0).data
        given[:] = np.random.default_rng(0).normal(size=given.shape)
    for _ in range(rounds + 1):
        for way, request in zip(found, requests, strict=True):
            way.seconds.append(processor_time(request.infer))
    for way in found:
        del way.seconds[0]


def processor_time(run: Callable[[], Any]) -> float:
    """Seconds of all threads of this process."""
    start = time.process_time()
    run()
    return time.process_time() - start


def drawn(case: Case) -> FoldedNetwork:
    """A network with weights drawn as the paper does, seed 0."""
    net = UNet(
        spatial_dims=len(case.shape),
        base_width=case.width,
        depth=case.depth,
        generator=torch.Generator().manual_seed(0),
    )
    config = NetworkConfig(1, 2, len(case.shape), case.width, case.depth, batch_norm=False)
    return fold(config, {name: value.numpy() for name, value in net.state_dict().items()})


def differ(network: FoldedNetwork, precision: str) -> float:
    """Largest difference between images in bands and the same in one tile.

    One image of several bands of two heights, and one that is lower than a band.
    """
    grid, dims, largest = network.geometry.grid[0], network.spatial_dims, 0.0
    for size, band in ((250, 2 * grid), (250, 3 * grid), (5, grid)):
        shape = (size if dims == 2 else min(size, 50), *(250 if dims == 2 else 50,) * (dims - 1))
        image = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
        whole = in_one_tile(network, image, precision)
        for each in (True, False):
            parts = in_bands(network, image, band, precision, each=each)
            largest = max(largest, float(np.abs(parts - whole).max()))
    return largest


def in_one_tile(network: FoldedNetwork, image: Floats, precision: str) -> Floats:
    """Probabilities of an image (C, *spatial)."""
    tile, halo = network.geometry.input_for(image.shape[1:]), network.geometry.halo
    run = engine.compile_tile(network, tile, precision=precision, threads=1)
    read = [(-h, n - h) for h, n in zip(halo, tile, strict=True)]
    whole = run(read_mirrored(array_source(image), read))
    return np.ascontiguousarray(whole[(slice(None), *(slice(n) for n in image.shape[1:]))])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5, help="runs of each tile and band (default 5)")
    parser.add_argument("--precision", choices=list(engine.PRECISIONS), default="bfloat16")
    parser.add_argument("--only", default="", help="the networks whose name holds this word")
    options = parser.parse_args()
    for case in (case for case in CASES if options.only in case.name):
        network = drawn(case)
        found = ways(network, case)
        measure(found, options.precision, options.rounds)
        needed = products(engine.graph(network, network.geometry.input_for(case.shape)))
        size, apart = "x".join(map(str, case.shape)), differ(network, options.precision)
        print(f"{case.name}, {size}, {options.precision}; bands and a tile differ by at most {apart:.1e}")
        first = found[0].runs * min(found[0].seconds)
        for way in found:
            total = way.runs * min(way.seconds)
            computed = way.runs * products(way.model) / needed
            print(
                f"  {way.name:27} {computed:6.3f} of the needed, {total:7.2f} s, {first / total:5.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
