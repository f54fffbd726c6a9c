"""Draw docs/pictures/demo.png from the demo's output: python docs/make_pictures.py demo"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from unseam import border_weight_map, load_model, read_image, read_labels
from unseam.data.synthetic import synthetic_set
from unseam.draw import display, overlay
from unseam.instances import carve_gaps
from unseam.prediction import plan_image

CROP = 420


def main(folder: Path) -> None:
    """Training image, its weight map, and a part of a test image with the cells found and the tiles used."""
    sample = synthetic_set(1, shape=(256, 256), seed=0)[0]
    weights = border_weight_map(carve_gaps(sample.labels))
    image = read_image(folder / "test/images/synthetic_000.tif").data
    labels = read_labels(folder / "predictions/synthetic_000.tif").data[0]
    plan = plan_image(labels.shape, load_model(folder / "run").network, tile=256)

    figure = Figure(figsize=(12, 4.2), layout="constrained")
    axes = figure.subplots(1, 3)
    axes[0].imshow(display(sample.image))
    axes[0].set_title("an annotated image (synthetic)")
    axes[1].imshow(np.ma.masked_where(sample.labels > 0, weights), cmap="magma", vmin=0, vmax=10)
    axes[1].set_facecolor("0.35")
    axes[1].set_title("the weight of the gaps between its cells")
    axes[2].imshow(overlay(image, labels)[:CROP, :CROP])
    axes[2].set_title("a part of a larger image: tiles and cells")
    for position in range(plan.step[0], CROP, plan.step[0]):
        axes[2].axhline(position, color="white", lw=0.6, ls=(0, (6, 6)))
        axes[2].axvline(position, color="white", lw=0.6, ls=(0, (6, 6)))
    for ax in axes:
        ax.set_xticks([])
        ax.set_yticks([])
    out = Path(__file__).parent / "pictures/demo.png"
    out.parent.mkdir(exist_ok=True)
    figure.savefig(out, dpi=80)
    print(out)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo"))
