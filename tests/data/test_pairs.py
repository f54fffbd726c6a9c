"""Images find their labels by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unseam.data.pairs import Pair, find_pairs, read_pairs_csv
from unseam.errors import FileReadError, InputError, PairingError
from unseam.io.annotations.coco import write_coco
from unseam.io.annotations.files import list_labels
from unseam.io.annotations.record import Annotations
from unseam.io.images import list_images, read_image, read_labels, write_png


def folder(path: Path, *names: str) -> Path:
    path.mkdir(exist_ok=True)
    for name in names:
        (path / name).write_bytes(b"x")
    return path


def paired(pairing_pairs: tuple[Pair, ...]) -> list[tuple[str, str]]:
    return [(pair.image.name, pair.labels.name) for pair in pairing_pairs]


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("a.png", "a.tif"),
        ("a.png", "a_mask.png"),
        ("a.png", "a_masks.png"),
        ("a.png", "a_label.png"),
        ("a.png", "a_labels.tif"),
        ("a.png", "a_seg.png"),
        ("a.png", "a_GT.png"),
        ("a.png", "a_instances.tif"),
        ("a.png", "a-labels.tif"),
        ("a.png", "a_cp_masks.png"),
        ("a.png", "mask_a.png"),
        ("a.png", "Label_a.png"),
        ("a_image.png", "a.png"),
        ("a_IMG.png", "a_mask.png"),
        ("a_raw.tif", "a_seg.tif"),
        ("img_7.png", "mask_7.png"),
        ("a.ome.tif", "a_labels.ome.tif"),
        ("t002.tif", "man_seg002.tif"),
        ("t002.tif", "man_seg_002.tif"),
        ("t002.tif", "man_track002.tif"),
        ("t002.tif", "mask002.tif"),
        ("mask002.tif", "man_seg002.tif"),
        ("mask002.tif", "man_track002.tif"),
        ("mask002.tif", "t002.tif"),
        ("a_cp_masks.tif", "a.tif"),
        ("a_cp_masks.tif", "a_gt.tif"),
        ("a_cp_masks.png", "mask_a.tif"),
    ],
)
def test_conventions(tmp_path: Path, image: str, label: str) -> None:
    images, labels = folder(tmp_path / "i", image, "other.png"), folder(tmp_path / "l", label, "strange.png")
    pairing = find_pairs(images, labels)
    assert paired(pairing.pairs) == [(image, label)]
    assert [file.name for file in pairing.images_without_labels] == ["other.png"]
    assert [file.name for file in pairing.labels_without_image] == ["strange.png"]


def test_names_that_only_look_alike_do_not_match(tmp_path: Path) -> None:
    images = folder(tmp_path / "i", "t002.tif", "cell.png", "a.png")
    labels = folder(tmp_path / "l", "man_seg003.tif", "cellmask.png", "a.png")
    assert paired(find_pairs(images, labels).pairs) == [("a.png", "a.png")]


def test_pairs_are_in_the_natural_order_of_the_images(tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(12)]
    pairing = find_pairs(folder(tmp_path / "i", *names), folder(tmp_path / "l", *names))
    assert [pair.stem for pair in pairing.pairs] == [str(number) for number in range(12)]
    assert pairing.images_without_labels == pairing.labels_without_image == ()


def test_equal_stems_win(tmp_path: Path) -> None:
    images = folder(tmp_path / "i", "a.png", "a_raw.png")
    labels = folder(tmp_path / "l", "a.tif", "a_raw.tif", "a_mask.tif")
    pairing = find_pairs(images, labels)
    assert paired(pairing.pairs) == [("a.png", "a.tif"), ("a_raw.png", "a_raw.tif")]
    assert [file.name for file in pairing.labels_without_image] == ["a_mask.tif"]


def test_an_image_goes_before_a_prediction_beside_it(tmp_path: Path) -> None:
    images = folder(tmp_path / "i", "a.png", "a_cp_masks.png", "b.png", "b_cp_masks.png")
    labels = folder(tmp_path / "l", "a.tif", "b_gt.tif")
    pairing = find_pairs(images, labels)
    assert paired(pairing.pairs) == [("a.png", "a.tif"), ("b.png", "b_gt.tif")]
    assert [file.name for file in pairing.images_without_labels] == ["a_cp_masks.png", "b_cp_masks.png"]


def test_two_predictions_for_one_truth_are_refused(tmp_path: Path) -> None:
    predictions = folder(tmp_path / "p", "a_cp_masks.png", "a_seg.npy")
    with pytest.raises(PairingError, match=r"images a_cp_masks\.png and a_seg\.npy could both belong to lab"):
        find_pairs(predictions, folder(tmp_path / "l", "a.png"))


def test_one_folder_for_both(tmp_path: Path) -> None:
    both = folder(tmp_path, "a.png", "a_mask.png", "b.png", "b_mask.png", "c.png")
    pairing = find_pairs(both, tmp_path / ".")
    assert paired(pairing.pairs) == [("a.png", "a_mask.png"), ("b.png", "b_mask.png")]
    assert [file.name for file in pairing.images_without_labels] == ["c.png"]
    assert pairing.labels_without_image == ()


def test_two_files_are_a_pair_whatever_their_names(tmp_path: Path) -> None:
    folder(tmp_path, "a.png", "truth.tif")
    pairing = find_pairs(tmp_path / "a.png", tmp_path / "truth.tif")
    assert pairing.pairs == (Pair("a", tmp_path / "a.png", tmp_path / "truth.tif"),)


def test_a_file_and_a_folder(tmp_path: Path) -> None:
    labels = folder(tmp_path / "l", "a_mask.png", "b_mask.png")
    folder(tmp_path, "a.png")
    pairing = find_pairs(tmp_path / "a.png", labels)
    assert paired(pairing.pairs) == [("a.png", "a_mask.png")]


def test_two_candidates_are_refused(tmp_path: Path) -> None:
    images, labels = folder(tmp_path / "i", "a.png"), folder(tmp_path / "l", "a_mask.png", "a_seg.png")
    with pytest.raises(
        PairingError, match=r"a_mask\.png and a_seg\.png could both belong to image a\.png; remove"
    ):
        find_pairs(images, labels)


def test_two_images_for_one_label_are_refused(tmp_path: Path) -> None:
    images, labels = folder(tmp_path / "i", "a_img.png", "a_raw.png"), folder(tmp_path / "l", "a.png")
    with pytest.raises(
        PairingError, match=r"images a_img\.png and a_raw\.png could both belong to label file a\.p"
    ):
        find_pairs(images, labels)


@pytest.mark.parametrize("side", ["i", "l"])
def test_equal_stems_on_one_side_are_refused(tmp_path: Path, side: str) -> None:
    images, labels = folder(tmp_path / "i", "img.png"), folder(tmp_path / "l", "img.png")
    (tmp_path / side / "img.tif").touch()
    with pytest.raises(
        PairingError, match=r"img\.png and .*img\.tif share the name 'img'; remove or rename one"
    ):
        find_pairs(images, labels)


def test_nothing_matches(tmp_path: Path) -> None:
    images = folder(tmp_path / "i", "a.png", "b.png", "c.png", "d.png")
    labels = folder(tmp_path / "l", "v.png", "w.png")
    with pytest.raises(
        PairingError,
        match=r"are named a\.png, b\.png, c\.png, \.\.\.; labels v\.png, w\.png; name both alike.*CSV",
    ):
        find_pairs(images, labels)
    with pytest.raises(PairingError, match=r"labels \(none\)"):
        find_pairs(images, images)


def test_folders_that_are_absent_or_empty(tmp_path: Path) -> None:
    images = folder(tmp_path / "i", "a.png")
    with pytest.raises(FileReadError, match="absent does not exist"):
        find_pairs(images, tmp_path / "absent")
    with pytest.raises(InputError, match="holds no image"):
        find_pairs(folder(tmp_path / "empty"), images)


@pytest.mark.parametrize("separator", [",", ";"])
def test_csv(tmp_path: Path, separator: str) -> None:
    folder(tmp_path / "i", "a.png", "b.png")
    folder(tmp_path / "l", "x.png", "y.png")
    lines = ["image,labels,split", "i/a.png, l/x.png,train", f"{tmp_path}/i/b.png,l/y.png,"]
    text = "\ufeff" + "\r\n".join(lines).replace(",", separator)
    (tmp_path / "pairs.csv").write_bytes(text.encode())
    assert read_pairs_csv(tmp_path / "pairs.csv").pairs == (
        Pair("a", tmp_path / "i" / "a.png", tmp_path / "l" / "x.png", "train"),
        Pair("b", tmp_path / "i" / "b.png", tmp_path / "l" / "y.png", ""),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "starts with ''; expected the columns image,labels"),
        ("picture,labels\na.png,a.png", "starts with 'picture,labels'; expected the columns image,labels"),
        ("image,labels\n", "lists no pair"),
        (
            "image,labels\na.png,gone.png\nlost.png,a.png",
            r"lists 2 files that do not exist: gone\.png, lost\.png;",
        ),
        ("image,labels\na.png", "lists 1 files that do not exist"),
        ("image,labels\na.png,a.png\nsub/a.png,a.png", "share the name 'a'"),
    ],
)
def test_csv_that_cannot_be_used(tmp_path: Path, text: str, words: str) -> None:
    folder(tmp_path, "a.png")
    folder(tmp_path / "sub", "a.png")
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(PairingError, match=words):
        read_pairs_csv(tmp_path / "pairs.csv")


def test_csv_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileReadError, match=r"cannot read .*absent\.csv: No such file"):
        read_pairs_csv(tmp_path / "absent.csv")
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileReadError, match=r"cannot read .*a\.csv: .*utf-8"):
        read_pairs_csv(tmp_path / "a.csv")


def test_pairs_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "both").mkdir()
    write_png(tmp_path / "both" / "a.png", np.ones((3, 4), np.uint8))
    write_png(tmp_path / "both" / "a_mask.png", np.eye(3, 4, dtype=bool))
    (pair,) = find_pairs(tmp_path / "both", tmp_path / "both").pairs
    assert read_image(pair.image).data.sum() == 12
    assert read_labels(pair.labels).data.sum() == 3 * 255


# Annotations


def coco(path: Path, *names: str) -> Path:
    write_coco(path, [(name, Annotations((), (3, 4))) for name in names])
    return path


def test_annotations_are_labels_and_a_label_image_goes_before_them(tmp_path: Path) -> None:
    images = folder(tmp_path / "i", "a.png", "b.png", "c.png")
    labels = folder(tmp_path / "l", "a.zip", "b.geojson", "c.tif", "c.zip")
    pairs = find_pairs(images, labels).pairs
    assert paired(pairs) == [("a.png", "a.zip"), ("b.png", "b.geojson"), ("c.png", "c.tif")]


def test_images_and_their_annotations_may_share_a_folder(tmp_path: Path) -> None:
    both = folder(tmp_path / "both", "a.png", "a.geojson", "b.png", "b_mask.png", "c.png")
    pairing = find_pairs(both, both)
    assert paired(pairing.pairs) == [("a.png", "a.geojson"), ("b.png", "b_mask.png")]
    assert [path.name for path in pairing.images_without_labels] == ["c.png"]


def test_a_coco_file_is_the_labels_of_all_images_it_names(tmp_path: Path) -> None:
    images = folder(tmp_path / "i", "a.png", "b.tif", "c.png")
    pairing = find_pairs(images, coco(tmp_path / "set.json", "b.png", "a_mask.png", "d.png"))
    found = [(pair.stem, pair.labels.name, pair.within) for pair in pairing.pairs]
    assert found == [("a", "set.json", "a_mask.png"), ("b", "set.json", "b.png")]
    assert [path.name for path in pairing.images_without_labels] == ["c.png"]
    assert [path.name for path in pairing.labels_without_image] == ["d.png"]


def test_a_coco_file_may_name_the_frames_of_a_series(tmp_path: Path) -> None:
    images = folder(tmp_path / "i", "film.tif", "a.tif")
    (a, film) = find_pairs(images, coco(tmp_path / "s.json", "film_t000.tif", "film_t001.tif", "a.tif")).pairs
    assert (a.within, film.within, film.image.name) == ("a.tif", "film.tif", "film.tif")


def test_predictions_may_be_a_coco_file(tmp_path: Path) -> None:
    truths = folder(tmp_path / "t", "a.tif", "b.zip")
    found = find_pairs(coco(tmp_path / "set.json", "a.png", "b.png"), truths, list_first=list_labels).pairs
    assert [(pair.image.name, pair.labels.name, pair.within) for pair in found] == [
        ("set.json", "a.tif", "a.png"),
        ("set.json", "b.zip", "b.png"),
    ]


def test_two_files_are_a_pair_also_where_one_is_a_coco_file_of_one_image(tmp_path: Path) -> None:
    image = folder(tmp_path / "i", "a.png") / "a.png"
    (pair,) = find_pairs(image, coco(tmp_path / "one.json", "strange.png")).pairs
    assert (pair.stem, pair.within) == ("a", "")
    (pair,) = find_pairs(image, coco(tmp_path / "two.json", "strange.png", "a.png")).pairs
    assert (pair.stem, pair.within) == ("a", "a.png")


def test_annotations_of_one_name_are_refused(tmp_path: Path) -> None:
    images, labels = folder(tmp_path / "i", "a.png"), folder(tmp_path / "l", "a.zip", "a.geojson")
    with pytest.raises(
        PairingError, match=r"a\.geojson and .*a\.zip share the name 'a'; remove or rename one"
    ):
        find_pairs(images, labels)
    with pytest.raises(PairingError, match=r"a\.png and a\.tif share the name 'a'"):
        find_pairs(images, coco(tmp_path / "set.json", "a.png", "a.tif"))
    with pytest.raises(
        PairingError, match=r"no label file in .*set\.json belongs .* labels b\.png, c\.png; name"
    ):
        find_pairs(images, coco(tmp_path / "other" / "set.json", "b.png", "c.png"))


@pytest.mark.real
@pytest.mark.parametrize(
    ("images", "labels", "pairs", "left"),
    [
        ("isbi2012/images", "isbi2012/labels", 30, 0),
        ("dsb2018/images", "dsb2018/labels", 100, 0),
        ("DIC-C2DH-HeLa/01", "DIC-C2DH-HeLa/01_GT/SEG", 9, 75),
        ("DIC-C2DH-HeLa/02", "DIC-C2DH-HeLa/02_GT/TRA", 84, 0),
        ("fib25_medulla/images", "fib25_medulla/labels", 1, 0),
    ],
)
def test_real_folders(real_data: Path, images: str, labels: str, pairs: int, left: int) -> None:
    pairing = find_pairs(real_data / images, real_data / labels)
    assert len(pairing.pairs) == pairs == len(list_images(real_data / labels))
    assert len(pairing.images_without_labels) == left
    assert pairing.labels_without_image == ()


def test_a_csv_file_may_use_a_stem_once_in_each_split(tmp_path: Path) -> None:
    for folder in ("01", "02"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "t034.tif").touch()
    rows = ["image,labels,split", "01/t034.tif,01/t034.tif,train", "02/t034.tif,02/t034.tif,test"]
    (tmp_path / "pairs.csv").write_text("\n".join(rows))
    assert [pair.split for pair in read_pairs_csv(tmp_path / "pairs.csv").pairs] == ["train", "test"]
