"""Peers at equal minutes, without a peer: jobs, classes and objects, records."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from bench.accuracy.classes import border_width, objects_of, to_classes, to_instances
from bench.accuracy.competing import Clock, Job, Trained, compete, unit
from bench.accuracy.job import collect_labels, inside_of, write_job, write_truth
from bench.accuracy.record import Record, read, write
from bench.accuracy.running import averaged
from bench.accuracy.search import best_overlaps, halves
from numpy.testing import assert_array_equal

from unseam.io.tiff.write import write_tiff
from unseam.workflow.evaluation import evaluate_files
from unseam.workflow.trial import Row

ONE = Record("smp", "nuclei", 10, 0, "a machine", 2, 0.1, {"ap50": 0.7, "ap": 0.4}, (600.0,), ({"steps": 9},))


def test_classes_of_two_objects_that_touch() -> None:
    labels = np.array([[1, 1, 1, 2, 2, 0, -1]])
    labels = np.repeat(labels, 3, axis=0)
    # Rows have no end within the image, columns do: the third column is beside 2, the fourth beside 1 and
    # the fifth beside 0. Object 2 has no pixel that is farther than 1, so its innermost stay interior.
    assert_array_equal(to_classes(labels, 1)[1], [1, 1, 2, 1, 1, 0, -1])
    assert_array_equal(to_classes(labels, 0)[1], [1, 1, 1, 1, 1, 0, -1])


def test_objects_grow_back_to_what_they_were() -> None:
    yy, xx = np.mgrid[:40, :60]
    labels = np.where((yy - 20) ** 2 + (xx - 18) ** 2 < 100, 1, 0)
    labels[(yy - 20) ** 2 + (xx - 38) ** 2 < 100] = 2  # touches the first
    assert (labels[:, 27:29] > 0).any()
    found = to_instances(to_classes(labels, 2), 2)
    assert found.max() == 2
    assert_array_equal(found > 0, labels > 0)
    for k in (1, 2):
        assert (found[labels == k] == k).mean() > 0.98


def test_border_alone_is_an_object_if_it_is_large_enough() -> None:
    classes = np.zeros((12, 30), int)
    classes[2:6, 2:6] = 2  # 16 pixels
    classes[2:5, 12:16] = 2  # 12 pixels
    assert to_instances(classes, 2).max() == 1
    assert_array_equal(to_instances(classes, 2)[2:6, 2:6], 1)
    assert_array_equal(to_instances(classes, 0), 0)


def test_border_far_from_any_interior_belongs_to_none() -> None:
    classes = np.array([[1, 2, 2, 2, 2, 2]])
    assert_array_equal(to_instances(classes, 1), [[1, 1, 1, 1, 0, 0]])  # 3 pixels, 2 * 1 + 1


def test_objects_of_probabilities_without_small_ones_and_cells_where_there_is_no_border() -> None:
    cells = np.array([[0.9, 0.8, 0.2, 0.7]])
    labels, inside = objects_of(np.stack([1 - cells, cells]), 0, smallest=2)
    assert_array_equal(labels, [[1, 1, 0, 0]])
    assert inside is not None
    assert_array_equal(inside, cells.astype(np.float32))
    assert objects_of(np.stack([1 - cells, cells, 0 * cells]), 1, smallest=0)[1] is None


@pytest.mark.parametrize(("diameter", "width"), [(3, 1), (21, 2), (200, 5)])
def test_border_width(diameter: float, width: int) -> None:
    assert border_width(diameter) == width


def test_inside_of_objects_leaves_a_line_between_two() -> None:
    assert_array_equal(inside_of(np.array([[1, 1, 2], [0, 0, 2]])), [[1, 0, 0], [0, 0, 1]])


def test_intensities_of_a_flat_image_are_zero() -> None:
    assert_array_equal(unit(np.full((2, 2), 7)), np.zeros((2, 2), np.float32))
    assert_array_equal(unit(np.array([10, 20, 30])), np.float32([0, 0.5, 1]))


def test_the_clock_counts_what_it_is_not_forgiven() -> None:
    clock = Clock(1.0)
    clock.forgive(-30)  # as if half a minute had gone
    assert 30 <= clock.spent() < 31
    assert 0.5 <= clock.progress() < 0.52
    clock.forgive(30)
    assert clock.spent() < 1
    clock.forgive(-90)
    assert clock.left() < 0
    assert clock.progress() == 1


@pytest.fixture
def rows(tmp_path: Path) -> list[Row]:
    """Two images to learn from, one to be scored; the labels of the first have a pixel of 99."""
    found = []
    for k, split in enumerate(["train", "train", "test"]):
        labels = np.zeros((24, 32), np.uint16)
        labels[2:12, 3:13], labels[2:12, 13:23] = 1, 2
        labels[20, 30] = 99 if k == 0 else 0
        image = (50 + 100 * (labels % 99 > 0)).astype(np.uint8)
        write_tiff(tmp_path / f"t{k}.tif", image, axes="YX")
        write_tiff(tmp_path / f"man_seg{k}.tif", labels, axes="YX")
        found.append(Row(tmp_path / f"t{k}.tif", tmp_path / f"man_seg{k}.tif", split))
    return found


def test_a_job_goes_to_a_peer_and_comes_back_with_labels(
    rows: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "job"
    settings = {"minutes": 0.01, "seed": 3, "threads": 1, "variant": "small"}
    written = write_job(folder, rows, ignore=99, touching=True, **settings)
    assert written.unknown
    assert written.smallest == 100
    assert written.border == 1
    assert written.diameter == pytest.approx(2 * (100 / np.pi) ** 0.5, abs=0.1)

    def train(job: Job, clock: Clock) -> Trained:
        assert clock.budget == pytest.approx(0.6)
        assert (job.seed, job.variant, list(job.images("train"))) == (3, "small", ["t0", "t1"])
        assert job.labels()["t0"][20, 30] == -1
        assert job.labels()["t0"].max() == 2
        return Trained(lambda image: ((image > 100).astype(int), None), {"steps": 7})

    monkeypatch.setattr(sys, "argv", ["script", str(folder)])
    compete(train, packages=("numpy",))
    done = json.loads((folder / "done.json").read_text(encoding="utf-8"))
    assert done["said"] == {"steps": 7}
    assert done["versions"]["numpy"] == np.__version__
    collect_labels(folder, tmp_path / "found", cells=True)
    assert {path.name for path in (tmp_path / "found").iterdir()} == {"t2.tif", "t2_probabilities.tif"}
    write_truth(tmp_path / "truth", rows)
    evaluation = evaluate_files(tmp_path / "truth", tmp_path / "found")
    assert (evaluation.n_true, evaluation.n_pred) == (2, 1)  # one object of the two that touch


def test_a_job_of_cells_that_do_not_touch_has_no_border(rows: list[Row], tmp_path: Path) -> None:
    settings = {"minutes": 1, "seed": 0, "threads": 1, "variant": ""}
    assert write_job(tmp_path / "job", rows, ignore=99, touching=False, **settings).border == 0


def test_scores_are_averaged_over_the_ways_and_undefined_where_one_is() -> None:
    found = averaged([{"ap": 0.2, "seg": None}, {"ap": 0.4, "seg": 0.5}])
    assert found == {"ap": pytest.approx(0.3), "seg": None}


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = write(ONE, tmp_path)
    assert path.name == "smp-nuclei-10-0.json"
    assert read(path) == ONE


@pytest.mark.parametrize("is_stack", [True, False])
def test_a_search_sees_each_training_image_once_and_no_test_image(is_stack: bool) -> None:
    rows = [Row(Path(f"{i}"), Path(f"{i}"), "test" if i % 3 == 0 else "train") for i in range(21)]
    first, second = halves(rows, is_stack=is_stack)
    assert sorted([*first, *second], key=rows.index) == [row for row in rows if row.split == "train"]
    assert abs(len(first) - len(second)) <= 1
    assert (max(map(rows.index, first)) < min(map(rows.index, second))) == is_stack


def test_best_overlaps_by_hand() -> None:
    truth = np.array([[1, 1, 1, 1, 0, 4, 4, 0]], np.int32)  # no object has the numbers 2 and 3
    labels = np.array([[2, 2, 2, 0, 0, 0, 0, 1]], np.int32)
    area, iou = best_overlaps(truth, labels)
    assert area.tolist() == [4, 2] and iou.tolist() == [0.75, 0.0]
    assert best_overlaps(truth, np.zeros_like(truth))[1].tolist() == [0.0, 0.0]
