"""Partly annotated frames: cells with a marker and no outline."""

from __future__ import annotations

import numpy as np
import pytest

from unseam.errors import FileReadError
from unseam.io.images import read_labels
from unseam.io.tiff.write import write_tiff
from unseam.workflow.reproduction.partly import (
    annotated_frames,
    known_labels,
    mark_unknown,
    without_outline,
)


def test_a_marker_mostly_off_the_outlined_cells_is_bare():
    labels = np.array([[1, 1, 0, 0, 0, 0]])
    markers = np.array([[7, 0, 0, 8, 8, 0]])
    assert without_outline(labels, markers).tolist() == [8]
    half = np.array([[0, 9, 9, 0, 0, 0]])  # one of two pixels is on the cell: half is enough
    assert without_outline(labels, half).tolist() == []


def test_what_is_near_a_bare_marker_is_unknown_and_cells_stay():
    labels = np.zeros((9, 21), np.int32)
    labels[3:6, 1:4] = 1  # 9 pixels: a disc of diameter 3.385, so a reach of 1.69 pixels
    markers = np.zeros_like(labels)
    markers[4, 2], markers[4, 12] = 1, 2
    marked = mark_unknown(labels, markers, unknown=99)
    # within 1.69 of (4, 12): itself, four at distance 1 and four at 1.41
    assert [tuple(p) for p in np.argwhere(marked == 99)] == [(y, x) for y in (3, 4, 5) for x in (11, 12, 13)]
    assert (marked[marked != 99] == labels[marked != 99]).all()


def test_the_unknown_never_covers_an_outlined_cell():
    labels = np.zeros((20, 20), np.int32)
    labels[:10] = 3
    markers = np.zeros_like(labels)
    markers[5, 5], markers[10, 10] = 1, 2
    marked = mark_unknown(labels, markers, unknown=99)
    assert (marked[:10] == 3).all() and (marked[10:] == 99).sum() > 50


def write_sequence(folder, *, outlined: dict[str, int], cells: int) -> None:
    """Frames with `cells` markers in a row, the first few of which are outlined; None has no marker file."""
    for frame, count in outlined.items():
        labels = np.zeros((16, 16 * cells), np.uint16)
        markers = np.zeros_like(labels)
        for k in range(cells):
            markers[8, 16 * k + 8] = k + 1
            if k < count:
                labels[5:12, 16 * k + 5 : 16 * k + 12] = k + 1
        for path, array in (
            (folder / f"01/t{frame}.tif", labels),
            (folder / f"01_GT/SEG/man_seg{frame}.tif", labels),
            (folder / f"01_GT/TRA/man_track{frame}.tif", markers),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_tiff(path, array, axes="YX")


def test_frames_with_too_few_outlines_are_left_out(tmp_path):
    write_sequence(tmp_path, outlined={"000": 4, "001": 2, "002": 1}, cells=4)
    assert annotated_frames(tmp_path, "01") == ["000", "001"]


def test_labels_are_written_only_where_something_is_unknown(tmp_path):
    write_sequence(tmp_path, outlined={"000": 4, "001": 2}, cells=4)
    whole = known_labels(tmp_path, "01", "000", tmp_path / "out", unknown=65535)
    partly = known_labels(tmp_path, "01", "001", tmp_path / "out", unknown=65535)
    assert whole == tmp_path / "01_GT/SEG/man_seg000.tif"
    assert partly == tmp_path / "out/01_GT/SEG/man_seg001.tif"
    labels = read_labels(partly).data[0]
    assert labels[8, 8] == 1 and labels[8, 16 * 3 + 8] == 65535 and labels[0, 0] == 0


def test_a_folder_without_the_sequence_is_refused(tmp_path):
    with pytest.raises(FileReadError, match="no 02_GT/SEG/man_seg"):
        annotated_frames(tmp_path, "02")
