"""Pictures of images and labels, training curves, patches."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image
from tests.reference import draw as reference

from unseam.draw import (
    colours_of,
    curves,
    curves_figure,
    display,
    middle_slice,
    outlines,
    overlay,
    patches_figure,
)
from unseam.draw.history import _series
from unseam.draw.patches import _extent
from unseam.errors import InputError, OutputExistsError, ShapeError

LABELS = hnp.arrays(
    np.int32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=7), elements=st.integers(-1, 3)
)


def test_display_stretches_grey_to_the_full_range() -> None:
    # 0 .. 1000 evenly: the percentiles 0.5 and 99.5 are 5 and 995; 500 is in the middle, 127.5, rounded 128
    image = np.arange(1001, dtype=np.uint16).reshape(1, 7, 143)
    shown = display(image).reshape(-1, 3)
    assert shown.dtype == np.uint8
    assert (shown[:, 0] == shown[:, 1]).all()
    assert (shown[:, 0] == shown[:, 2]).all()
    assert shown[[0, 5, 500, 995, 1000], 0].tolist() == [0, 0, 128, 255, 255]


def test_display_keeps_rgb_of_8_bits() -> None:
    image = np.array([[[1]], [[200]], [[30]]], dtype=np.uint8)  # (C, Y, X) = (3, 1, 1)
    assert display(image).tolist() == [[[1, 200, 30]]]


def test_display_makes_two_channels_magenta_and_green() -> None:
    image = np.array([[[0.0, 1.0, 1.0, 0.0]], [[0.0, 0.0, 1.0, 1.0]]])
    assert display(image)[0].tolist() == [[0, 0, 0], [255, 0, 255], [255, 255, 255], [0, 255, 0]]


def test_display_stretches_three_channels_of_other_types_as_rgb() -> None:
    image = np.array([[[0, 900]], [[0, 0]], [[7, 8]]], dtype=np.uint16)
    assert display(image)[0].tolist() == [[0, 0, 0], [255, 0, 255]]


def test_display_sums_the_colours_of_many_channels() -> None:
    image = np.zeros((5, 1, 6))
    image[np.arange(5), 0, np.arange(5)] = 1
    colours = display(image)[0]
    assert colours[0].tolist() == [0, 255, 255]
    assert len({tuple(colour) for colour in colours.tolist()}) == 6  # five colours and black


def test_display_of_odd_values() -> None:
    assert not display(np.full((1, 2, 2), 7)).any()
    assert not display(np.full((1, 2, 2), np.nan)).any()
    with_hole = display(np.array([[[0.0, 1.0, np.nan, np.inf]]]))
    assert with_hole[0, :, 0].tolist() == [0, 255, 0, 0]
    assert display(np.array([[[False, True]]]))[0, :, 0].tolist() == [0, 255]


def test_display_shows_a_rare_bright_speck_on_a_constant_ground() -> None:
    image = np.zeros((1, 100, 100))
    image[0, 3, 4] = 9  # one pixel of 10,000: both percentiles are 0
    assert display(image)[3, 4, 0] == 255


def test_display_of_a_volume_is_its_middle_slice() -> None:
    volume = np.random.default_rng(0).integers(0, 255, (1, 5, 6, 7)).astype(np.uint8)
    assert (display(volume) == display(volume[:, 2])).all()
    assert (middle_slice(volume[0]) == volume[0, 2]).all()


@pytest.mark.parametrize("shape", [(4, 4), (1, 0, 4), (1, 1, 1, 4, 4)])
def test_display_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=rf"{re.escape(str(shape))} cannot be shown; give \(C, Y, X\)"):
        display(np.zeros(shape))


def test_middle_slice_refuses_a_flat_array() -> None:
    with pytest.raises(ShapeError, match=r"shape \(4, 4\) was asked for; give \(\.\.\., Z, Y, X\)"):
        middle_slice(np.zeros((4, 4)))


def test_outlines_by_hand() -> None:
    # a 3x3 object in the middle of 5x5: its ring, not its centre; with thickness 2 the centre too
    labels = np.zeros((5, 5), np.int32)
    labels[1:4, 1:4] = 7
    ring = labels > 0
    ring[2, 2] = False
    assert (outlines(labels) == ring).all()
    assert (outlines(labels, 2) == (labels > 0)).all()


def test_outlines_are_open_at_the_image_border_and_absent_without_objects() -> None:
    assert not outlines(np.ones((4, 4), np.int32)).any()
    assert not outlines(np.array([[0, -1], [-1, 0]])).any()


@settings(max_examples=60, deadline=None)
@given(LABELS, st.integers(1, 4))
def test_outlines_are_those_of_the_reference(labels: NDArray[np.int32], thickness: int) -> None:
    assert (outlines(labels, thickness) == reference.outlines(labels, thickness)).all()


@settings(max_examples=30, deadline=None)
@given(LABELS)
def test_outlines_turn_with_the_labels_and_do_not_see_the_ids(labels: NDArray[np.int32]) -> None:
    assert (outlines(np.rot90(labels)) == np.rot90(outlines(labels))).all()
    renumbered = np.array([0, 30, 10, 20])[np.maximum(labels, 0)]
    assert (outlines(renumbered) == outlines(np.maximum(labels, 0))).all()


def test_outlines_refuse_a_volume_and_no_thickness() -> None:
    with pytest.raises(
        ShapeError, match=r"labels of shape \(2, 2, 2\) cannot be drawn; give one slice, \(Y, X\)"
    ):
        outlines(np.zeros((2, 2, 2), int))
    with pytest.raises(InputError, match="thickness 0 cannot be drawn; give 1 or more"):
        outlines(np.zeros((2, 2), int), 0)


def test_overlay_draws_only_outlines_in_the_given_colours() -> None:
    labels = np.zeros((5, 9), np.int32)
    labels[1:4, 1:4], labels[1:4, 5:8] = 3, 900_000_000
    image = np.random.default_rng(1).integers(0, 99, (1, 5, 9))
    drawn = overlay(image, labels, {3: (1, 2, 3)})
    changed = (labels == 3) & outlines(labels)
    assert (drawn[changed] == (1, 2, 3)).all()
    assert (drawn[~changed] == display(image)[~changed]).all()


def test_overlay_keeps_the_colour_of_an_id() -> None:
    image, labels = np.zeros((1, 1, 4)), np.array([[1, 2, 2, 5]])
    both, one = overlay(image, labels), overlay(image, np.where(labels == 2, 2, 0))
    assert both[0, 1].tolist() == one[0, 1].tolist() == colours_of(np.array([2]))[0].tolist()
    assert both[0, 0].tolist() != both[0, 1].tolist()


def test_overlay_of_a_volume_and_without_objects() -> None:
    volume, labels = np.zeros((1, 3, 2, 2)), np.zeros((3, 2, 2), int)
    assert not overlay(volume, labels).any()
    labels[1, 0] = 1
    assert overlay(volume, labels)[0].any()
    assert not overlay(volume, labels, {}).any()


def test_overlay_refuses_labels_of_another_size() -> None:
    with pytest.raises(
        ShapeError, match=r"labels of shape \(2, 3\) do not fit an image of \(2, 2\); give the same"
    ):
        overlay(np.zeros((1, 2, 2)), np.zeros((2, 3), int))


def test_following_ids_differ_in_colour() -> None:
    for shaded, n in ((True, 21), (False, 7)):
        colours = [tuple(colour) for colour in colours_of(np.arange(1, 200), shaded=shaded).tolist()]
        assert len(set(colours)) == n
        assert all(len(set(colours[k : k + n])) == n for k in range(100))


HISTORY: list[dict[str, Any]] = [
    {"iteration": k, "seconds": 0.5 * k, "loss": 10 / (1 + k), "learning_rate": 1e-3}
    | ({"val_ap50": k / 398 if k < 200 else 0.4, "val_dice": None} if k % 50 == 49 else {})
    for k in range(300)
]


def test_curves_write_a_picture_and_do_not_replace_it_unasked(tmp_path: Path) -> None:
    curves(HISTORY, tmp_path / "new" / "curves.png")
    with Image.open(tmp_path / "new" / "curves.png") as picture:
        assert picture.size == (1408, 496)  # 8.8 x 3.1 inches at 160 per inch
    with pytest.raises(OutputExistsError, match="give --overwrite"):
        curves(HISTORY, tmp_path / "new" / "curves.png")
    curves(HISTORY[:5], tmp_path / "new" / "curves.png", overwrite=True)
    with Image.open(tmp_path / "new" / "curves.png") as picture:
        assert picture.size == (832, 496)  # without scores one panel, 5.2 inches


def test_curves_say_what_they_show() -> None:
    loss, scores = curves_figure(HISTORY).axes
    assert loss.get_yscale() == "log"  # 10 to 0.03
    assert loss.get_xlabel() == "iteration (2.5 min in all)"  # 149.5 s
    assert [text.get_text() for text in scores.get_legend().get_texts()] == ["ap50: best 0.500 at 199"]
    ring = scores.lines[1]
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (199, 0.5)


def test_curves_of_a_loss_that_is_nearly_flat_or_negative_are_linear() -> None:
    for values in ([1.0, 1.1], [5.0, -1.0]):
        (ax,) = curves_figure([{"iteration": k, "loss": value} for k, value in enumerate(values)]).axes
        assert ax.get_yscale() == "linear"
        assert ax.get_xlabel() == "iteration"


def test_curves_leave_out_what_is_not_finite() -> None:
    rows = [{"iteration": 0, "loss": np.nan}, {"iteration": 1, "loss": 2.0}, {"iteration": 2, "loss": None}]
    x, y = _series(rows, "loss")
    assert (x.tolist(), y.tolist()) == ([1.0], [2.0])
    assert len(curves_figure(rows[:1]).axes) == 1  # nothing to draw, and no error


@pytest.mark.parametrize("history", [[], [{"loss": 1.0}]])
def test_curves_refuse_a_history_without_iterations(history: list[dict[str, float]], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no rows with an iteration; give at least one such row"):
        curves(history, tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


def test_patches_of_images_and_volumes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(-1, 3, (8, 10, 12))
    patches_figure(rng.random((8, 2, 20, 22)), targets, rng.random(targets.shape), tmp_path / "2.png")
    patches_figure(
        rng.random((1, 1, 6, 9, 9)), targets[:1, None, :5, :5], np.zeros((1, 1, 5, 5)), tmp_path / "3.png"
    )
    for name in ("2.png", "3.png"):
        with Image.open(tmp_path / name) as picture:
            assert len(picture.convert("RGB").getcolors(10**7) or ()) > 50
    with pytest.raises(OutputExistsError):
        patches_figure(rng.random((8, 2, 20, 22)), targets, rng.random(targets.shape), tmp_path / "2.png")


def test_the_output_frame_lies_in_the_middle_of_the_input() -> None:
    # 572 in, 388 out: 92 on each side; pixel edges are half a pixel off their centres
    assert _extent((572, 572), (388, 388)) == (91.5, 479.5, 479.5, 91.5)
    assert _extent((20, 40), (20, 40)) == (-0.5, 39.5, 19.5, -0.5)


@pytest.mark.parametrize(
    ("images", "targets", "weights", "words"),
    [
        ((2, 8, 8), (2, 4, 4), (2, 4, 4), "are not patches; give"),
        ((2, 1, 8, 8), (2, 4, 4), (2, 4, 5), "are not patches; give"),
        ((2, 1, 8, 8), (3, 4, 4), (3, 4, 4), "do not belong together; give as many outputs"),
        ((2, 1, 8, 8), (2, 4, 9), (2, 4, 9), "none larger than its input"),
        ((0, 1, 8, 8), (0, 4, 4), (0, 4, 4), "do not belong together"),
    ],
)
def test_patches_that_do_not_fit_are_refused(
    images: tuple[int, ...], targets: tuple[int, ...], weights: tuple[int, ...], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ShapeError, match=words):
        patches_figure(np.zeros(images), np.zeros(targets, int), np.zeros(weights), tmp_path / "p.png")


def test_importing_draw_is_light() -> None:
    code = (
        "import sys, unseam.draw, unseam.report; print(*{'matplotlib', 'torch', 'jinja2'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
