"""Tables of points, and the disks they become."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unseam.errors import ConfigError, FileReadError, LabelError
from unseam.io.annotations.points import draw_points, is_table, read_points
from unseam.io.annotations.record import Shape

places = st.tuples(st.floats(0, 20), st.floats(0, 30))


def table(folder: Path, text: str) -> Path:
    (folder / "points.csv").write_text(text, encoding="utf-8")
    return folder / "points.csv"


def points(*corners: tuple[float, float]) -> list[Shape]:
    return [Shape(k, (np.array([place]),), is_point=True) for k, place in enumerate(corners, 1)]


def drawn(*corners: tuple[float, float], shape: tuple[int, int], radius: float, ring: float) -> np.ndarray:
    labels = np.zeros(shape, np.int32)
    some = points(*corners)
    draw_points(labels, some, [one.id for one in some], radius=radius, ring=ring, unknown=-1)
    return labels


@pytest.mark.parametrize(
    "text",
    [
        "y,x\n1.5,2\n3,4\n",
        "\ufeffx;y\n2;1.5\n4;3\n\n",
        "index\tX\tY\tarea\n0\t2\t1.5\t9\n1\t4\t3\t9\n",
        '"y","x"\n"1.5","2"\n"3","4"\n',
    ],
)
def test_columns_may_stand_in_any_order(tmp_path: Path, text: str) -> None:
    read = read_points(table(tmp_path, text))
    # 0 is the centre of the first pixel in the table, half a pixel from the corner of the image.
    assert [shape.rings[0].tolist() for shape in read.shapes] == [[[2.0, 2.5]], [[3.5, 4.5]]]
    assert [(shape.id, shape.is_point, shape.frame) for shape in read.shapes] == [
        (1, True, None),
        (2, True, None),
    ]
    assert is_table(table(tmp_path, text))


def test_classes_and_frames(tmp_path: Path) -> None:
    read = read_points(table(tmp_path, "frame,y,x,label,class\n0,1,1,7,cell\n2.0,1,1,8,\n"))
    assert [(shape.frame, shape.class_name) for shape in read.shapes] == [(0, "cell"), (2, "")]
    assert read_points(table(tmp_path, "t,y,x,label\n,1,1,dead\n")).shapes[0].class_name == "dead"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "starts with ''; expected the columns y and x"),
        ("id,area\n1,2\n", "starts with 'id,area'; expected the columns y and x"),
        ("y,x\n1,two\n", r"points.csv, line 2, column x: 'two' was given; a number was expected"),
        ("y,x\n1,2\n3\n", r"line 3, column x: '' was given"),
        ("y,x\n1,inf\n", r"column x: 'inf' was given"),
        ("y,x,frame\n1,2,-1\n", r"line 2: frame -1 was given; frames are counted 0, 1, 2"),
        ("y,x,t\n1,2,0.5\n", r"frame 0.5 was given"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(LabelError, match=words):
        read_points(table(tmp_path, text))


def test_a_file_that_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileReadError, match=r"cannot read .*a\.csv"):
        read_points(tmp_path / "a.csv")
    assert not is_table(tmp_path / "a.csv") and not is_table(tmp_path / "none.csv")
    assert not is_table(table(tmp_path, "id,centroid_y,centroid_x\n"))


def test_a_disk_and_its_ring_by_hand() -> None:
    # In the centre of pixel (2, 2): pixels 1 apart are of the disk, those up to 2 apart of the ring.
    assert drawn((2.5, 2.5), shape=(5, 6), radius=1, ring=2).tolist() == [
        [0, 0, -1, 0, 0, 0],
        [0, -1, 1, -1, 0, 0],
        [-1, 1, 1, 1, -1, 0],
        [0, -1, 1, -1, 0, 0],
        [0, 0, -1, 0, 0, 0],
    ]


def test_near_points_share_the_space_between_them() -> None:
    # 4 apart: rings end 2 away, disks, half as wide, 1 away.
    assert drawn((0.5, 2.5), (0.5, 6.5), shape=(1, 9), radius=3, ring=6).tolist() == [
        [-1, 1, 1, 1, -1, 2, 2, 2, -1]
    ]


def test_the_pixel_of_a_point_is_always_its_own_and_objects_are_not_made_unknown() -> None:
    labels = np.full((1, 4), 9, np.int32)
    draw_points(labels, points((0.9, 3.9)), [4], radius=0, ring=2, unknown=-1)
    assert labels.tolist() == [[9, 9, 9, 4]]
    assert drawn((1.0, 1.0), shape=(1, 1), radius=0, ring=0).tolist() == [[1]]  # at the end of the image


@given(st.lists(places, min_size=2, max_size=8), st.floats(0, 9), st.floats(0, 9))
@settings(max_examples=60, deadline=None)
def test_each_point_has_its_disk_and_disks_never_touch(
    corners: list[tuple[float, float]], radius: float, more: float
) -> None:
    pixels = {(int(y), int(x)) for y, x in corners}
    if len(pixels) < len(corners):
        with pytest.raises(
            LabelError, match=r"shape \d+ and \d+ more lie in one pixel, y \d+, x \d+; remove"
        ):
            drawn(*corners, shape=(21, 31), radius=radius, ring=radius + more)
        return
    labels = drawn(*corners, shape=(21, 31), radius=radius, ring=radius + more)
    for number, (y, x) in enumerate(corners, 1):
        assert labels[int(y), int(x)] == number
        for row, column in np.argwhere(labels == number):
            far = np.hypot(row + 0.5 - y, column + 0.5 - x)
            others = [np.hypot(row + 0.5 - v, column + 0.5 - u) for v, u in corners if (v, u) != (y, x)]
            assert (row, column) == (int(y), int(x)) or (far <= radius + 1e-9 and far <= min(others) + 1e-9)


def test_a_ring_narrower_than_the_disk_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="a disk of radius 3 and a ring of 2 were given; the ring goes around"
    ):
        drawn((1.0, 1.0), shape=(3, 3), radius=3, ring=2)


def test_without_points_nothing_changes() -> None:
    assert not drawn(shape=(2, 2), radius=1, ring=2).any()
