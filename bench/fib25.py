"""Cut the FIB-25 volume by its protocol: z < 170 to train, z >= 190 to test.

python bench/fib25.py --out runs/fib25
unseam train runs/fib25/train/images runs/fib25/train/labels --out runs/fib25/run --minutes 2
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from unseam import read_image, read_labels
from unseam.io.images import write_tiff

ROOT = Path(__file__).resolve().parents[1]
SPACING = (0.01, 0.01, 0.01)
PARTS = {"train": slice(0, 170), "test": slice(190, 250)}


def main() -> int:
    """Write the four files; 2 if the data are absent."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    options = parser.parse_args()
    folder = Path(os.environ.get("UNSEAM_DATA", ROOT.parent / "shared" / "data")) / "fib25_medulla"
    if not folder.is_dir():
        print(f"{folder} is not there; set UNSEAM_DATA to the folder that holds it", file=sys.stderr)
        return 2
    image = read_image(folder / "images/training_sample2.tif").data[0]
    labels = read_labels(folder / "labels/training_sample2.tif").data[0]
    for part, planes in PARTS.items():
        for kind, array in (("images", image), ("labels", labels)):
            path = options.out / part / kind / f"{part}.tif"
            write_tiff(path, array[planes], axes="ZYX", spacing=SPACING, overwrite=True)
            print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
