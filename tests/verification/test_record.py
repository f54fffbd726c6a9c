"""What passes for rounding and what does not, and how a certificate says it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from unseam.decisions import ROUNDING
from unseam.verification.record import EXACT, TOLERANCE, Certificate, CutCheck, LabelCheck, Seam
from unseam.verification.words import cut_lines, details, verdict


def cut(kind: str = "small tiles", before: float = 1e-7, **values: Any) -> CutCheck:
    fields = {"after": before, "decided": 0, "pixels": 64, **values}
    return CutCheck(kind, (4, 4), ((0, 8), (8, 16)), before, **fields)


def certificate(*cuts: CutCheck, whole: tuple[LabelCheck, ...] = ()) -> Certificate:
    return Certificate("a.tif", "run", (8, 16), "instances", 1, cuts, whole)


def labels(kind: str, pixels: int = 0, objects: int = 0, **values: Any) -> LabelCheck:
    return LabelCheck(kind, pixels, 262144, objects, 87, **values)


def test_the_tolerance_is_four_times_what_tiles_change_at_least() -> None:
    assert pytest.approx(2e-5) == TOLERANCE == 4 * ROUNDING


@pytest.mark.parametrize(
    ("check", "broken"),
    [
        (cut(before=TOLERANCE), False),
        (cut(before=1.01 * TOLERANCE), True),
        (cut(before=1.01 * TOLERANCE, double=EXACT), False),  # seen to be rounding
        (cut(before=0.9 * TOLERANCE, double=2 * EXACT), True),  # a seam smaller than rounding
        (cut(before=2 * TOLERANCE, allowed=3 * TOLERANCE), False),
        (cut(decided=1), True),
        (cut(decided=1, double=0.0), True),
        (cut(before=math.nan), True),
        (cut(double=math.nan), True),
    ],
)
def test_what_is_broken(check: CutCheck, broken: bool) -> None:
    assert check.is_broken == broken == certificate(check).is_broken


def test_the_worst_is_a_decision_then_nan_then_the_largest() -> None:
    checks = [cut(before=0.5), cut(before=1e-7, decided=1), cut(before=math.nan), cut(before=0.1)]
    ordered = sorted(checks, key=lambda check: check.severity, reverse=True)
    assert ordered == [checks[1], checks[2], checks[0], checks[3]]
    assert certificate(*checks).worst is checks[1]


def test_all_of_it_is_json() -> None:
    text = json.dumps(certificate(cut(before=math.nan)).to_dict(), allow_nan=False)
    values = json.loads(text)
    assert values["same"] is False and values["cuts"][0]["before"] is None
    assert values["cuts"][0]["region"] == [[0, 8], [8, 16]] and values["shape"] == [8, 16]


def test_the_words_where_all_is_the_same() -> None:
    good = certificate(cut(before=3.1e-6, double=2e-15), whole=(labels("blocks of 48"),))
    assert verdict(good) == (
        "the same in all 2 other cuts of one region and the whole image: largest difference of probabilities "
        "3.1e-06, 0 of 262,144 pixels and 0 of 87 objects have another label"
    )
    assert list(details(good)) == [
        "up to 2e-05 is rounding of float32; in double precision 2.0e-15 is left of the largest"
    ]


def test_the_words_where_probabilities_differ() -> None:
    seams = (Seam("Y", 4, 0.2), Seam("X", 12, 0.1), Seam("Y", 2, 0.1))
    bad = certificate(cut(before=0.2, double=0.2, seams=seams), cut("odd tiles"), whole=(labels("tiles"),))
    assert verdict(bad).startswith(
        "NOT the same: 1 of 3 other cuts of one region and the whole image differ; "
    )
    assert list(details(bad)) == [
        "this is no rounding: 0.2 is left of it in double precision",
        "worst: small tiles, tiles of 4 x 4, y 0:8, x 8:16",
        "the difference jumps at edges of tiles: rows 2, 4; columns 12",
        "labels agree only because pixels in doubt are computed again, in small tiles that have edges too",
    ]


def test_the_words_where_labels_differ() -> None:
    seams = tuple(Seam("X", at, at / 100) for at in range(8, 16))
    wrong = labels("blocks of 48 against tiles of 64", 1234, 40, seams=seams)
    bad = certificate(cut(double=0.0), whole=(labels("tiles of 32"), wrong))
    assert "1,234 of 262,144 pixels and 40 of 87 objects have another label" in verdict(bad)
    assert list(details(bad))[1:] == [
        "whole image, blocks of 48 against tiles of 64: 1,234 of 262,144 pixels and 40 of 87 objects differ",
        "labels part at edges of tiles or blocks: columns 10, 11, 12, 13, 14, 15 and 2 more",
    ]


def test_the_words_where_there_is_no_double_precision() -> None:
    good = certificate(cut(before=5e-4, allowed=1e-3))
    words = "up to 0.001 passes for rounding: this network computes in float32 alone"
    assert next(iter(details(good))) == words
    bad = certificate(cut(before=0.2), whole=(labels("tiles of 32"),))
    assert list(details(bad))[-1] == "labels agree, as no difference carries a pixel across a threshold"


def test_the_words_without_a_seam_and_without_the_whole() -> None:
    lines = list(details(certificate(cut(before=0.2, double=0.2))))
    assert lines[2:] == [
        "they differ all over, not at the edges of tiles alone",
        "the whole image was not compared: it does not fit into memory",
    ]
    assert verdict(certificate(cut(decided=3, double=0.0))).endswith("3 of 64 pixels are decided otherwise")


def test_a_line_for_each_kind() -> None:
    lines = list(cut_lines([cut(before=1e-7), cut("odd tiles", 1e-6), cut(before=2e-7, decided=2)]))
    assert lines == [("small tiles", 2e-7, 2e-7, 2, 128), ("odd tiles", 1e-6, 1e-6, 0, 64)]
