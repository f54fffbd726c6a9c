"""Write the protocol of a real data set as a CSV file of pairs: image, labels, split.

    python bench/protocol.py dsb2018 --out runs/dsb2018.csv
    unseam train runs/dsb2018.csv --out runs/dsb2018 --minutes 10
    unseam predict runs/dsb2018 runs/dsb2018.csv --split test --out runs/dsb2018/test

The images are looked for in the folder UNSEAM_DATA, or ../shared/data beside the repository.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
Row = tuple[Path, Path, str]


def dsb2018(folder: Path) -> Iterator[Row]:
    """70 images to train, 30 to test, by the column split of its index."""
    with open(folder / "index.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield folder / f"images/{row['id']}.png", folder / f"labels/{row['id']}.tif", row["split"]


def dsb2018_all(folder: Path) -> Iterator[Row]:
    """All 100 images to train: for the model that comes with the package."""
    return ((image, labels, "train") for image, labels, _ in dsb2018(folder))


def dsb2018_he(folder: Path) -> Iterator[Row]:
    """The first nine of twelve stained images to train, the rest to test; no accuracy is claimed."""
    for number, image in enumerate(sorted((folder / "images").glob("*.png"))):
        yield image, folder / f"labels/{image.stem}.tif", "train" if number < 9 else "test"


def isbi2012(folder: Path) -> Iterator[Row]:
    """Slices 00 to 23 to train, 24 to 29 to test."""
    for number in range(30):
        name = f"{number:02}.png"
        yield folder / "images" / name, folder / "labels" / name, "train" if number < 24 else "test"


def hela(folder: Path, learn: str = "01") -> Iterator[Row]:
    """One sequence to train, the other to test; frame 067 of sequence 01, mostly unlabelled, is left out."""
    for sequence in ("01", "02"):
        for labels in sorted((folder / f"{sequence}_GT/SEG").glob("man_seg*.tif")):
            frame = labels.stem.removeprefix("man_seg")
            if (sequence, frame) != ("01", "067"):
                split = "train" if sequence == learn else "test"
                yield folder / f"{sequence}/t{frame}.tif", labels, split


def hela_reverse(folder: Path) -> Iterator[Row]:
    """Sequence 02 to train, 01 to test."""
    return hela(folder, learn="02")


SETS = {
    "dsb2018": ("dsb2018", dsb2018),
    "dsb2018_all": ("dsb2018", dsb2018_all),
    "dsb2018_he": ("dsb2018_he", dsb2018_he),
    "isbi2012": ("isbi2012", isbi2012),
    "hela": ("DIC-C2DH-HeLa", hela),
    "hela_reverse": ("DIC-C2DH-HeLa", hela_reverse),
}


def main() -> int:
    """Write the file; 2 if the data are absent."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=sorted(SETS))
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.csv")
    parser.add_argument("--split", choices=("train", "test"), help="only these rows")
    options = parser.parse_args()
    folder_name, rows = SETS[options.name]
    folder = Path(os.environ.get("UNSEAM_DATA", ROOT.parent / "shared" / "data")) / folder_name
    if not folder.is_dir():
        print(
            f"{folder} is not there; set UNSEAM_DATA to the folder that holds {folder_name}", file=sys.stderr
        )
        return 2
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with open(options.out, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "labels", "split"])
        kept = [row for row in rows(folder) if options.split in (None, row[2])]
        writer.writerows((image.resolve(), labels.resolve(), split) for image, labels, split in kept)
    print(f"{len(kept)} pairs: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
