"""ImageJ regions: exact by ImageJ's own rule, read back, and bounded."""

from __future__ import annotations

import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZIP_LZMA, ZipFile

import numpy as np
import pytest
import roifile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from roifile import ROI_OPTIONS, ROI_SUBTYPE, ROI_TYPE, ImagejRoi
from tests.reference.outlines import imagej_mask, label_images

from unseam.errors import FileReadError, InputError, LabelError, OutputExistsError
from unseam.io.annotations import regions
from unseam.io.annotations.imagej import read_rois, write_rois
from unseam.io.annotations.outlines import outlines
from unseam.io.annotations.rasterise import rasterise
from unseam.io.annotations.record import Shape

slow = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
PIXEL = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]])


def region(roitype: ROI_TYPE, **fields: Any) -> ImagejRoi:
    return ImagejRoi(roitype=roitype, **fields)


def drawn(points: Any, roitype: ROI_TYPE = ROI_TYPE.POLYGON) -> ImagejRoi:
    roi = ImagejRoi.frompoints(np.asarray(points), name="hand drawn")
    roi.roitype = roitype
    return roi


def not_a_number() -> ImagejRoi:
    roi = drawn([[0, 0], [4, 0], [3.5, 3]])
    roi.subpixel_coordinates[1, 1] = np.nan
    return roi


def stored(folder: Path, *rois: ImagejRoi) -> Path:
    path = folder / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        for number, roi in enumerate(rois, start=1):
            file.writestr(f"region {number}.roi", roi.tobytes())
    return path


def test_by_hand(tmp_path: Path) -> None:
    shapes = outlines(np.array([[0, 7, 7], [12, 0, 0], [0, 12, 0]]))
    write_rois(tmp_path / "a.zip", shapes)
    with zipfile.ZipFile(tmp_path / "a.zip") as file:
        assert file.namelist() == ["0007.roi", "0012.roi"]
    simple, parts = roifile.roiread(tmp_path / "a.zip")
    assert (simple.name, simple.roitype) == ("0007", ROI_TYPE.TRACED)
    assert (simple.left, simple.top, simple.right, simple.bottom) == (1, 0, 3, 1)
    assert simple.coordinates().tolist() == [[1, 0], [3, 0], [3, 1], [1, 1]]  # x, y
    assert (parts.name, parts.roitype, parts.composite) == ("0012", ROI_TYPE.RECT, True)
    assert len(parts.coordinates(multi=True)) == 2


@slow
@given(label_images)
def test_imagej_fills_the_very_pixels(tmp_path: Path, labels: NDArray[np.int32]) -> None:
    write_rois(tmp_path / "a.zip", outlines(labels), overwrite=True)
    for roi in roifile.roiread(tmp_path / "a.zip"):
        mask = imagej_mask(roi.coordinates(multi=True), *labels.shape)
        assert np.array_equal(mask, labels == int(roi.name))


@slow
@given(label_images)
def test_what_is_written_is_read(tmp_path: Path, labels: NDArray[np.int32]) -> None:
    height, width = labels.shape
    write_rois(tmp_path / "a.zip", outlines(labels), overwrite=True)
    read = read_rois(tmp_path / "a.zip")
    assert read.source == tmp_path / "a.zip"
    assert np.array_equal(rasterise(read.shapes, (height, width)), labels)


def test_all_that_a_shape_says(tmp_path: Path) -> None:
    shapes = [
        Shape(7, (PIXEL,), "cell é", "tumour", 0),
        Shape(7, (PIXEL + 1,), "", "", 11),
        Shape(8, (np.array([[2.0, 0.25]]),), "p", frame=0, is_point=True),
    ]
    write_rois(tmp_path / "a.zip", shapes)
    with zipfile.ZipFile(tmp_path / "a.zip") as file:
        assert file.namelist() == ["t01-0007.roi", "t12-0007.roi", "t01-0008.roi"]
    first = roifile.roiread(tmp_path / "a.zip")[0]
    assert (first.position, first.t_position, first.props) == (1, 1, "class: tumour\n")
    for one, read in zip(shapes, read_rois(tmp_path / "a.zip").shapes, strict=True):
        assert (read.id, read.name, read.class_name) == (one.id, one.name, one.class_name)
        assert (read.frame, read.is_point) == (one.frame, one.is_point)
        assert np.array_equal(read.rings[0], one.rings[0])


def test_names_that_roifile_cannot_count(tmp_path: Path) -> None:
    write_rois(tmp_path / "a.roi", [Shape(1, (PIXEL,), "a\U0001f600b\nc", "d\ne")])
    (shape,) = read_rois(tmp_path / "a.roi").shapes
    assert (shape.id, shape.name, shape.class_name) == (1, "a?b c", "d e")


def test_a_single_region(tmp_path: Path) -> None:
    write_rois(tmp_path / "0005.roi", [Shape(5, (PIXEL,))])
    (shape,) = read_rois(tmp_path / "0005.roi").shapes
    assert shape.id == 5 and np.array_equal(shape.rings[0], PIXEL)


@pytest.mark.parametrize(
    ("start", "roitype", "floats"),
    [
        (0, ROI_TYPE.TRACED, False),
        (60534, ROI_TYPE.TRACED, False),  # the last corner at 60535
        (60535, ROI_TYPE.POLYGON, True),  # ImageJ takes 60536 for -5000
        (100_000, ROI_TYPE.POLYGON, True),
        (2**24 - 1, ROI_TYPE.POLYGON, True),
        (-1, ROI_TYPE.POLYGON, True),
        (0.25, ROI_TYPE.POLYGON, True),
    ],
)
@pytest.mark.parametrize("parts", [1, 2])
def test_coordinates_of_the_whole_slide(
    tmp_path: Path, start: float, roitype: ROI_TYPE, floats: bool, parts: int
) -> None:
    rings = tuple(PIXEL + np.array([start - 2 * k, start]) for k in range(parts))
    write_rois(tmp_path / "a.roi", [Shape(1, rings)])
    roi = roifile.roiread(tmp_path / "a.roi")
    assert (roi.roitype, roi.subpixelresolution) == (
        (roitype, floats) if parts == 1 else (ROI_TYPE.RECT, False)
    )
    for ring, read in zip(rings, read_rois(tmp_path / "a.roi").shapes[0].rings, strict=True):
        assert np.array_equal(ring, read)


def test_rings_of_many_corners_are_composites(tmp_path: Path) -> None:
    angle = np.linspace(0, 2 * np.pi, 61_000, endpoint=False)
    ring = 500 + 500 * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    write_rois(tmp_path / "a.roi", [Shape(1, (ring,))])
    assert roifile.roiread(tmp_path / "a.roi").composite
    (read,) = read_rois(tmp_path / "a.roi").shapes
    assert np.allclose(read.rings[0], ring, atol=1e-4)


def test_polygons_of_all_kinds(tmp_path: Path) -> None:
    corners = [[1, 0], [3, 0], [3, 2], [1, 2]]  # x, y
    finer = [[1.25, 0.5], [3, 0.5], [3, 2]]
    kinds = [ROI_TYPE.POLYGON, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED]
    path = stored(tmp_path, *(drawn(corners, kind) for kind in kinds), drawn(finer))
    shapes = read_rois(path).shapes
    assert [one.id for one in shapes] == [1, 2, 3, 4]
    assert [one.name for one in shapes] == ["hand drawn"] * 4
    for one in shapes[:3]:
        assert one.rings[0][:, ::-1].tolist() == corners
    assert shapes[3].rings[0][:, ::-1].tolist() == finer


def test_rectangles(tmp_path: Path) -> None:
    whole = region(ROI_TYPE.RECT, top=1, left=2, bottom=4, right=7)
    finer = region(
        ROI_TYPE.RECT, options=ROI_OPTIONS.SUB_PIXEL_RESOLUTION, xd=0.5, yd=1.25, widthd=2, heightd=3
    )
    one, other = read_rois(stored(tmp_path, whole, finer)).shapes
    assert one.rings[0].tolist() == [[1, 2], [1, 7], [4, 7], [4, 2]]
    assert other.rings[0].tolist() == [[1.25, 0.5], [1.25, 2.5], [4.25, 2.5], [4.25, 0.5]]


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (7, 8), (12, 5), (9, 1)])
def test_ovals_are_the_pixels_whose_centres_they_hold(tmp_path: Path, size: tuple[int, int]) -> None:
    height, width = size
    roi = region(ROI_TYPE.OVAL, top=1, left=2, bottom=1 + height, right=2 + width)
    expected = [
        [
            int((2 * (y - 1) + 1 - height) ** 2 / height**2 + (2 * (x - 2) + 1 - width) ** 2 / width**2 <= 1)
            for x in range(14)
        ]
        for y in range(14)
    ]
    assert rasterise(read_rois(stored(tmp_path, roi)).shapes, (14, 14)).tolist() == expected


def test_an_oval_that_holds_no_centre(tmp_path: Path) -> None:
    roi = region(
        ROI_TYPE.OVAL, options=ROI_OPTIONS.SUB_PIXEL_RESOLUTION, xd=0.75, yd=0.75, widthd=0.5, heightd=0.5
    )
    (shape,) = read_rois(stored(tmp_path, roi)).shapes
    assert not rasterise([shape], (2, 2)).any()


def test_points(tmp_path: Path) -> None:
    shapes = read_rois(
        stored(tmp_path, drawn([[3, 1], [5, 2]], ROI_TYPE.POINT), drawn([[3.25, 1.0]], ROI_TYPE.POINT))
    ).shapes
    assert all(one.is_point for one in shapes) and [one.id for one in shapes] == [1, 2, 3]
    # whole coordinates name a pixel, whose centre is half a pixel further
    assert [one.rings[0].tolist() for one in shapes] == [[[1.5, 3.5]], [[2.5, 5.5]], [[1.0, 3.25]]]


def test_a_composite_without_a_last_close(tmp_path: Path) -> None:
    path = np.array([0, 0, 0, 1, 4, 0, 1, 4, 4, 4, 0, 1, 1, 1, 2, 1, 1, 2, 2, 0, 9, 9], np.float32)
    roi = region(ROI_TYPE.RECT, shape_roi_size=len(path), multi_coordinates=path)
    (shape,) = read_rois(stored(tmp_path, roi)).shapes  # the third part is a single corner
    assert [ring[:, ::-1].tolist() for ring in shape.rings] == [
        [[0, 0], [4, 0], [4, 4]],
        [[1, 1], [2, 1], [2, 2]],
    ]


def test_what_encloses_nothing_is_left_out_and_told(tmp_path: Path) -> None:
    told: list[str] = []
    kinds = [ROI_TYPE.LINE, ROI_TYPE.FREELINE, ROI_TYPE.POLYLINE, ROI_TYPE.ANGLE]
    lines = [drawn([[0, 0], [1, 1], [2, 0]], kind) for kind in kinds]
    text = region(ROI_TYPE.RECT, subtype=ROI_SUBTYPE.TEXT, bottom=3, right=3, text="a", text_name="b")
    path = stored(tmp_path, *lines, text, drawn([[0, 0], [1, 1], [2, 0]]))
    assert len(read_rois(path, say=told.append).shapes) == 1
    assert told == ["a.zip: 5 regions that enclose no area were left out (region 1, region 2, region 3, ...)"]


def test_a_spline_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    roi = drawn([[0, 0], [4, 0], [4, 4]])
    roi.options = ROI_OPTIONS.SPLINE_FIT
    assert len(read_rois(stored(tmp_path, roi), say=told.append).shapes) == 1
    assert told[0].endswith("region 1.roi is fitted with a spline; its corners were joined by straight lines")


def test_frames(tmp_path: Path) -> None:
    at_time, in_stack = drawn([[0, 0], [4, 0], [4, 4]]), drawn([[0, 0], [4, 0], [4, 4]])
    at_time.position, at_time.t_position, in_stack.position = 9, 3, 2
    shapes = read_rois(stored(tmp_path, at_time, in_stack, drawn([[0, 0], [4, 0], [4, 4]]))).shapes
    assert [one.frame for one in shapes] == [2, 1, None]


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["5.roi", "a/0003.roi"], [5, 3]),
        (["t1-5.roi", "t2-5.roi"], [1, 2]),  # of no frame, as the regions themselves say
        (["5.roi", "cell.roi"], [1, 2]),
        (["0123-0456.roi", "0123-0457.roi"], [1, 2]),  # ImageJ's own names, of y and x
        (["9999999999.roi", "3.roi"], [1, 2]),
    ],
)
def test_ids_are_names(tmp_path: Path, names: list[str], ids: list[int]) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for name in names:
            file.writestr(name, drawn([[0, 0], [4, 0], [4, 4]]).tobytes())
        file.writestr("__MACOSX/._5.roi", b"of macOS")
        file.writestr("readme.txt", b"of someone")
        file.writestr("folder/", b"")
    assert [one.id for one in read_rois(tmp_path / "a.zip").shapes] == ids


@pytest.mark.parametrize(
    ("roi", "error", "message"),
    [
        (b"no region", FileReadError, r"a.zip, entry region.roi is no ImageJ region, or damaged"),
        (b"", FileReadError, "entry region.roi is no ImageJ region, or damaged"),
        (
            drawn([[0, 0], [4, 0], [4, 4]]).tobytes()[:70],
            FileReadError,
            "entry region.roi is no ImageJ region",
        ),
        (
            b"Iout\x00\xe4\x63" + bytes(70),
            FileReadError,
            "region.roi is a region of type 99; known are 0 to 10",
        ),
        (
            region(ROI_TYPE.RECT, bottom=9, right=9, rounded_rect_arc_size=3).tobytes(),
            FileReadError,
            "region.roi has round corners, which are not read; make a polygon",
        ),
        (
            region(
                ROI_TYPE.RECT, shape_roi_size=6, multi_coordinates=np.array([0, 0, 0, 2, 1, 1], np.float32)
            ).tobytes(),
            FileReadError,
            "region.roi has curves, which are not read; make polygons",
        ),
        (
            region(ROI_TYPE.RECT, shape_roi_size=2, multi_coordinates=np.array([0, 0], np.float32)).tobytes(),
            FileReadError,
            "region.roi has a path that cannot be followed",
        ),
        (
            region(
                ROI_TYPE.RECT, shape_roi_size=3, multi_coordinates=np.array([0, 0, 0], np.float32)
            ).tobytes(),
            InputError,
            "region.roi encloses nothing; draw it again",
        ),
        (
            drawn([[0, 0], [4, 0]]).tobytes(),
            InputError,
            "region.roi has 2 corners; a polygon needs 3 or more",
        ),
        (
            not_a_number().tobytes(),
            FileReadError,
            "region.roi has coordinates beyond any",
        ),
    ],
)
def test_what_is_broken_is_refused_by_name(
    tmp_path: Path, roi: bytes, error: type[Exception], message: str
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("region.roi", roi)
    with pytest.raises(error, match=message):
        read_rois(tmp_path / "a.zip")


@slow
@given(st.data())
def test_damage_is_never_a_traceback(tmp_path: Path, data: st.DataObject) -> None:
    whole = bytearray(drawn([[0, 0], [4, 0], [4, 4.5]]).tobytes())
    for _ in range(3):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "a.roi").write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    with suppress(FileReadError, InputError):
        read_rois(tmp_path / "a.roi")


def test_zips_that_cannot_be_unpacked(tmp_path: Path) -> None:
    path = stored(tmp_path, drawn([[0, 0], [4, 0], [4, 4]]))
    with pytest.raises(FileReadError, match=r"cannot read .*none.zip: No such file"):
        read_rois(tmp_path / "none.zip")
    (tmp_path / "b.zip").write_bytes(b"no zip")
    with pytest.raises(FileReadError, match=r"b.zip is no zip file: .*; save the regions again"):
        read_rois(tmp_path / "b.zip")
    damaged = bytearray(path.read_bytes())
    damaged[len("PK..") + 70] ^= 255  # a byte of the region
    path.write_bytes(damaged)
    with pytest.raises(
        FileReadError, match=r"a.zip, entry region 1.roi cannot be unpacked: .*; save it again"
    ):
        read_rois(path)


def test_zips_that_hold_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stored(tmp_path, *[drawn([[0, 0], [4, 0], [4, 4]])] * 3)
    monkeypatch.setattr(regions, "ENTRIES", 2)
    with pytest.raises(
        FileReadError, match=r"a.zip would unpack to 3 regions of 0.0 GB in all, more than 2 or"
    ):
        read_rois(path)
    monkeypatch.undo()
    monkeypatch.setattr(regions, "BYTES", 100)
    with pytest.raises(FileReadError, match=r"a.zip would unpack to 3 regions"):
        read_rois(path)


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    one = Shape(1, (PIXEL,))
    with pytest.raises(
        InputError, match=r"a.txt is no name for ImageJ regions; give one ending in .zip, or .roi"
    ):
        write_rois(tmp_path / "a.txt", [one])
    with pytest.raises(InputError, match=r"a.roi holds one shape, 2 were given; give a name ending in .zip"):
        write_rois(tmp_path / "a.roi", [one, one])
    with pytest.raises(LabelError, match=r"two shapes would be called 0001.roi; give each an id of its own"):
        write_rois(tmp_path / "a.zip", [one, one])
    with pytest.raises(
        InputError, match=r"shape 1 \('far'\) lies at 16777217 px; up to 16777216 ImageJ keeps"
    ):
        write_rois(tmp_path / "a.zip", [Shape(1, (PIXEL + 2**24,), "far")])
    assert not (tmp_path / "a.zip").exists()
    write_rois(tmp_path / "a.zip", [one])
    with pytest.raises(OutputExistsError, match="exists already"):
        write_rois(tmp_path / "a.zip", [one])


def test_the_same_shapes_make_the_same_file(tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        write_rois(tmp_path / name, [Shape(1, (PIXEL,))])
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


@pytest.mark.parametrize("packing", [ZIP_DEFLATED, ZIP_BZIP2, ZIP_LZMA])
def test_damage_to_zips_of_any_packing(tmp_path: Path, packing: int) -> None:
    region = stored(tmp_path, drawn([[0, 0], [4, 0], [4, 4]]))
    with ZipFile(region) as file:
        content = file.read(file.namelist()[0])
    with ZipFile(tmp_path / "b.zip", "w", packing) as file:
        file.writestr("b.roi", content)
    damaged = bytearray((tmp_path / "b.zip").read_bytes())
    start = 30 + len("b.roi")
    damaged[start : start + 14] = b"\xff" * 14
    (tmp_path / "b.zip").write_bytes(damaged)
    with pytest.raises(FileReadError, match=r"b.zip, entry b.roi cannot be unpacked: .*; save it again"):
        read_rois(tmp_path / "b.zip")
