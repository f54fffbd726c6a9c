"""Where the time of `unseam predict nuclei IMAGE` goes, start included: python bench/start.py [IMAGE]

Prints the seconds of each step in a fresh process, then those of the whole command. Without an image one of
512 x 512 pixels with discs is made. Times depend on the machine and on what else it does.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from unseam.io.images import write_png

REPEATS = 3
STEPS = """
import sys, time
started = last = time.perf_counter()
def lap(name):
    global last
    now = time.perf_counter()
    print(f"{name:34} {now - last:6.2f} s")
    last = now
import torch; lap("import of PyTorch")
from unseam.prediction import load_model; lap("of prediction, SciPy with it")
import unseam.workflow.predicting; lap("of the rest")
model = load_model("nuclei"); lap("the model")
from unseam.io.images import read_image, write_png, write_tiff
from unseam.io.source import array_source
from unseam.prediction.region import compute_region, settle_region, whole_of
from unseam.decisions import to_labels
image = read_image(sys.argv[1]).data[:1]; lap("reading the image")
prepared = model.prepare(array_source(image)); lap("its intensities")
computed = compute_region(prepared, whole_of(image.shape[1:])); lap("the network")
probabilities = settle_region(prepared, computed); lap("what hangs on rounding")
labels = to_labels(probabilities, prepared.task, prepared.objects); lap("labels")
from unseam.prediction import Segmentation
result = Segmentation(labels, probabilities, None, image, "instances")
result.table().to_csv(sys.argv[2] + "/table.csv"); lap("the table")
from unseam.draw import overlay
write_png(sys.argv[2] + "/overlay.png", overlay(image, labels)); lap("the picture")
write_tiff(sys.argv[2] + "/labels.tif", labels, axes="YX")
write_tiff(sys.argv[2] + "/probabilities.tif", probabilities, axes="CYX"); lap("writing the rest")
print(f"{'all of it':34} {time.perf_counter() - started:6.2f} s")
"""


def discs(path: Path) -> Path:
    """An image of 512 x 512 pixels with discs of 24 pixels."""
    y, x = np.mgrid[:512, :512]
    image = np.where(np.hypot((y - 20) % 40 - 20, (x - 20) % 40 - 20) < 12, 150.0, 20.0)
    noisy = np.random.default_rng(0).normal(image, 5).clip(0, 255).astype(np.uint8)
    write_png(path, np.repeat(noisy[..., None], 3, axis=2))
    return path


def main() -> None:
    """Print the split, and the time of the command."""
    with tempfile.TemporaryDirectory() as folder:
        image = sys.argv[1] if len(sys.argv) > 1 else str(discs(Path(folder) / "discs.png"))
        subprocess.run([sys.executable, "-c", STEPS, image, folder], check=True)
        command = [sys.executable, "-m", "unseam", "predict", "nuclei", image, "--out", f"{folder}/out"]
        for _ in range(REPEATS):
            started = time.perf_counter()
            subprocess.run([*command, "--overwrite"], check=True, capture_output=True)
            print(f"{'unseam predict nuclei':34} {time.perf_counter() - started:6.2f} s")


if __name__ == "__main__":
    main()
