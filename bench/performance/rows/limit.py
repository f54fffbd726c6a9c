"""Share of the physical limit: operations a second beside those of matrix products; work done twice."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from bench.performance.contest import Contestant
from bench.performance.contestants.predict_unseam import model_of
from bench.performance.counting import computed_operations, needed_operations
from bench.performance.page import figure, row_page, spread
from bench.performance.record import Measured, Options, Record, Result, Row
from bench.performance.rows.prediction import NETWORKS

from unseam.prediction.tiles import plan_image

ORDER = 5
TITLE = "Share of the physical limit"
INTRODUCTION = """\
The peak is the fastest of all products of square matrices in PyTorch, in that data type (int8 is summed in
int32). *Useful* operations are those that an output pixel needs, each once, a multiplication and an addition
for each weight: counted, exact. unseam takes the data type by itself."""
PRODUCTS = ("float32", "bfloat16", "int8")
SIZES = (1024, 2048, 4096)
PREDICTED = (("paper", 512), ("default", 512), ("default", 2048))


def rows(options: Options) -> Iterator[Row]:
    """Matrix products, then predictions, as operations."""
    sizes = (64,) if options.quick else SIZES
    products = [
        Contestant(
            f"product {dtype} {size}", sys.executable, "matrix_peak.py", {"dtype": dtype, "size": size}
        )
        for dtype in PRODUCTS
        for size in sizes
    ]
    yield Row("Matrix products", products, 10, "GFLOP", 1e9)
    cases = [("default", 64)] if options.quick else PREDICTED
    yield Row("Predictions", [prediction(name, size) for name, size in cases], 5, "GFLOP", 1e9)


def prediction(name: str, size: int) -> Contestant:
    """unseam's, its work counted in useful operations."""
    network = NETWORKS[name]
    useful = needed_operations((size, size), base_width=network["base_width"], depth=network["depth"])
    arguments = {"network": network, "size": size, "work": useful}
    return Contestant(f"{name} network, {size}x{size}", sys.executable, "predict_unseam.py", arguments)


def facts(options: Options) -> dict[str, Any]:
    """What an 8192 x 8192 image takes in the tiles that are planned for it, over what it takes at least."""
    size = 256 if options.quick else 8192
    return {"size": size, "recomputation": {name: recomputation(name, size) for name in NETWORKS}}


def recomputation(name: str, size: int) -> dict[str, Any]:
    """Of one network: the tiles of `tile="auto"`, their operations, and the ratio."""
    network = NETWORKS[name]
    sizes = {"base_width": network["base_width"], "depth": network["depth"]}
    model = model_of(network).paced((size, size))
    plan = plan_image((size, size), model.network, tile="auto")
    computed = computed_operations(plan, **sizes)
    needed = needed_operations((size, size), **sizes)
    return {"tiles": len(plan), "tile_input": list(plan.tile_input), "ratio": computed / needed}


def page(record: Record) -> str:
    """Peaks, shares, and what is computed twice."""
    if len(record.rows) < 2:
        return "\n".join(map(row_page, record.rows))
    products, predictions = record.rows
    peaks = {dtype: peak(products, dtype) for dtype in PRODUCTS}
    lines = [
        "| | GFLOP/s | " + " | ".join(f"of {dtype}" for dtype in PRODUCTS) + " | median (quartiles), s |",
        "|---|---|---|---|---|---|",
        *(
            f"| matrix product, {dtype} | {figure(value) if value else 'not possible'} |{' |' * 4}"
            for dtype, value in peaks.items()
        ),
        *(share_line(one, peaks) for one in predictions.results),
    ]
    doubled = [
        f"- {name} network: {fact['ratio']:.3f} in {fact['tiles']} tiles of {fact['tile_input'][0]} pixels"
        for name, fact in record.facts["recomputation"].items()
    ]
    size = record.facts["size"]
    head = f"Operations computed over operations needed, each layer counted, {size}x{size} pixels:\n"
    parts = ["### Useful operations a second\n", *lines, "\n### Work done twice\n", head, *doubled]
    return "\n".join(parts) + "\n"


def share_line(one: Result, peaks: Mapping[str, float | None]) -> str:
    """The line of a prediction: its rate, and the share of each peak that this is."""
    name = f"unseam, {one.name}" + "".join(f", {value}" for value in one.said.values())
    if not one.seconds:
        return f"| {one.name} | | {' | ' * len(peaks)}{one.failure} |"
    rate = one.work / statistics.median(one.seconds) / 1e9
    shares = [f"{rate / value:.0%}" if value else "" for value in peaks.values()]
    return f"| {name} | {figure(rate)} | {' | '.join(shares)} | {spread(one.seconds)} |"


def peak(products: Measured, dtype: str) -> float | None:
    """Most operations a second, of any size and any round, in 1e9; None where no size ran."""
    rates = [
        one.work / min(one.seconds) / products.per_unit
        for one in products.results
        if one.arguments["dtype"] == dtype and one.seconds
    ]
    return max(rates, default=None)
