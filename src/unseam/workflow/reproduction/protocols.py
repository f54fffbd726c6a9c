"""The protocols: which images are learned from, which are scored, and what was published on them.

The test labels of the challenges are not public. What is held out here are parts of the public training
sets, so no figure of ours is a place in a challenge, and every page says so.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from unseam.errors import FileReadError, InputError
from unseam.workflow.reproduction.partly import annotated_frames, known_labels
from unseam.workflow.reproduction.sources import (
    Source,
    challenge_archive,
    membrane_slices,
    nuclei_archive,
)
from unseam.workflow.trial import Row

UNKNOWN = 65535
"""Value of pixels in label files whose truth is unknown."""


@dataclass(frozen=True)
class Published:
    """What others reported, by the name of our measure; `about` says on what, where it is not our split."""

    who: str
    scores: Mapping[str, float]
    about: str = ""


@dataclass(frozen=True)
class Protocol:
    """A data set and how it is used.

    Attributes
    ----------
    name : as it is asked for.
    title : what it is.
    folder : its name in the folder of data.
    directions : for each way to split the set a function that gives its rows, of the folder of the data and
        of one to write to; scores are averaged over the ways.
    measures : names of scores that are shown, the first of them the one that is compared.
    published : rows to stand beside.
    source : where the data come from.
    ignore : value of unknown pixels in its label files, or None.
    remark : what a reader has to know.
    isbi : whether the challenge's own measures of boundaries are taken, from the probabilities.
    """

    name: str
    title: str
    folder: str
    directions: Mapping[str, Callable[[Path, Path], list[Row]]]
    measures: tuple[str, ...]
    published: tuple[Published, ...]
    source: Source
    ignore: int | None = None
    remark: str = ""
    isbi: bool = False


def protocol(name: str) -> Protocol:
    """The protocol of a name.

    Raises
    ------
    InputError
        If there is none.
    """
    if name not in PROTOCOLS:
        raise InputError(f"{name!r} is no data set to reproduce; expected one of: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def _isbi2012(data: Path, _: Path) -> list[Row]:
    """Slices 00 to 23 to learn from, 24 to 29 to score."""
    return [
        Row(data / f"images/{n:02}.png", data / f"labels/{n:02}.png", "train" if n < 24 else "test")
        for n in range(30)
    ]


def _nuclei(data: Path, _: Path) -> list[Row]:
    """70 images to learn from, 30 to score."""
    return [
        Row(data / f"images/{row['id']}.png", data / f"labels/{row['id']}.tif", row["split"])
        for row in nuclei_index()
    ]


def nuclei_index() -> list[dict[str, str]]:
    """The 100 images: id, full_id and split."""
    text = files("unseam.workflow.reproduction").joinpath("dsb2018.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _tracking(learn: str, score: str) -> Callable[[Path, Path], list[Row]]:
    """One sequence of the Cell Tracking Challenge to learn from, the other to score."""

    def rows(data: Path, work: Path) -> list[Row]:
        found = []
        for sequence, split in ((learn, "train"), (score, "test")):
            for frame in annotated_frames(data, sequence):
                labels = known_labels(data, sequence, frame, work / "labels", unknown=UNKNOWN)
                found.append(Row(data / sequence / f"t{frame}.tif", labels, split))
        return found

    return rows


_BOTH_WAYS = {"01 to 02": _tracking("01", "02"), "02 to 01": _tracking("02", "01")}
_PARTLY = (
    "Cells that carry a marker and no outline are unknown: they count neither in training nor in scores. "
    "Frames in which fewer than half of the cells are outlined are left out."
)
_HIDDEN = "on the challenge's own test images, whose labels are not public"


def _challenge(
    who: str,
    v_rand: float | None = None,
    v_info: float | None = None,
    *,
    errors: tuple[float, float, float] | None = None,
) -> Published:
    """A row of the ISBI challenge; `errors` are Rand, warping (merges and splits) and pixel error."""
    rand, warping, pixel = errors or (None, None, None)
    values = {
        "isbi_v_rand_thinned": v_rand,
        "isbi_v_info_thinned": v_info,
        "isbi_rand_error": rand,
        "isbi_split_merge_error": warping,
        "isbi_pixel_error": pixel,
    }
    return Published(who, {name: value for name, value in values.items() if value is not None}, _HIDDEN)


PROTOCOLS = {
    "isbi2012": Protocol(
        "isbi2012",
        "ISBI 2012: neuronal membranes, electron microscopy",
        "isbi2012",
        {"": _isbi2012},
        (
            "isbi_v_rand_thinned",
            "isbi_v_info_thinned",
            "isbi_rand_error",
            "isbi_split_merge_error",
            "isbi_pixel_error",
            "ap50",
        ),
        (
            _challenge("U-Net, 2015", 0.9728, 0.9866, errors=(0.0382, 0.000353, 0.0611)),
            _challenge("best listed, 2015", 0.9868, 0.9914),
            _challenge("IDSIA, 2012", errors=(0.0504, 0.000420, 0.0613)),
            _challenge("a second human", errors=(0.0021, 0.000005, 0.0010)),
        ),
        membrane_slices("isbi2012"),
        remark="Learned from slices 00 to 23, scored on slices 24 to 29 of the public stack.",
        isbi=True,
    ),
    "hela": Protocol(
        "hela",
        "DIC-C2DH-HeLa: HeLa cells, differential interference contrast",
        "DIC-C2DH-HeLa",
        _BOTH_WAYS,
        ("seg", "ap50", "ap", "dice", "merges", "splits"),
        (
            Published("U-Net, 2015", {"seg": 0.7756}, _HIDDEN),
            Published("second in 2015", {"seg": 0.46}, _HIDDEN),
        ),
        challenge_archive(
            "DIC-C2DH-HeLa", "832fed2d05bb7488cf9c51a2994b75f8f3f53b3c3098856211f2d39023c34e1a"
        ),
        ignore=UNKNOWN,
        remark=_PARTLY,
    ),
    "u373": Protocol(
        "u373",
        "PhC-C2DH-U373: glioblastoma cells, phase contrast",
        "PhC-C2DH-U373",
        _BOTH_WAYS,
        ("seg", "ap50", "ap", "dice", "merges", "splits"),
        (
            Published("U-Net, 2015", {"seg": 0.9203}, _HIDDEN),
            Published("second in 2015", {"seg": 0.83}, _HIDDEN),
        ),
        challenge_archive(
            "PhC-C2DH-U373", "b18185c18fce54e8eeb93e4bbb9b201d757add9409bbf2283b8114185a11bc9e"
        ),
        ignore=UNKNOWN,
        remark=_PARTLY,
    ),
    "nuclei": Protocol(
        "nuclei",
        "Data Science Bowl 2018: nuclei, fluorescence",
        "dsb2018",
        {"": _nuclei},
        ("ap50", "ap", "seg", "dice", "merges", "splits"),
        (Published("StarDist, its paper", {"ap50": 0.864}, "on another part of the same set, 497 images"),),
        nuclei_archive("dsb2018"),
        remark="Learned from 70 images, scored on 30 of the 100 that were chosen of the public set.",
    ),
}


def rows_of(chosen: Protocol, direction: str, data: Path, work: Path) -> list[Row]:
    """The rows of one way to split a set.

    Raises
    ------
    FileReadError
        If a file is missing.
    """
    rows = chosen.directions[direction](data, work)
    for path in (path for row in rows for path in (row.image, row.labels)):
        if not path.is_file():
            raise FileReadError(f"{path} is missing; {data} should hold {chosen.title} as it is published")
    return rows
