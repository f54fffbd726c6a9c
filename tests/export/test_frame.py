"""The frame around a network: the paper's numbers, and blocks that fit together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.test_geometry import axes

from unseam.export.frame import Frame, frame_of
from unseam.geometry import AxisGeometry, Geometry


def test_the_paper_s_network_by_hand() -> None:
    # 208 in, less 4 at the beginning: 204 = 188 + 16, a valid size. 204 - 184 = 20 out, less 4 at its end.
    # What is kept begins at 4 + 92 = 96 of 208, and ends 96 before the end: 96 + 16 + 96 = 208.
    frame = frame_of(Geometry.regular(spatial_dims=2, depth=4))
    assert frame == Frame(extra=(4, 4), halo=(96, 96), step=(16, 16))
    assert frame.input_for(1) == frame.input_for(16) == (208, 208)
    assert frame.input_for(17) == (224, 224)


def test_an_axis_that_nothing_happens_along_has_no_frame() -> None:
    flat = Geometry.from_levels([(1, 3), (1, 3)], [(1, 2)])
    assert frame_of(flat).extra[0] == frame_of(flat).halo[0] == 0


@given(axes(), st.integers(0, 5))
def test_what_is_kept_is_a_multiple_of_the_grid_and_in_the_middle(axis: AxisGeometry, more: int) -> None:
    frame = frame_of(Geometry((axis,)))
    (extra,), (halo,), (step,) = frame.extra, frame.halo, frame.step
    size = frame.input_for(1)[0] + more * step
    given_to_network = size - extra
    assert axis.is_valid(given_to_network)
    kept = axis.output(given_to_network) - extra
    assert kept == size - 2 * halo == (1 + more) * axis.grid
    assert extra + axis.halo == halo  # where what is kept begins
    assert 0 <= extra < axis.grid
