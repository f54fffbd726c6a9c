"""A certificate in a few lines that a person understands."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from unseam.axes import times
from unseam.grid import in_words
from unseam.verification.record import EXACT, TOLERANCE, Certificate, CutCheck, LabelCheck, Seam

LINES = {"Z": "planes", "Y": "rows", "X": "columns"}
SEAMS_NAMED = 6
"""Edges along an axis that are named; of a large image there may be hundreds."""


def verdict(certificate: Certificate) -> str:
    """The result in one sentence."""
    cuts = len(certificate.cuts) + len(certificate.whole)
    ways = f"{cuts} other cuts" if cuts > 1 else "the other cut"
    where = f"{certificate.regions} regions" if certificate.regions > 1 else "one region"
    if certificate.whole:
        where += " and the whole image"
    largest = _largest(certificate.cuts)
    labels = _labels(certificate)
    if not certificate.is_broken:
        return f"the same in all {ways} of {where}: largest difference of probabilities {largest}, {labels}"
    return (
        f"NOT the same: {certificate.broken} of {ways} of {where} differ; "
        f"largest difference of probabilities {largest}, {labels}"
    )


def details(certificate: Certificate) -> Iterator[str]:
    """What is behind the verdict, a line each: rounding or not, and where."""
    yield _about_rounding(certificate)
    broken = [cut for cut in certificate.cuts if cut.is_broken]
    if broken:
        worst = max(broken, key=lambda cut: cut.severity)
        yield f"worst: {worst.kind}, tiles of {times(worst.tile)}, {in_words(worst.region)}"
        seams = [seam for cut in broken for seam in cut.seams]
        yield _about_seams(seams, "the difference jumps at edges of tiles")
    wrong = [check for check in certificate.whole if check.is_broken]
    if broken and certificate.whole and not wrong:
        yield (
            "labels agree only because pixels in doubt are computed again, in small tiles that have edges too"
            if any(cut.double is not None or cut.after != cut.before for cut in certificate.cuts)
            else "labels agree, as no difference carries a pixel across a threshold"
        )
    for check in wrong:
        yield f"whole image, {label_line(check)}"
    if wrong:
        seams = [seam for check in wrong for seam in check.seams]
        yield _about_seams(seams, "labels part at edges of tiles or blocks")
    if not certificate.whole:
        yield "the whole image was not compared: it does not fit into memory"


def cut_lines(cuts: Sequence[CutCheck]) -> Iterator[tuple[str, float, float, int, int]]:
    """For each kind of cut: its name, largest difference before and after settling, pixels decided otherwise,
    pixels compared."""
    for kind in dict.fromkeys(cut.kind for cut in cuts):
        some = [cut for cut in cuts if cut.kind == kind]
        yield (
            kind,
            max((cut.before for cut in some), key=_or_infinite),
            max((cut.after for cut in some), key=_or_infinite),
            sum(cut.decided for cut in some),
            sum(cut.pixels for cut in some),
        )


def label_line(check: LabelCheck) -> str:
    """One comparison of the whole image."""
    return (
        f"{check.kind}: {check.pixels:,} of {check.of_pixels:,} pixels and {check.objects:,} of "
        f"{check.of_objects:,} objects differ"
    )


def _labels(certificate: Certificate) -> str:
    if certificate.whole:
        worst = max(certificate.whole, key=lambda check: check.pixels)
        objects = max(check.objects for check in certificate.whole)
        noun = "objects" if certificate.task == "instances" else "regions"
        return (
            f"{worst.pixels:,} of {worst.of_pixels:,} pixels and {objects:,} of {worst.of_objects:,} {noun} "
            "have another label"
        )
    decided, pixels = sum(c.decided for c in certificate.cuts), sum(c.pixels for c in certificate.cuts)
    return f"{decided:,} of {pixels:,} pixels are decided otherwise"


def _about_rounding(certificate: Certificate) -> str:
    again = [cut for cut in certificate.cuts if cut.double is not None]
    if not again:
        most = max(cut.allowed for cut in certificate.cuts)
        return f"up to {most:g} passes for rounding: this network computes in float32 alone"
    left = max((cut.double for cut in again if cut.double is not None), key=_or_infinite)
    rounding = f"up to {TOLERANCE:g} is rounding of float32"
    if not left <= EXACT:
        return f"this is no rounding: {left:.2g} is left of it in double precision"
    seen = max(cut.before for cut in again)
    if seen > TOLERANCE:
        return f"{rounding}, and here more: in double precision {left:.1e} is left of {seen:.1e}"
    return f"{rounding}; in double precision {left:.1e} is left of the largest"


def _about_seams(seams: Sequence[Seam], what: str) -> str:
    if not seams:
        return "they differ all over, not at the edges of tiles alone"
    parts = []
    for letter, name in LINES.items():
        jumps: dict[int, float] = {}
        for seam in seams:
            if seam.axis == letter:
                jumps[seam.position] = max(seam.jump, jumps.get(seam.position, 0.0))
        if jumps:
            named = sorted(sorted(jumps, key=lambda at: -jumps[at])[:SEAMS_NAMED])
            more = f" and {len(jumps) - len(named)} more" if len(jumps) > len(named) else ""
            parts.append(f"{name} {', '.join(map(str, named))}{more}")
    return f"{what}: {'; '.join(parts)}"


def _largest(cuts: Sequence[CutCheck]) -> str:
    return f"{max((cut.before for cut in cuts), key=_or_infinite):.1e}"


def _or_infinite(value: float) -> float:
    return math.inf if math.isnan(value) else value
