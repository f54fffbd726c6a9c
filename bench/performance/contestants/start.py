"""A command, or `unseam predict nuclei` of one image, in a process that starts anew for each run."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from bench.performance.serving import Run, serve
from numpy.typing import NDArray


def setup(arguments: dict[str, Any]) -> Run:
    """`command`: what the interpreter is given; or `size` of the image, and `warm`: in this process."""
    if "command" in arguments:
        return lambda: _started(arguments["command"])
    if arguments["warm"]:
        return _in_this_process(discs(arguments["size"]))
    from unseam.io.images import write_png

    folder = Path(tempfile.mkdtemp())
    write_png(folder / "discs.png", np.repeat(discs(arguments["size"])[..., None], 3, axis=2))
    names = ["nuclei", str(folder / "discs.png"), "--out", str(folder / "out"), "--overwrite"]
    return lambda: _started(["-m", "unseam", "predict", *names])


def discs(size: int) -> NDArray[np.uint8]:
    """A grey image of discs 24 pixels across, with noise. (size, size)"""
    y, x = np.mgrid[:size, :size]
    image = np.where(np.hypot((y - 20) % 40 - 20, (x - 20) % 40 - 20) < 12, 150.0, 20.0)
    noisy: NDArray[np.uint8] = np.random.default_rng(0).normal(image, 5).clip(0, 255).astype(np.uint8)
    return noisy


def _started(command: list[str]) -> dict[str, Any]:
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    return {"work": 1}


def _in_this_process(image: NDArray[np.uint8]) -> Run:
    import unseam

    model = unseam.load_model("nuclei")
    return lambda: {"work": 1, "objects": int(model.predict(image).labels.max())}


if __name__ == "__main__":
    serve(setup, packages=("torch", "numpy", "scipy", "cellpose", "nnunetv2", "monai"))
