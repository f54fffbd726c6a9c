"""Probabilities and decisions of regions, each computed in several cuts and compared pixel by pixel."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from unseam.axes import times
from unseam.config import ObjectConfig
from unseam.decisions import to_classes, to_masks
from unseam.engines.combined import members_of, together
from unseam.engines.known import torch_on
from unseam.engines.network import EngineNetwork
from unseam.grid import slices
from unseam.prediction import Model, Prepared, symmetries, tile_function
from unseam.prediction.region import Probabilities, compute_region, settle_region
from unseam.tiling import TileFunction
from unseam.verification.cuts import Cut, common_pixels
from unseam.verification.record import TOLERANCE, CutCheck, Evidence
from unseam.verification.seams import find_seams

OnWork = Callable[[float], None]
"""Takes how many more pixels the network has been given."""
DOUBLE_COST = 6
"""About how many times longer a network takes in double precision."""
ROUNDING_ALONE = 1e-4
"""What passes for rounding in a network that computes in float32 alone, where it is known that nothing beyond
the halo has a part in the result."""


@dataclass(frozen=True, eq=False)
class _Result:
    """A region in one cut: probabilities as the network gave them, and settled."""

    raw: Probabilities
    settled: Probabilities


@dataclass(frozen=True, eq=False)
class _Pair:
    """Two cuts of a region and how they compare."""

    reference: Cut
    cut: Cut
    check: CutCheck


@dataclass(frozen=True, eq=False)
class Checked:
    """What came of all regions: the comparisons, and the worst of them to be drawn."""

    cuts: tuple[CutCheck, ...]
    evidence: Evidence


def check_regions(
    prepared: Prepared,
    double: TileFunction | None,
    regions: Sequence[Sequence[Cut]],
    *,
    on_work: OnWork,
    on_region: Callable[[int, Sequence[CutCheck]], None],
) -> Checked:
    """Compute each region in each of its cuts, and compare with the first.

    Parameters
    ----------
    prepared : Prepared
        The model, ready for the image.
    double : callable
        The same network in double precision, from `double_function`; None where it has none.
    regions : sequence of sequence of Cut
        The cuts of each region, from `cuts_of`; two or more.
    on_work, on_region : callable
        Told what is done; the latter takes the number of the region and its comparisons.

    Notes
    -----
    In float32 two cuts differ in the last digits, by about `unseam.decisions.ROUNDING` where activations are
    small and by more where they are large. What differs by more than `TOLERANCE` is computed in double
    precision, and so is the pair that differs the most: rounding vanishes there, a seam stays.
    """
    pairs: list[_Pair] = []
    worst: tuple[_Pair, NDArray[np.float32], NDArray[np.bool_]] | None = None
    for number, (reference, *others) in enumerate(regions):
        expected, of_region = _result(prepared, reference, on_work), []
        for cut in others:
            found = _result(prepared, cut, on_work)
            pair, difference, differs = _compare(prepared, reference, expected, cut, found)
            of_region.append(pair)
            if worst is None or pair.check.severity > worst[0].check.severity:
                worst = pair, difference, differs
        pairs += of_region
        on_region(number, [pair.check for pair in of_region])
    assert worst is not None
    if double is None:
        allowed = ROUNDING_ALONE if prepared.is_local else TOLERANCE
        checks = tuple(replace(pair.check, allowed=allowed) for pair in pairs)
    else:
        checks = _in_double(replace(prepared, function=double), pairs, on_work)
    return Checked(checks, _evidence(prepared, *worst))


def double_function(model: Model, tta: str) -> TileFunction | None:
    """The network of a model in double precision, as a function of a tile; None outside PyTorch."""
    own = members_of(model.network)
    if not own:
        return None
    double = together([_in_double_precision(network, model.device) for network in own])
    return tile_function(double, symmetries(double.spatial_dims, tta))


def _in_double_precision(network: EngineNetwork, device: str) -> EngineNetwork:
    engine = network.engine if "float64" in network.engine.precisions else torch_on(device)
    return replace(network, engine=engine, precision="float64")


def decisions_of(
    probabilities: Probabilities, task: str, objects: ObjectConfig
) -> NDArray[np.bool_ | np.int32]:
    """What labels are made of, (decisions, *region): classes, or the masks of cores, growth and parts."""
    if task == "semantic":
        return to_classes(probabilities)[None]
    masks = to_masks(probabilities, objects)
    return np.stack([mask for mask in (masks.core, masks.growable, masks.part) if mask is not None])


def _result(prepared: Prepared, cut: Cut, on_work: OnWork) -> _Result:
    plan, _ = cut.plan(prepared)
    each = math.prod(plan.tile_input)
    computed = compute_region(
        cut.prepared(prepared), cut.region, before=cut.before, on_tile=lambda *_: on_work(each)
    )
    raw = computed.probabilities.copy()
    return _Result(raw, settle_region(prepared, computed))


def _compare(
    prepared: Prepared, reference: Cut, expected: _Result, cut: Cut, found: _Result
) -> tuple[_Pair, NDArray[np.float32], NDArray[np.bool_]]:
    """The comparison, the difference of the probabilities of background, and where it matters."""
    common = common_pixels(reference.region, cut.region)
    here = (slice(None), *slices(common, origin=[a for a, _ in reference.region]))
    there = (slice(None), *slices(common, origin=[a for a, _ in cut.region]))
    difference = found.raw[there] - expected.raw[here]
    size = np.abs(difference).max(0)
    one, other = (
        decisions_of(result.settled[part], prepared.task, prepared.objects)
        for result, part in ((expected, here), (found, there))
    )
    decided = (one != other).any(0)
    differs = decided | ~(size <= TOLERANCE)
    plan, _ = cut.plan(prepared)
    check = CutCheck(
        cut.kind,
        plan.step,
        common,
        before=float(size.max()),
        after=float(np.abs(found.settled[there] - expected.settled[here]).max()),
        pixels=size.size,
        decided=int(decided.sum()),
    )
    if differs.any():
        edges = _both(reference.edges(prepared), cut.edges(prepared))
        check = replace(check, seams=find_seams(difference[0], common, edges))
    return _Pair(reference, cut, check), size, differs


def _in_double(prepared: Prepared, pairs: Sequence[_Pair], on_work: OnWork) -> tuple[CutCheck, ...]:
    """The checks, the worst one in doubt of each kind computed again in double precision."""
    checks = [pair.check for pair in pairs]
    by_severity = sorted(range(len(pairs)), key=lambda k: checks[k].severity, reverse=True)
    allowed: dict[str, float] = {}
    for rank, k in enumerate(by_severity):
        check = checks[k]
        if check.kind in allowed:
            checks[k] = replace(check, allowed=max(TOLERANCE, allowed[check.kind]))
        elif rank == 0 or not check.before <= TOLERANCE:
            checks[k] = _again(prepared, pairs[k], on_work)
            if checks[k].is_broken:
                break
            allowed[check.kind] = check.before
    return tuple(checks)


def _again(prepared: Prepared, pair: _Pair, on_work: OnWork) -> CutCheck:
    """The check of a pair, with what is left of its difference in double precision."""
    results = []
    for cut in (pair.reference, pair.cut):
        computed = compute_region(cut.prepared(prepared), cut.region, before=cut.before)
        origin = [a for a, _ in cut.region]
        results.append(computed.probabilities[(slice(None), *slices(pair.check.region, origin=origin))])
        on_work(DOUBLE_COST * cut.cost(prepared))
    difference = results[1] - results[0]
    check = replace(pair.check, double=float(np.abs(difference).max()))
    if not check.is_broken:
        return check
    edges = _both(pair.reference.edges(prepared), pair.cut.edges(prepared))
    return replace(check, seams=find_seams(difference[0], check.region, edges))


def _evidence(
    prepared: Prepared, pair: _Pair, difference: NDArray[np.float32], differs: NDArray[np.bool_]
) -> Evidence:
    region = pair.check.region
    names = tuple(
        f"{cut.kind}: {times(cut.plan(prepared)[0].step)} tiles" for cut in (pair.reference, pair.cut)
    )
    return Evidence(
        prepared.image.read(region),
        difference,
        differs,
        region,
        (pair.reference.edges(prepared), pair.cut.edges(prepared)),
        (names[0], names[1]),
    )


def _both(one: Sequence[Sequence[int]], other: Sequence[Sequence[int]]) -> list[list[int]]:
    """The edges of two cuts together, along each axis."""
    return [sorted({*a, *b}) for a, b in zip(one, other, strict=True)]
