"""The page as a whole."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from unseam.errors import OutputExistsError, ShapeError
from unseam.metrics.error_sizes import ErrorCounts, SizeGroup
from unseam.metrics.scores import pool, score
from unseam.report import Report, ReportImage, write_report

VOID = {"meta", "input", "img", "source", "br", "link"}


class Page(HTMLParser):
    """Text, headings and references of a page; fails where tags are not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.references: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.references += [value or "" for name, value in attrs if name in ("href", "src", "srcset")]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def image(stem: str, true: NDArray[np.int32], pred: NDArray[np.int32], **changes: object) -> ReportImage:
    picture = np.random.default_rng(0).integers(0, 255, (1, *true.shape)).astype(np.uint8)
    return replace(ReportImage(stem, picture, true, pred, score(true, pred).to_dict()), **changes)  # type: ignore[arg-type]


def two_images() -> tuple[ReportImage, ReportImage]:
    true = np.zeros((40, 50), np.int32)
    true[2:10, 2:10], true[20:30, 20:30] = 1, 2
    pred = np.where(true == 1, 1, 0).astype(np.int32)
    return image("good", true, true), image("bad <i>&", true, pred)


def a_report() -> Report:
    good, bad = two_images()
    scores = pool([score(one.labels_true, one.labels_pred) for one in (good, bad)]).to_dict()  # type: ignore[arg-type]
    return Report(
        title="Cells <b>",
        headline=[("Model", "a.safetensors & more")],
        history=[{"iteration": k, "seconds": k, "loss": 1.0, "val_ap50": 0.5} for k in range(3)],
        images=(good, bad),
        scores=scores,
        command="unseam train <images>",
        notes=("A remark.",),
    )


def written(report: Report, folder: Path) -> Page:
    write_report(folder / "report.html", report, overwrite=True)
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_the_page_says_what_happened(tmp_path: Path) -> None:
    page = written(a_report(), tmp_path)
    text = re.sub(r"\s+", " ", page.text)
    assert "Of 4 objects in 2 images, 3 are found (IoU 0.5 or more, 1.00 in the mean); 1 is missed." in text
    assert "0.750AP at IoU 0.5" in text.replace(" AP", "AP")  # 3 of 3 + 1
    assert "75 % of 4 true" in text
    for heading in ("Training", "Scores", "The worst objects", "Images, worst first", "How it was made"):
        assert heading in text


def test_names_are_escaped(tmp_path: Path) -> None:
    page = written(a_report(), tmp_path)
    for name in ("Cells <b>", "bad <i>&", "a.safetensors & more", "unseam train <images>"):
        assert name in page.text
    assert not {"b>", "i>", "images"} & set(page.tags)


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    page = written(a_report(), tmp_path)
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert {reference.split(",")[0] for reference in page.references if reference[0] != "#"} <= {
        "data:image/png;base64",
        "data:image/jpeg;base64",
    }
    assert {reference[1:] for reference in page.references if reference[0] == "#"} <= set(page.ids)
    assert len(set(page.ids)) == len(page.ids)


def test_the_worst_image_comes_first(tmp_path: Path) -> None:
    text = written(a_report(), tmp_path).text
    images = text[text.index("Images, worst first") :]
    assert images.index("bad <i>&") < images.index("good")


def test_without_truth_the_page_counts(tmp_path: Path) -> None:
    images = tuple(replace(one, labels_true=None, scores=None) for one in two_images())
    page = written(Report("Prediction", images=images), tmp_path)
    assert "3 objects found in 2 images. There is no truth to compare with." in page.text
    for absent in ("Training", "Scores", "The worst objects", "worst first", "How it was made"):
        assert absent not in page.text


def test_an_empty_report_is_a_page(tmp_path: Path) -> None:
    assert "Nothing yet" in written(Report("Nothing yet"), tmp_path).text


def test_foreground_is_scored_by_pixels(tmp_path: Path) -> None:
    page = written(replace(a_report(), semantic=True), tmp_path)
    # 164 of 2 x 164 true pixels twice, 100 of them missed once: dice = 2 * 228 / (328 + 228)
    assert "Prediction and truth overlap with a Dice of 0.820 in 2 images; 2.5 % of the pixels" in page.text
    assert "The worst objects" not in page.text


def test_undefined_scores_are_dashes(tmp_path: Path) -> None:
    nothing = np.zeros((8, 8), np.int32)
    scores = pool([score(nothing, nothing)]).to_dict()
    page = written(Report("Empty", images=(image("empty", nothing, nothing),), scores=scores), tmp_path)
    assert "There are no true objects in 1 image." in page.text
    assert "\N{EN DASH}" in page.text
    assert "nan" not in page.text.lower()
    assert "None" not in page.text


def test_volumes_and_colours(tmp_path: Path) -> None:
    true = np.zeros((5, 20, 24), np.int32)
    true[1:4, 3:9, 3:9] = 4
    volume = image("stack", true, true)
    rgb = image("rgb", true[2], true[2], image=np.zeros((3, 20, 24), np.uint8))
    text = written(Report("Both", images=(volume, rgb)), tmp_path).text
    assert "slice z = 2 of 5" in text
    assert "All 2 objects in 2 images are found" in text


def test_only_the_worst_of_many_images_are_pictured(tmp_path: Path) -> None:
    good, bad = two_images()
    page = written(Report("Many", images=(*[good] * 44, bad)), tmp_path)
    assert "The 40 worst of 45 images; all are counted above." in page.text
    assert "Of 90 objects in 45 images, 89 are found" in page.text
    assert page.text.count("good") == 39


def test_labels_of_another_size_are_refused(tmp_path: Path) -> None:
    good, _ = two_images()
    wrong = replace(good, labels_pred=np.zeros((40, 51), np.int32))
    with pytest.raises(
        ShapeError, match=r"good: predicted labels of shape \(40, 51\) do not fit .* \(1, 40, 50\); give"
    ):
        write_report(tmp_path / "report.html", Report("Wrong", images=(wrong,)))
    assert list(tmp_path.iterdir()) == []


def test_a_report_is_not_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(OutputExistsError, match="give --overwrite"):
        write_report(tmp_path / "report.html", Report("New"))
    assert (tmp_path / "report.html").read_text() == "mine"


@pytest.mark.real
def test_a_report_on_real_nuclei_is_small(real_data: Path, tmp_path: Path) -> None:
    with open(real_data / "dsb2018" / "index.csv", newline="") as file:
        ids = [row["id"] for row in csv.DictReader(file) if row["split"] == "test"][:4]
    images = []
    for one in ids:
        with Image.open(real_data / "dsb2018" / "images" / f"{one}.png") as picture:
            data = np.array(picture)[None]
        labels = tifffile.imread(real_data / "dsb2018" / "labels" / f"{one}.tif").astype(np.int32)
        images.append(ReportImage(one, data, labels, np.where(labels % 5 == 1, 0, labels)))
    page = written(Report("Nuclei", images=images), tmp_path)
    n_true = sum(len(np.unique(one.labels_pred)) - 1 for one in images)
    assert f"{n_true:,} are found (IoU 0.5 or more)" in page.text
    assert (tmp_path / "report.html").stat().st_size < 4 * 500_000  # so 30 images stay below 15 MB


def page_of(folder: Path, report: Report) -> str:
    path = folder / "report.html"
    write_report(path, report, overwrite=True)
    return path.read_text(encoding="utf-8")


def test_errors_by_size_are_a_table_of_diameters(tmp_path: Path) -> None:
    errors = (SizeGroup(4, 20, ErrorCounts(found=3, missed=1)), SizeGroup(79, 79, ErrorCounts(found=2)))
    true = np.zeros((8, 8), np.int32)
    page = Page(page_of(tmp_path, Report("sizes", images=[image("a", true, true)], errors=errors)))
    # 2 sqrt(4 / pi) = 2.3, 2 sqrt(20 / pi) = 5.05, 2 sqrt(79 / pi) = 10.03
    assert "2 to 5 px" in page.text and "10 px" in page.text and "10 to" not in page.text
    semantic = Report("sizes", images=[image("a", true, true)], errors=errors, semantic=True)
    assert "Errors by size" not in Page(page_of(tmp_path, semantic)).text
