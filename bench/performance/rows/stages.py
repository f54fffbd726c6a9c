"""Stages beside the network: border weight maps, and objects from probabilities."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from bench.performance.contest import Contestant
from bench.performance.record import Options, Row

ORDER = 4
TITLE = "Weight maps, and objects from probabilities"
INTRODUCTION = ""


def rows(options: Options) -> Iterator[Row]:
    """Weight maps, then objects by one threshold and by two."""
    image = {"size": 128, "cells": 8} if options.quick else {"size": 1024, "cells": 500}
    yield Row(
        "Border weight map, 1024x1024, 500 cells",
        [
            Contestant(name, sys.executable, "weight_map.py", {"local": local, **image}, note)
            for name, local, note in (
                ("unseam", True, "default"),
                ("one transform per cell", False, "SciPy's distance transform of the image for each cell"),
            )
        ],
        2,
        "Mpixel",
        1e6,
        "Border term of the paper, w0 10, sigma 5; the maps agree to 1e-5.",
    )
    image = {"size": 256, "cells": 40} if options.quick else {"size": 4096, "cells": 10_000}
    for how, ours, theirs in (
        (
            "one threshold",
            "`segment`: label, grow by 1, remove small, fill holes, number",
            "`binary_fill_holes`, `label`, `expand_labels`, `remove_small_objects`, `relabel_sequential`",
        ),
        (
            "two thresholds",
            "`segment`, grown by up to 8 above the lower one",
            "`label`, `watershed` above the lower one, `remove_small_objects`, `relabel_sequential`",
        ),
    ):
        yield Row(
            f"Objects by {how}, 4096x4096, 10,000 cells",
            [
                Contestant(name, sys.executable, "objects.py", {"way": f"{way}, {how}", **image}, note)
                for name, way, note in (
                    ("unseam", "unseam", ours),
                    ("SciPy and scikit-image", "scikit-image", theirs),
                )
            ],
            3,
            "Mpixel",
            1e6,
            "unseam fills the holes of each object; to fill those of the mask joins objects that have a gap "
            "between them. Of pixels where two objects meet, each gives some to the other one.",
        )
