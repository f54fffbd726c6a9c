"""Verify: the true network passes on any image, and every kind of seam is found and placed."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.broken import with_seams
from tests.tiny import samples, trained_run, untrained

from unseam import normalize
from unseam.config import ObjectConfig
from unseam.decisions import Masks
from unseam.errors import ConfigError, InputError, OutputExistsError, ShapeError
from unseam.geometry import Geometry
from unseam.grid import Region
from unseam.io.images import write_png, write_tiff
from unseam.io.ome_zarr.layout import Layout
from unseam.io.ome_zarr.write import create, write
from unseam.io.source import Source
from unseam.prediction import Model, Prepared, load_model, region
from unseam.streaming import passes
from unseam.streaming.job import ImageSpec
from unseam.tile_rule import TileRule
from unseam.tiling import TilePlan, plan_tiles
from unseam.verification.record import EXACT, TOLERANCE
from unseam.workflow.listener import SILENT, Listener, Step
from unseam.workflow.verifying import Verified, verify_file

Array = NDArray[Any]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_model(trained_run(tmp_path_factory), device="cpu")


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> ImageSpec:
    """An image of cells, 90 x 70 pixels of the model's own size."""
    return written(tmp_path_factory.mktemp("cells"), samples(1, size=90, seed=9)[0].image[0, :, :70], "YX")


def written(folder: Path, image: Array, axes: str, pixel: float | None = 0.5) -> ImageSpec:
    spacing = (pixel,) * sum(letter in "ZYX" for letter in axes) if pixel else None
    write_tiff(folder / "image.tif", image, axes=axes, spacing=spacing)
    return ImageSpec(str(folder / "image.tif"))


def divided(model: Model, image: ImageSpec) -> Model:
    """The model at the threshold that decisions hang on the most: the median of the image itself."""
    source = image.open()[0]
    probabilities = model.predict(
        source.read(tuple((0, n) for n in source.shape)), spacing=source.spacing
    ).probabilities
    threshold = float(np.sort(1 - probabilities[0], axis=None)[probabilities[0].size // 2])
    return model.with_objects(threshold=threshold, min_size=0, grow=0)


def verified(model: Model, image: ImageSpec, **options: Any) -> Verified:
    return verify_file(model, image, **{"regions": 2, "tile": 24, "listener": SILENT, **options})


def assert_the_same(found: Verified, *, kinds: int = 6, objects: int = 2) -> None:
    """Passed, and not for want of looking: several cuts, all within rounding, and objects in the labels."""
    certificate = found.certificate
    assert not certificate.is_broken and found.lines[0].startswith("the same in all ")
    assert len({cut.kind for cut in certificate.cuts}) >= kinds
    assert all(cut.decided == 0 and cut.pixels > 0 for cut in certificate.cuts)
    again = [cut.double for cut in certificate.cuts if cut.double is not None]
    assert again and max(again) <= EXACT
    assert len(certificate.whole) >= 3
    assert all(check.pixels == 0 and check.of_objects >= objects for check in certificate.whole)


# The true network


def test_an_image_of_cells_is_the_same_however_it_is_cut(model: Model, cells: ImageSpec) -> None:
    found = verified(model, cells, regions=3)
    assert_the_same(found)
    assert found.certificate.regions == 3 and found.certificate.shape == (90, 70)
    assert len(found.certificate.cuts) == 21 and len(found.certificate.whole) == 4
    assert found.certificate.worst.before <= TOLERANCE


def test_averaging_over_mirrored_versions(model: Model, cells: ImageSpec) -> None:
    assert_the_same(verified(model, cells, tta="mirror", regions=1))


@pytest.mark.parametrize("pixel", [0.3, 0.9])
def test_an_image_at_another_pixel_size(model: Model, tmp_path: Path, pixel: float) -> None:
    image = samples(1, size=72, seed=4)[0].image[0]
    spec = written(tmp_path, image, "YX", pixel)
    assert_the_same(verified(divided(model, spec), spec))


def test_a_volume(tmp_path: Path) -> None:
    image = np.random.default_rng(0).normal(size=(2, 13, 22, 20)).astype(np.float32)
    model = untrained(dims=3, channels=2)
    found = verified(model, written(tmp_path, image, "CZYX", None), tile=12, regions=1)
    assert_the_same(found, kinds=5)
    assert found.evidence.difference.ndim == 3


def test_colour(tmp_path: Path) -> None:
    colour = np.random.default_rng(0).integers(0, 255, (48, 60, 3)).astype(np.uint8)
    write_png(tmp_path / "colour.png", colour)
    spec = ImageSpec(str(tmp_path / "colour.png"))
    found = verified(divided(untrained(channels=3), spec), spec)
    assert_the_same(found)
    assert found.evidence.image.shape[0] == 3


def test_classes(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (70, 90)).astype(np.uint8)
    model = untrained(task="semantic", classes=3)
    found = verified(model, written(tmp_path, image, "YX", None))
    assert_the_same(found, objects=1)
    assert "regions have another label" in found.lines[0]


def test_a_grey_picture_saved_in_colour(model: Model, tmp_path: Path) -> None:
    grey = samples(1, size=40, seed=4)[0].image[0]
    grey = (255.0 * (grey - grey.min()) / np.ptp(grey)).astype(np.uint8)
    write_png(tmp_path / "grey.png", np.stack([grey] * 3, -1))
    spec = ImageSpec(str(tmp_path / "grey.png"))
    model = divided(model, replace(spec, select="c=0"))
    assert_the_same(verified(model, spec, regions=1), kinds=4)


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (1, 40)])
def test_images_smaller_than_a_tile(model: Model, tmp_path: Path, shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 99, shape).astype(np.uint8)
    found = verified(model, written(tmp_path, image, "YX"), tile="auto")
    assert not found.certificate.is_broken and found.certificate.cuts and found.certificate.whole


def test_where_rounding_is_large_double_precision_tells_it_from_a_seam(tmp_path: Path) -> None:
    """Pixels far above the rest make activations, and their rounding, that much larger."""
    rng = np.random.default_rng(0)
    image = rng.normal(100, 10, (160, 160)).astype(np.float32)
    image[rng.random(image.shape) < 0.0015] = 60000
    found = verified(untrained(), written(tmp_path, image, "YX"), tile=160, regions=1)
    assert found.certificate.worst.before > TOLERANCE
    assert not found.certificate.is_broken
    assert "and here more: in double precision" in found.lines[1]
    assert not found.evidence.differs.any()


def test_where_the_whole_does_not_fit_its_regions_are_compared(model: Model, cells: ImageSpec) -> None:
    found = verified(model, cells, memory=1)
    assert found.certificate.whole == () and not found.certificate.is_broken
    assert "are decided otherwise" in found.lines[0]
    assert found.lines[-1] == "the whole image was not compared: it does not fit into memory"


def test_an_image_that_does_not_fit_is_never_read_at_once(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, largest = samples(1, size=160, seed=9)[0].image, []
    layout = Layout("CYX", image.shape, image.dtype, chunk=(32, 32), spacing=(0.5, 0.5))
    create(tmp_path / "image.zarr", layout)
    write(tmp_path / "image.zarr", ((0, 160), (0, 160)), image)

    class Watched(ImageSpec):
        def open(self) -> tuple[Source, ...]:
            (source,) = super().open()

            def read(part: Region) -> Array:
                largest.append(math.prod(b - a for a, b in part))
                return source.read(part)

            return (replace(source, read=read),)

    monkeypatch.setitem(normalize.PART, 2, 64)
    found = verified(model, Watched(str(tmp_path / "image.zarr")), memory=1, regions=4)
    assert not found.certificate.is_broken and len(found.certificate.cuts) >= 20
    assert max(largest) <= 112 * 112 < image.size / 2  # a tile is compared with PyTorch


def test_the_seed_decides_the_regions(model: Model, cells: ImageSpec) -> None:
    def places(seed: int) -> list[Region]:
        found = verified(model, cells, memory=1, regions=4, seed=seed)
        return [cut.region for cut in found.certificate.cuts]

    assert places(0) == places(0) != places(1)


# Seams


@pytest.mark.parametrize("normed", [False, True])
def test_a_network_with_seams_is_found(model: Model, cells: ImageSpec, normed: bool) -> None:
    found = verified(with_seams(model, normed=normed), cells, memory=1)
    certificate = found.certificate
    assert certificate.is_broken and certificate.worst.before > 0.01
    assert certificate.worst.double == pytest.approx(certificate.worst.before, rel=1e-3)
    assert found.lines[0].startswith(f"NOT the same: {certificate.broken} of 14 other cuts of 2 regions")
    assert "no rounding" in found.lines[1]
    edges = [set().union(*(of_cut[axis] for of_cut in found.evidence.edges)) for axis in (0, 1)]
    for seam in certificate.worst.seams:
        assert seam.position in edges["YX".index(seam.axis)]
    assert any(cut.seams for cut in certificate.cuts)
    assert any(line.startswith("the difference jumps at edges of tiles: ") for line in found.lines)
    assert found.evidence.differs.any()


def test_away_from_its_seams_a_padded_network_is_not_blamed(model: Model, tmp_path: Path) -> None:
    """A cut in one tile of the same origin and another without an edge nearby agree there."""
    image = samples(1, size=160, seed=3)[0].image[0]
    found = verified(with_seams(model), written(tmp_path, image, "YX"), tile=160, memory=1, regions=1)
    difference, edges = found.evidence.difference, found.evidence.edges
    near = np.zeros(difference.shape, bool)
    for of_cut in edges:
        for axis, places in enumerate(of_cut):
            for edge in (0, difference.shape[axis], *places):
                view = [slice(None)] * 2
                view[axis] = slice(max(0, edge - 12), edge + 12)
                near[tuple(view)] = True
    assert (~near).sum() > 100
    assert difference[~near].max() < TOLERANCE < 0.01 < difference[near].max()


def test_labels_that_settling_saved_are_not_taken_for_proof(model: Model, tmp_path: Path) -> None:
    image = samples(1, size=40, seed=3)[0].image[0]
    found = verified(with_seams(model), written(tmp_path, image, "YX"), regions=1)
    assert found.certificate.is_broken
    if not any(check.is_broken for check in found.certificate.whole):
        assert any(line.startswith("labels agree only because") for line in found.lines)


def test_tiles_that_begin_off_the_grid_are_found(
    model: Model, cells: ImageSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off_grid(prepared: Prepared, inner: Region, *, before: int = 0) -> tuple[TilePlan, list[int]]:
        """As `tiles_of`, but the first tile begins with the region wherever that is."""
        steps = prepared.geometry.grid
        origin = [a - before * step for (a, _), step in zip(inner, steps, strict=True)]
        shape = [b - o for (_, b), o in zip(inner, origin, strict=True)]
        return plan_tiles(shape, prepared.geometry, prepared.tile), origin

    monkeypatch.setattr(region, "tiles_of", off_grid)
    found = verified(model, cells, memory=1, regions=4)
    broken = {cut.kind for cut in found.certificate.cuts if cut.is_broken}
    assert broken & {"larger region", "region elsewhere"}
    assert found.certificate.worst.before > 0.001


def test_tiles_whose_size_is_off_the_grid_are_found(
    model: Model, cells: ImageSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off_grid(shape: Any, geometry: Geometry, tile: Any, rule: TileRule) -> TilePlan:
        """As `plan_tiles`, but tiles follow each other at a pixel less than the grid has."""
        plan = plan_tiles(shape, geometry, tile, rule)
        return replace(plan, step=tuple(max(1, step - 1) for step in plan.step))

    monkeypatch.setattr(region, "plan_tiles", off_grid)
    assert verified(model, cells, memory=1).certificate.is_broken


def test_blocks_that_lose_a_row_are_found_and_placed(
    model: Model, cells: ImageSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Probabilities are right here; it is what joins the blocks that breaks."""
    right = passes.to_masks

    def wrong(probabilities: Array, objects: ObjectConfig) -> Masks:
        masks = right(probabilities, objects)
        masks.core[-6:], masks.core[:, -6:] = False, False
        return masks

    monkeypatch.setattr(passes, "to_masks", wrong)
    found = verified(divided(model, cells), cells, regions=1)
    certificate = found.certificate
    assert not any(cut.is_broken for cut in certificate.cuts)
    broken = [check for check in certificate.whole if check.is_broken]
    assert [check.kind for check in broken] == [
        "blocks of 46 against tiles of at most 24",
        "blocks of 30 against tiles of at most 24",
    ]
    assert all(0 < check.objects <= check.of_objects for check in broken)
    placed = {(seam.axis, seam.position) for seam in broken[0].seams}
    assert placed and placed <= {("Y", 46), ("X", 46)}
    assert any(line.startswith("labels part at edges of tiles or blocks: ") for line in found.lines)
    assert found.evidence.names[1].startswith("blocks of")
    assert found.evidence.differs.sum() > 0


def test_decisions_that_are_not_settled_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a threshold at which two cuts disagree by rounding alone."""
    image = np.random.default_rng(0).normal(size=(160, 160)).astype(np.float32)
    spec, model = written(tmp_path, image, "YX"), untrained()
    monkeypatch.setattr(region, "settle_decisions", lambda *_, **__: None)
    one, other = (model.predict(image, tile=tile).probabilities[0] for tile in (80, 160))
    apart = np.unravel_index(np.abs(one - other).argmax(), one.shape)
    between = 1 - (float(one[apart]) + float(other[apart])) / 2
    found = verified(model.with_objects(threshold=between, grow=0, min_size=0), spec, tile=160, regions=1)
    assert one[apart] != other[apart]
    assert any(check.is_broken for check in (*found.certificate.cuts, *found.certificate.whole))


# What is told and written


def test_progress_is_told_with_the_time_left(model: Model, cells: ImageSpec) -> None:
    steps: list[Step] = []
    lines: list[str] = []
    verified(model, cells, listener=Listener(lines.append, steps.append), regions=2)
    fractions = [step.fraction for step in steps if step.name == "verifying"]
    assert len(fractions) > 50 and fractions == sorted(fractions) and 0.9 < fractions[-1] < 1
    assert any(step.seconds_left for step in steps) and steps[-1].detail.endswith(" million pixels")
    assert sum(line.startswith("region ") for line in lines) == 2
    assert sum(line.startswith("whole image, ") for line in lines) == 4


def test_everything_is_written_where_asked_for(model: Model, cells: ImageSpec, tmp_path: Path) -> None:
    places = {"json_file": tmp_path / "a.json", "picture": tmp_path / "b.png", "report": tmp_path / "c.html"}
    found = verified(with_seams(model), cells, memory=1, regions=1, **places)
    values = json.loads(places["json_file"].read_text())
    assert values["same"] is False and values["tolerance"] == TOLERANCE
    assert [cut["kind"] for cut in values["cuts"]] == [cut.kind for cut in found.certificate.cuts]
    assert places["picture"].read_bytes().startswith(b"\x89PNG")
    page = places["report"].read_text()
    assert "NOT the same" in page and "data:image/png;base64," in page and "one large tile" in page
    with pytest.raises(OutputExistsError, match=r"a\.json exists already"):
        verified(model, cells, **places)
    verified(model, cells, memory=1, regions=1, overwrite=True, **places)
    assert json.loads(places["json_file"].read_text())["same"] is True


def test_what_cannot_be_verified(model: Model, cells: ImageSpec, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="regions is 0; it takes 1 or more"):
        verified(model, cells, regions=0)
    with pytest.raises(ConfigError, match="seed is -1; it must be at least 0"):
        verified(model, cells, seed=-1)
    with pytest.raises(InputError, match=r"the report is page\.txt; give a name that ends in \.html"):
        verified(model, cells, report="page.txt")
    two = written(tmp_path, np.random.default_rng(0).random((2, 20, 20)).astype(np.float32), "CYX")
    with pytest.raises(ShapeError, match=r"shape \(2, 20, 20\); this model takes 1 channel"):
        verified(model, two)
    film = written(tmp_path / "film", np.zeros((3, 20, 20), np.uint8), "TYX")
    with pytest.raises(InputError, match="has 3 time points and one is verified; choose it, as --select t=0"):
        verified(model, film)
    assert not verified(model, replace(film, select="t=1")).certificate.is_broken


# Real images


@pytest.mark.real
@pytest.mark.parametrize("name", ["isbi2012/images/00.png", "DIC-C2DH-HeLa/01/t000.tif"])
def test_real_images_are_the_same_however_they_are_cut(model: Model, real_data: Path, name: str) -> None:
    path = real_data / name
    if not path.exists():
        pytest.skip(f"{path} is absent")
    image = ImageSpec(str(path), select="y=100:400,x=60:360")
    assert_the_same(verified(divided(model, image), image, tile=128, regions=2))


@pytest.mark.real
def test_a_padded_network_has_seams_on_a_real_image(model: Model, real_data: Path) -> None:
    image = ImageSpec(str(real_data / "isbi2012/images/00.png"), select="y=100:300,x=60:260")
    found = verified(with_seams(model), image, tile=128, regions=1, memory=1)
    assert found.certificate.is_broken and found.certificate.worst.seams
