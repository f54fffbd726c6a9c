"""Metrics of one image: matching of objects, Rand and information scores."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from bench.performance.contest import Contestant, peer
from bench.performance.record import Options, Row

ORDER = 6
TITLE = "Metrics"
INTRODUCTION = """\
A crowded image of 4096 x 4096 pixels with 10,000 true objects and a prediction of them. The *first* run of
StarDist holds what numba compiles; one that takes longer than 20 s is not repeated."""
HALF = (0.5,)
THRESHOLDS = tuple(k / 100 for k in range(50, 100, 5))


def rows(options: Options) -> Iterator[Row]:
    """Matching at one threshold and at ten, then partitions."""
    size, cells = (256, 40) if options.quick else (4096, 10_000)
    stardist = peer("stardist")

    def one(
        name: str, way: str, note: str, *, python: str = sys.executable, thresholds: tuple[float, ...] = HALF
    ) -> Contestant:
        arguments = {"way": way, "size": size, "cells": cells, "thresholds": list(thresholds)}
        return Contestant(name, python, "metrics.py", arguments, note)

    sparse = "`contingency_table`, then six lines of NumPy"
    yield Row(
        "Objects matched at IoU 0.5",
        [
            one("unseam", "unseam matching", "default"),
            one("scikit-image", "scikit-image matching", sparse, python=stardist),
            one("StarDist", "StarDist matching", "default", python=stardist),
        ],
        5,
        "Mpixel",
        1e6,
    )
    ten = {"thresholds": THRESHOLDS}
    yield Row(
        "Average precision over ten thresholds",
        [
            one("unseam", "unseam matching", "default", **ten),
            one("unseam, every measure there is", "unseam all", "default", **ten),
            one("scikit-image", "scikit-image matching", sparse, python=stardist, **ten),
            one("StarDist", "StarDist matching", "its thresholds in one call", python=stardist, **ten),
        ],
        5,
        "Mpixel",
        1e6,
        "At each threshold unseam and StarDist look for the best assignment; from 0.5 on there is no choice.",
        patience=20,
    )
    both = "`adapted_rand_error` and `variation_of_information`"
    yield Row(
        "Rand and information scores",
        [
            one("unseam", "unseam partition", "default"),
            one("scikit-image", "scikit-image partition", f"{both}, default", python=stardist),
            one(
                "scikit-image, one table",
                "scikit-image partition, one table",
                f"{both} of one `contingency_table`",
                python=stardist,
            ),
        ],
        5,
        "Mpixel",
        1e6,
        "Of true objects, what is predicted as background is one segment to scikit-image, and to unseam "
        "segments of one pixel each, as in the challenges of the field; and scikit-image's information, by "
        "default, is that of the background too: three ways to count, and three results.",
    )
