"""The measures of the ISBI challenge from files: which probabilities are read, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from unseam.errors import InputError, ShapeError
from unseam.io.images import write_png, write_tiff
from unseam.workflow.boundaries import evaluate_boundaries
from unseam.workflow.evaluation import evaluate_files
from unseam.workflow.listener import SILENT

MASK = np.zeros((4, 5), np.uint8)
MASK[:, [0, 1, 3, 4]] = 255  # two cells and a membrane between them
GOOD = np.where(MASK, 0.95, 0.05)
MERGED = np.full(MASK.shape, 0.95)


def save(folder: Path, **maps: np.ndarray) -> Path:
    """Predicted labels, all wrong, and probabilities: the labels must not matter to the boundaries."""
    for name, cells in maps.items():
        write_tiff(folder / f"{name}.tif", np.zeros(cells.shape, np.int32), axes="YX")
        both = np.stack([1 - cells, cells]).astype(np.float32)
        write_tiff(folder / f"{name}_probabilities.tif", both, axes="CYX")
    return folder


@pytest.fixture
def true(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        write_png(tmp_path / "true" / f"{name}.png", MASK)
    return tmp_path / "true"


def test_scores_of_a_folder(true: Path, tmp_path: Path) -> None:
    pred = save(tmp_path / "pred", a=GOOD, b=MERGED)
    target = tmp_path / "scores.json"
    report = tmp_path / "page.html"
    found = evaluate_files(true, pred, isbi=True, json_file=target, report=report, listener=SILENT)
    assert found.of_image("a")["isbi_v_rand_thinned"] == 1 and found.of_image("a")["isbi_pixel_error"] == 0
    # of b, two cells of 8 pixels are one: pairs true and both 64 + 64, predicted 256; 4 of 20 pixels wrong
    assert found.of_image("b")["isbi_v_rand"] == 128 / 192
    assert (
        found.of_image("b")["isbi_warping_error"] == found.of_image("b")["isbi_split_merge_error"] == 4 / 20
    )
    # the set: pairs true and both 4 * 64, predicted 128 + 256
    assert found.isbi_rand_error == pytest.approx(1 - 256 / (0.5 * 256 + 0.5 * 384))
    assert found.isbi_warping_error == 4 / 40
    shown = json.loads(target.read_text())
    assert shown["set"]["isbi_warping_error"] == 0.1 and shown["images"]["a"]["isbi_rand_error"] == 0
    assert shown["set"]["v_rand"] < 1  # of the labels, which stay what they were
    assert "V Rand, thinned" in report.read_text() and "Warping error" in report.read_text()


def test_without_the_option_there_are_none(true: Path, tmp_path: Path) -> None:
    found = evaluate_files(true, save(tmp_path / "pred", a=GOOD, b=MERGED), listener=SILENT)
    assert found.boundaries is None and not any(name.startswith("isbi") for name in found.of_set())


def test_one_file_and_a_series(tmp_path: Path) -> None:
    write_tiff(tmp_path / "true/a.tif", np.stack([MASK, MASK]), axes="TYX")
    write_tiff(tmp_path / "pred/a.tif", np.stack([MASK, MASK]), axes="TYX")
    maps = np.stack([[1 - GOOD, GOOD], [1 - MERGED, MERGED]]).astype(np.float32)
    write_tiff(tmp_path / "pred/a_probabilities.tif", maps, axes="TCYX")
    found = evaluate_files(tmp_path / "true/a.tif", tmp_path / "pred/a.tif", isbi=True, listener=SILENT)
    assert found.of_image("a_t000")["isbi_v_rand"] == 1 and found.of_image("a_t001")["isbi_v_rand"] < 1


def test_volumes_are_scored_by_slices(tmp_path: Path) -> None:
    write_tiff(tmp_path / "true/a.tif", np.stack([MASK, MASK]), axes="ZYX")
    write_tiff(tmp_path / "pred/a.tif", np.stack([MASK, MASK]), axes="ZYX")
    both = np.stack([1 - np.stack([GOOD, MERGED]), np.stack([GOOD, MERGED])]).astype(np.float32)
    write_tiff(tmp_path / "pred/a_probabilities.tif", both, axes="CZYX")
    found = evaluate_files(tmp_path / "true", tmp_path / "pred", isbi=True, listener=SILENT)
    assert found.isbi_rand_error == pytest.approx(1 - 256 / (0.5 * 256 + 0.5 * 384))


def test_refusals(true: Path, tmp_path: Path) -> None:
    pred = save(tmp_path / "pred", a=GOOD, b=MERGED)
    write_tiff(pred / "b_probabilities.tif", GOOD.astype(np.float32)[None], axes="CYX", overwrite=True)
    with pytest.raises(
        InputError, match=r"b_probabilities\.tif has one channel; the probabilities of backgr"
    ):
        evaluate_files(true, pred, isbi=True, listener=SILENT)
    (pred / "b_probabilities.tif").unlink()
    with pytest.raises(InputError, match=r"no b_probabilities\.tif beside .*predict with --save labels,prob"):
        evaluate_files(true, pred, isbi=True, listener=SILENT)
    with pytest.raises(ShapeError, match="2 true images and the probabilities of 1; save the probabilities"):
        evaluate_boundaries(["a", "b"], [MASK, MASK], [GOOD])
    with pytest.raises(ShapeError, match=r"a: the truth has shape \(4, 5\) and the probabilities \(5, 4\)"):
        evaluate_boundaries(["a"], [MASK], [GOOD.T])
