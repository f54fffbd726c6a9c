"""Matching and partition scores of one image, by unseam, scikit-image or StarDist; see `WAYS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from bench.performance.contestants.cells import Labels, truth_and_prediction
from bench.performance.serving import Run, serve

Way = Callable[[Labels, Labels, Sequence[float]], dict[str, Any]]


def setup(arguments: dict[str, Any]) -> Run:
    """`way`, one of `WAYS`; `size` and `cells` of the image; `thresholds` of IoU."""
    truth, prediction = truth_and_prediction(arguments["size"], arguments["cells"])
    way = WAYS[arguments["way"]]

    def run() -> dict[str, Any]:
        return {"work": truth.size, **way(truth, prediction, arguments["thresholds"])}

    return run


def unseam_matching(truth: Labels, prediction: Labels, thresholds: Sequence[float]) -> dict[str, Any]:
    """Overlaps once, then a matching for each threshold."""
    from unseam.metrics.matching import average_precision, match_counts
    from unseam.metrics.overlap import overlaps

    overlap = overlaps(truth, prediction)
    return _mean([average_precision(match_counts(overlap, threshold)) for threshold in thresholds])


def unseam_partition(truth: Labels, prediction: Labels, _: Sequence[float]) -> dict[str, Any]:
    """Rand and information scores."""
    from unseam.metrics.overlap import overlaps
    from unseam.metrics.partition import partition_counts, rand_error, variation_of_information

    counts = partition_counts(overlaps(truth, prediction))
    return _partition(rand_error(counts), variation_of_information(counts))


def unseam_all(truth: Labels, prediction: Labels, _: Sequence[float]) -> dict[str, Any]:
    """Every measure there is, of which three are shown."""
    from unseam.metrics.scores import score

    scores = score(truth, prediction)
    parts = scores.partition
    return _mean([scores.counted.ap]) | _partition(parts.rand_error, parts.voi)


def skimage_matching(truth: Labels, prediction: Labels, thresholds: Sequence[float]) -> dict[str, Any]:
    """What one writes around `contingency_table`: from an IoU of one half on, no assignment is needed."""
    from skimage.metrics import contingency_table

    table = contingency_table(truth, prediction, sparse_type="array").tocoo()
    area_true, area_pred = np.asarray(table.sum(axis=1)).ravel(), np.asarray(table.sum(axis=0)).ravel()
    both = (table.row > 0) & (table.col > 0)
    row, column, shared = table.row[both], table.col[both], table.data[both]
    iou = shared / (area_true[row] + area_pred[column] - shared)
    objects = np.count_nonzero(area_true[1:]) + np.count_nonzero(area_pred[1:])
    tp = [np.count_nonzero(iou >= threshold) for threshold in thresholds]
    return _mean([one / (objects - one) for one in tp])


def skimage_partition(truth: Labels, prediction: Labels, _: Sequence[float]) -> dict[str, Any]:
    """The two functions, as they come."""
    from skimage.metrics import adapted_rand_error, variation_of_information

    error = adapted_rand_error(truth, prediction)[0]
    return _partition(error, variation_of_information(truth, prediction).sum())


def skimage_partition_one_table(truth: Labels, prediction: Labels, _: Sequence[float]) -> dict[str, Any]:
    """The same with one table for both, which looks at the true foreground alone."""
    from skimage.metrics import adapted_rand_error, contingency_table, variation_of_information

    table = contingency_table(truth, prediction, ignore_labels=(0,), sparse_type="array")
    error = adapted_rand_error(truth, prediction, table=table)[0]
    return _partition(error, variation_of_information(truth, prediction, table=table / table.sum()).sum())


def stardist_matching(truth: Labels, prediction: Labels, thresholds: Sequence[float]) -> dict[str, Any]:
    """Its `matching`, compiled by numba at its first call."""
    from stardist.matching import matching

    return _mean([one.accuracy for one in matching(truth, prediction, thresh=tuple(thresholds))])


def _mean(precisions: Sequence[float]) -> dict[str, Any]:
    return {"ap": round(float(sum(precisions) / len(precisions)), 6)}


def _partition(error: float, information: float) -> dict[str, Any]:
    return {"rand_error": round(float(error), 4), "voi": round(float(information), 4)}


WAYS: Mapping[str, Way] = {
    "unseam matching": unseam_matching,
    "unseam partition": unseam_partition,
    "unseam all": unseam_all,
    "scikit-image matching": skimage_matching,
    "scikit-image partition": skimage_partition,
    "scikit-image partition, one table": skimage_partition_one_table,
    "StarDist matching": stardist_matching,
}

if __name__ == "__main__":
    serve(setup, packages=("numpy", "scipy", "scikit-image", "stardist", "numba"))
