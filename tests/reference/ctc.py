"""The rules of a Cell Tracking Challenge result, checked line by line and pixel by pixel."""

from __future__ import annotations

import re
from pathlib import Path

import tifffile


def broken_rules(folder: Path) -> list[str]:
    """Every rule that a result folder breaks; "Naming and file content" at http://celltrackingchallenge.net."""
    broken = []
    names = sorted(path.name for path in folder.iterdir() if path.suffix == ".tif")
    if names != [f"mask{number:03}.tif" for number in range(len(names))]:
        broken.append("masks are numbered from 000 on, with three digits")
    where: dict[int, set[int]] = {}
    for frame, name in enumerate(names):
        image = tifffile.imread(folder / name)
        if image.dtype.name != "uint16":
            broken.append(f"{name} has 16 bits")
        for value in set(image.ravel().tolist()) - {0}:
            where.setdefault(value, set()).add(frame)
    tracks: dict[int, tuple[int, int, int]] = {}
    for line in (folder / "res_track.txt").read_text().splitlines():
        if not re.fullmatch(r"\d+ \d+ \d+ \d+", line):
            broken.append(f"a line has four numbers: {line}")
            continue
        label, begin, end, parent = map(int, line.split())
        if label in tracks:
            broken.append(f"track {label} has one line")
        tracks[label] = (begin, end, parent)
    for label, (begin, end, parent) in tracks.items():
        if begin > end or where.get(label) != set(range(begin, end + 1)):
            broken.append(f"track {label} is in frames {begin} to {end}")
        if parent and (parent not in tracks or tracks[parent][1] >= begin):
            broken.append(f"parent {parent} of {label} ends before")
    return [*broken, *(f"label {label} has a track" for label in where.keys() - tracks.keys())]
