"""Calibrate: a model made ready for int8 on the user's images, and what that costs and gains there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unseam.decisions import to_labels
from unseam.engines.bits import with_rule
from unseam.engines.calibrating import calibrate
from unseam.engines.network import EngineNetwork
from unseam.errors import InputError
from unseam.io.atomic import refuse_existing
from unseam.io.images import list_images, read_image, stem
from unseam.io.source import Source, array_source
from unseam.metrics.classes import class_counts, dice_classes, pool_classes
from unseam.metrics.overlap import overlaps
from unseam.metrics.scores import pool, score
from unseam.model.calibration import Calibration
from unseam.model.checkpoint import save_model
from unseam.prediction import Model, load_model, predict_region
from unseam.prediction.region import Prepared, whole_of
from unseam.processor import multiplies_bfloat16, threads_wanted
from unseam.tiling import read_mirrored
from unseam.workflow.listener import Countdown, Listener, printing

MOST_TILES = 32
"""Tiles that are calibrated on, evenly chosen from all images that are learned from."""
MOST_SCORED = 16
"""Images on which int8 is compared with float32, evenly chosen."""
ROUNDS = 5
"""Times that a tile is computed in each precision, in turn."""
WANTED_DICE = 0.995
"""Below it int8 is called costly."""


@dataclass(frozen=True)
class Cost:
    """What int8 changes in the labels of some images.

    Attributes
    ----------
    images : how many.
    were_learned : whether they are the ones that were calibrated on, for want of others.
    dice : of the foreground of both labels; of classes, the mean over the classes.
    differing : share of pixels whose label is background in one alone, or of another class.
    ap50 : of the objects of both; None of classes.
    """

    images: int
    were_learned: bool
    dice: float
    differing: float
    ap50: float | None


@dataclass(frozen=True)
class Calibrated:
    """A calibrated model, and what int8 costs and gains.

    Attributes
    ----------
    path : of its file.
    calibration : what it was calibrated on, and what came of it.
    cost : in the labels.
    tile : input of the tile that was timed, pixels per axis.
    seconds : that it takes, the quickest of a few times, by precision.
    """

    path: Path
    calibration: Calibration
    cost: Cost
    tile: tuple[int, ...]
    seconds: dict[str, float]


@dataclass(frozen=True)
class _Picture:
    """An image, and what the model in float32 makes ready of it."""

    name: str
    source: Source
    zoom: float | None
    prepared: Prepared


def calibrate_model(
    model: str | Path,
    images: Sequence[str | Path],
    out: str | Path,
    *,
    axes: str | None = None,
    pixel_size: float | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> Calibrated:
    """Write a copy of a model that predicts in int8 too, and compare that with float32.

    Every third image is kept for the comparison; of one image both are done.

    Parameters
    ----------
    model : str or Path
        As `unseam.load_model` takes it.
    images : sequence of paths
        Files and folders of images like those that will be segmented; a handful suffices.
    out : str or Path
        The new model, a name in .safetensors.
    axes, pixel_size
        Of files that do not state them.
    overwrite : bool
        Whether `out` may be replaced.
    listener : Listener, optional

    Raises
    ------
    MissingExtraError
        If OpenVINO is not installed.
    InputError
        If `out` has another ending, or the model is another program's.
    UnseamError
        If the model or an image cannot be read, or they do not fit.
    OutputExistsError, OutputError
        If `out` is there and `overwrite` is false, or it cannot be written.
    """
    from safetensors.torch import load_file

    listener, out = listener or printing(), Path(out)
    if out.suffix != ".safetensors":
        raise InputError(f"the new model would be {out}; give a name that ends in .safetensors")
    refuse_existing(out, overwrite=overwrite)
    exact = load_model(model, device="cpu", engine="openvino", precision="float32")
    network, stored = exact.own, exact.path
    assert stored is not None
    pictures = list(_pictures(exact, _files(images), axes, pixel_size, listener))
    learned, scored = _divided(pictures)
    tiles = list(_tiles(exact, learned))
    listener.say(f"calibrating on {_counted(len(tiles), 'tile')} of {_counted(len(learned), 'image')}")
    names = tuple(dict.fromkeys(picture.name for picture in learned))
    calibration = calibrate(network.folded, tiles, images=names, threads=network.threads)
    rounded = EngineNetwork(
        replace(network.folded, calibration=calibration), network.engine, "int8", threads=threads_wanted()
    )
    in_int8 = replace(exact, network=with_rule(rounded))
    cost = _cost(exact, in_int8, scored, listener, were_learned=scored is learned)
    seconds = _seconds(rounded, tiles[0])
    header = replace(exact.header, calibration=calibration)
    save_model(out, load_file(stored), header, overwrite=overwrite)
    return Calibrated(out, calibration, cost, tiles[0].shape[1:], seconds)


def in_words(calibrated: Calibrated) -> list[str]:
    """What came of it, a line each."""
    cost = calibrated.cost
    which = "the same image" if cost.were_learned else _counted(cost.images, "other image")
    lines = [
        f"against float32, on {which}: Dice {cost.dice:.4f}, "
        f"{cost.differing:.3%} of the pixels differ"
        + ("" if cost.ap50 is None else f", AP50 of the objects {cost.ap50:.4f}")
    ]
    if cost.were_learned:
        lines.append("give several images, and some of them are kept for this comparison")
    int8 = calibrated.seconds["int8"]
    others = ", ".join(
        f"{seconds / int8:.1f} times faster than {name}"
        for name, seconds in calibrated.seconds.items()
        if name != "int8"
    )
    size = " x ".join(map(str, calibrated.tile))
    lines.append(f"a tile of {size} pixels takes {int8:.3g} s: {others}")
    if cost.dice < WANTED_DICE:
        lines.append(
            f"int8 changes the labels of these images by more than a Dice of {WANTED_DICE}: look at them, or "
            "leave --precision as it is"
        )
    return [*lines, f"{calibrated.path}: to be used with --precision int8"]


def _files(given: Sequence[str | Path]) -> list[Path]:
    return list(dict.fromkeys(path for one in given for path in list_images(one)))


def _pictures(
    model: Model, paths: Sequence[Path], axes: str | None, pixel_size: float | None, listener: Listener
) -> Iterator[_Picture]:
    countdown = Countdown(listener, "reading images", len(paths))
    for done, path in enumerate(paths, start=1):
        for frame in read_image(path, axes=axes).frames():
            spacing = frame.spacing or ((pixel_size,) * frame.spatial_dims if pixel_size else None)
            source = array_source(frame.data, spacing=spacing)
            zoom = model.sized(source).zoom
            yield _Picture(stem(path), source, zoom, model.prepare(source, zoom=zoom))
        countdown.done(done)


def _divided(pictures: list[_Picture]) -> tuple[list[_Picture], list[_Picture]]:
    """Those that are calibrated on, and those that are compared: every third, or the only one."""
    scored = pictures[1::3]
    if not scored:
        return pictures, pictures
    learned = [picture for k, picture in enumerate(pictures) if k % 3 != 1]
    return learned, [scored[k] for k in _evenly(len(scored), MOST_SCORED)]


def _tiles(model: Model, pictures: Sequence[_Picture]) -> Iterator[NDArray[np.float32]]:
    """Tiles of one size, evenly chosen from all those of the images."""
    step = np.max([picture.prepared.tile for picture in pictures], axis=0)
    size = model.network.geometry.input_for(step)
    places = []
    for picture in pictures:
        shape = picture.prepared.resized.shape
        starts = np.indices([-(-n // s) for n, s in zip(shape, step, strict=True)]).reshape(len(shape), -1).T
        places += [(picture, start * step) for start in starts]
    halo = model.network.geometry.halo
    for k in _evenly(len(places), MOST_TILES):
        picture, start = places[k]
        low = [int(a) - h for a, h in zip(start, halo, strict=True)]
        region = tuple((a, a + n) for a, n in zip(low, size, strict=True))
        yield np.ascontiguousarray(read_mirrored(picture.prepared.resized, region), np.float32)


def _evenly(count: int, most: int) -> list[int]:
    """At most so many of 0 ... count - 1, evenly chosen."""
    return sorted({round(float(k)) for k in np.linspace(0, count - 1, min(count, most))})


def _cost(
    exact: Model, in_int8: Model, pictures: Sequence[_Picture], listener: Listener, *, were_learned: bool
) -> Cost:
    """What the labels of both differ in."""
    countdown = Countdown(listener, "comparing with float32", len(pictures))
    scores, counts, differing, pixels = [], [], 0, 0
    semantic = exact.header.task != "instances"
    for done, picture in enumerate(pictures, start=1):
        labels = _labels(picture.prepared)
        others = _labels(in_int8.prepare(picture.source, zoom=picture.zoom))
        differing += int(((labels != others) if semantic else ((labels > 0) != (others > 0))).sum())
        pixels += labels.size
        if semantic:
            counts.append(class_counts(overlaps(labels, others), exact.network.classes))
        else:
            scores.append(score(labels, others))
        countdown.done(done)
    share = differing / pixels
    if semantic:
        return Cost(len(pictures), were_learned, dice_classes(pool_classes(counts)), share, None)
    found = pool(scores).counted
    return Cost(len(pictures), were_learned, found.dice, share, found.ap50)


def _labels(prepared: Prepared) -> NDArray[np.int32]:
    probabilities = predict_region(prepared, whole_of(prepared.image.shape))
    return to_labels(probabilities, prepared.task, prepared.objects)


def _seconds(network: EngineNetwork, tile: NDArray[np.float32]) -> dict[str, float]:
    """The quickest time of a tile in each precision, computed in turn."""
    precisions = ["int8", *(["bfloat16"] if multiplies_bfloat16() else []), "float32"]
    runs = {name: replace(network, precision=name).probabilities for name in precisions}
    for run in runs.values():
        run(tile)  # compiles
    taken = [{name: _timed(run, tile) for name, run in runs.items()} for _ in range(ROUNDS)]
    return {name: min(times[name] for times in taken) for name in precisions}


def _timed(run: Callable[[NDArray[np.float32]], object], tile: NDArray[np.float32]) -> float:
    began = time.perf_counter()
    run(tile)
    return time.perf_counter() - began


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
