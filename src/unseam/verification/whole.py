"""Labels of the whole image, cut in several ways: tiles of other sizes, and block by block through files."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from unseam.grid import BlockGrid
from unseam.instances import label_class_regions
from unseam.io.source import Source
from unseam.prediction import Model, Prepared
from unseam.prediction.region import whole_of
from unseam.streaming.job import ImageSpec
from unseam.streaming.run import NAMES, stream
from unseam.streaming.wanted import Reporter, Wanted
from unseam.verification.cuts import Cut, odd_tile, reference_tile
from unseam.verification.record import Evidence, LabelCheck
from unseam.verification.regions import OnWork
from unseam.verification.seams import find_seams

Labels = NDArray[np.int32]
Edges = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Way:
    """One way to cut the whole image.

    Attributes
    ----------
    kind : what it is called.
    tile : largest tile; with blocks, of the tiles in them.
    block : pixels per axis of a block, or None for the image in one piece.
    edges : where one tile or block ends and the next begins, along each axis.
    cost : pixels that the network is given, about.
    """

    kind: str
    tile: int
    block: int | None
    edges: Edges
    cost: int


@dataclass(frozen=True)
class How:
    """What else decides a prediction: `tta`, `rescale` and `zoom` as for `Model.predict`."""

    tta: str = "none"
    rescale: bool = True
    zoom: float | None = None


def ways_of(prepared: Prepared) -> tuple[Way, ...]:
    """Tiles of three sizes in one piece, the largest first, then blocks of two sizes."""
    region, ways = whole_of(prepared.image.shape), []
    sizes = [max(prepared.tile), max(reference_tile(prepared)), max(odd_tile(prepared))]
    for tile in dict.fromkeys(sizes):
        cut = Cut("whole", _each(tile, prepared), region)
        ways.append(
            Way(f"tiles of at most {tile}", tile, None, cut.edges(prepared), max(1, cut.cost(prepared)))
        )
    tile = max(reference_tile(prepared))
    for part in (2, 3):
        block = math.ceil(max(prepared.image.shape) / part)
        grid = max(prepared.geometry.grid)
        block = -(-block // grid) * grid
        blocks = BlockGrid(prepared.image.shape, tuple(min(block, n) for n in prepared.image.shape))
        edges = tuple(tuple(range(step, n, step)) for n, step in zip(blocks.shape, blocks.block, strict=True))
        ways.append(Way(f"blocks of {block}", tile, block, edges, ways[min(1, len(ways) - 1)].cost))
    return tuple({way.kind: way for way in ways}.values())


def check_whole(
    model: Model,
    image: ImageSpec,
    source: Source,
    ways: Sequence[Way],
    how: How,
    folder: Path,
    *,
    on_work: OnWork,
    on_way: Callable[[LabelCheck], None],
) -> tuple[tuple[LabelCheck, ...], Evidence | None]:
    """Compare the labels of each way, number for number, with those of the first.

    Parameters
    ----------
    model : Model
    image : ImageSpec
        What opens `source` again, for the blocks.
    source : Source
        It is read into memory as a whole.
    ways : sequence of Way
        From `ways_of`.
    how : How
    folder : Path
        For the results of blocks; a new one, which the caller removes.
    on_work, on_way : callable
        Told what is done.

    Returns
    -------
    tuple of LabelCheck
    Evidence or None
        Of the way in which most pixels differ; None where none does.
    """
    data = source.read(whole_of(source.shape))
    expected = _in_one_piece(model, data, source, ways[0], how, on_work)
    objects = label_class_regions(expected) if model.header.task == "semantic" else expected
    checks, worst, evidence = [], 0, None
    for way in ways[1:]:
        if way.block is None:
            found = _in_one_piece(model, data, source, way, how, on_work)
        else:
            found = _in_blocks(model, image, source.shape, way, how, folder, on_work)
        differs = found != expected
        count = int(differs.sum())
        of_semantic = objects is not expected
        numbers = objects[differs] if of_semantic else np.concatenate([expected[differs], found[differs]])
        # where an object is lost all later ones change their number, so ground tells better where it is
        ground = (found > 0) != (expected > 0)
        where = ground if ground.any() else differs
        check = LabelCheck(
            f"{way.kind} against {ways[0].kind}",
            count,
            differs.size,
            len(np.unique(numbers[numbers > 0])),
            int(max(objects.max(initial=0), 0 if of_semantic else found.max(initial=0))),
            find_seams(where.astype(np.float32), whole_of(source.shape), way.edges) if count else (),
        )
        if count > worst:
            worst = count
            evidence = _evidence(data, where, ways[0], way)
        checks.append(check)
        on_way(check)
    return tuple(checks), evidence


def _in_one_piece(
    model: Model, data: NDArray[Any], source: Source, way: Way, how: How, on_work: OnWork
) -> Labels:
    return model.predict(
        data,
        tile=way.tile,
        tta=how.tta,
        spacing=source.spacing,
        rescale=how.rescale,
        zoom=how.zoom,
        on_tile=lambda _, total: on_work(way.cost / total),
    ).labels


def _in_blocks(
    model: Model,
    image: ImageSpec,
    shape: tuple[int, ...],
    way: Way,
    how: How,
    folder: Path,
    on_work: OnWork,
) -> Labels:
    """The labels as a file of its own, block by block, holds them."""
    model_file = model.path or folder / "model"
    if model.path is None:  # a model without a file needs something to be told from others by
        model_file.write_text(repr(model.header))
    wanted = Wanted(
        folder / f"{way.block}.zarr",
        save=("labels",),
        tile=way.tile,
        tta=how.tta,
        rescale=how.rescale,
        zoom=how.zoom,
        block=way.block,
    )

    def step(name: str, _: float, total: int) -> None:
        if name.startswith(NAMES["predict"]):
            on_work(way.cost / total)

    stream(model, model_file, image, wanted, reporter=Reporter(step=step))
    return np.asarray(zarr.open_array(wanted.out / "0", mode="r")[:]).reshape(shape)


def _evidence(data: NDArray[Any], differs: NDArray[np.bool_], first: Way, way: Way) -> Evidence:
    return Evidence(
        data,
        differs.astype(np.float32),
        differs,
        whole_of(differs.shape),
        (first.edges, way.edges),
        (first.kind, way.kind),
    )


def _each(tile: int, prepared: Prepared) -> tuple[int, ...]:
    """A tile of one size as the same along each axis, not below the grid."""
    return tuple(max(tile, grid) for grid in prepared.geometry.grid)
