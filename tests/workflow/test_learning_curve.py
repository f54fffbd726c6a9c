"""Would more images help?"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.tiny import samples, write_set

from unseam.cli import main
from unseam.data.pairs import find_pairs
from unseam.errors import InputError, OutputExistsError, PairingError
from unseam.workflow.learning_curve import Point, default_sizes, learning_curve, verdict
from unseam.workflow.listener import SILENT


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_set(tmp_path_factory.mktemp("set"), samples(8))


def test_sizes_are_halved():
    assert default_sizes(8) == [2, 4, 8] and default_sizes(5) == [2, 5] and default_sizes(3) == [3]


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (
            [Point(4, 0, 0.5), Point(8, 0, 0.7)],
            "from 4 to 8 images ap50 went from 0.500 to 0.700: more annot",
        ),
        ([Point(4, 0, 0.70), Point(8, 0, 0.705)], "more images may hardly help; --seeds"),
        # means 0.6 and 0.65; with 8 images the seeds differ by a standard deviation of 0.0707
        (
            [Point(4, 0, 0.6), Point(4, 1, 0.6), Point(8, 0, 0.6), Point(8, 1, 0.7)],
            r"within what seeds differ by \(0.071\)",
        ),
        ([Point(4, 0, 0.5, 9), Point(8, 0, 0.1)], "tells nothing yet: 9 steps are too few"),
        ([Point(8, 0, 0.7)], "ap50 is 0.700 with 8 images; give smaller --sizes"),
        ([Point(6, 0, 0.6), Point(8, 0, 0.7)], "give smaller --sizes"),  # not half as many
    ],
)
def test_the_verdict_is_on_the_last_doubling(points, words):
    import re

    assert re.search(words, verdict(points, "ap50"))


def test_a_curve_is_trained_scored_drawn_and_resumed(folders, tmp_path, capsys):
    images, labels = folders
    out = tmp_path / "curve"
    command = ["learning-curve", str(images), str(labels), "--out", str(out), "--minutes", "0.03"]
    assert main([*command, "--sizes", "2", "4"]) == 0
    said = capsys.readouterr()
    assert said.out.count("ap50") == 2 and "from 2 to 4 images ap50 went from" in said.err
    curve = json.loads((out / "curve.json").read_text())
    assert [p["images"] for p in curve["points"]] == [2, 4] and curve["tested"] == 2
    with Image.open(out / "curve.png") as picture:
        assert picture.width > 500

    learned = {}
    for size in (2, 4):
        rows = (out / f"{size}-images-seed0/pairs.csv").read_text().splitlines()[1:]
        learned[size] = {row for row in rows if row.endswith(",train")}
        assert len(learned[size]) == size and sum(row.endswith(",test") for row in rows) == 2
    assert learned[2] < learned[4]  # a smaller set is part of the larger one

    assert main([*command, "--sizes", "2", "4"]) == 2
    assert "--resume goes on with it" in capsys.readouterr().err
    before = (out / "4-images-seed0/model.safetensors").read_bytes()
    assert main([*command, "--sizes", "2", "4", "--resume"]) == 0
    assert (out / "4-images-seed0/model.safetensors").read_bytes() == before


def test_what_cannot_be_a_curve_is_refused(folders, tmp_path):
    images, labels = folders
    for sizes in ([1, 4], [4, 7]):
        with pytest.raises(InputError, match="there are 6 images to learn from: give 2 to 6"):
            learning_curve(images, labels, out=tmp_path / "a", sizes=sizes, listener=SILENT)
    for wrong in ({"minutes": 0}, {"seeds": [-1]}, {"measure": "speed"}):
        with pytest.raises(InputError, match=r"minutes|seed|speed"):
            learning_curve(images, labels, out=tmp_path / "a", listener=SILENT, **wrong)
    with pytest.raises(InputError, match="no seed"):
        learning_curve(images, labels, out=tmp_path / "a", seeds=(), listener=SILENT)
    assert not (tmp_path / "a").exists()
    few = tmp_path / "few.csv"
    pairs = find_pairs(images, labels).pairs[:4]
    few.write_text("image,labels\n" + "".join(f"{p.image},{p.labels}\n" for p in pairs))
    with pytest.raises(PairingError, match="3 pairs are left to learn from"):
        learning_curve(few, out=tmp_path / "a", listener=SILENT)
    (tmp_path / "b").mkdir()
    (tmp_path / "b/thesis.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="holds other files"):
        learning_curve(images, labels, out=tmp_path / "b", overwrite=True, listener=SILENT)


def test_rows_marked_test_are_scored_on(folders, tmp_path):
    images, labels = folders
    pairs = find_pairs(images, labels).pairs
    table = tmp_path / "pairs.csv"
    lines = [f"{p.image},{p.labels},{'test' if k < 3 else 'train'}" for k, p in enumerate(pairs)]
    table.write_text("image,labels,split\n" + "\n".join(lines) + "\n")
    curve = learning_curve(
        table, out=tmp_path / "c", minutes=0.02, sizes=[5], measure="dice", listener=SILENT
    )
    assert curve.tested == 3 and curve.measure == "dice" and np.isfinite(curve.points[0].score)


def test_a_curve_goes_on_with_the_same_images_and_minutes_alone(folders, tmp_path):
    images, labels = folders
    options = {"out": tmp_path / "d", "sizes": [2], "listener": SILENT}
    learning_curve(images, labels, minutes=0.02, **options)
    with pytest.raises(InputError, match="made with other minutes; go on with the same"):
        learning_curve(images, labels, minutes=0.03, resume=True, **options)
    others = write_set(tmp_path / "others", samples(8, seed=5))
    with pytest.raises(InputError, match="made with other images and labels"):
        learning_curve(*others, minutes=0.02, resume=True, **options)
