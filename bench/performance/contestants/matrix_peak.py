"""Products of large square matrices: what the processor does at most, in a data type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from bench.performance.contestants.networks import DTYPES
from bench.performance.serving import Run, serve, threads
from torch import Tensor


def setup(arguments: dict[str, Any]) -> Run:
    """`dtype`: float32, bfloat16 or int8, which is summed in int32; `size`: rows and columns."""
    torch.set_num_threads(threads())
    size, dtype = arguments["size"], arguments["dtype"]
    generator = torch.Generator().manual_seed(0)
    product: Callable[[Tensor, Tensor], Tensor] = torch.matmul
    if dtype == "int8":
        a, b = (
            torch.randint(-127, 128, (size, size), dtype=torch.int8, generator=generator) for _ in range(2)
        )
        product = torch._int_mm
    else:
        a, b = (torch.randn(size, size, generator=generator).to(DTYPES[dtype]) for _ in range(2))

    @torch.inference_mode()
    def run() -> dict[str, Any]:
        product(a, b)
        return {"work": 2 * size**3}

    return run


if __name__ == "__main__":
    serve(setup, packages=("torch",))
