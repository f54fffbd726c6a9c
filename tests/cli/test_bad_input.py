"""Whatever is given: one clear sentence, the right exit code, nothing half-written, nothing replaced."""

from __future__ import annotations

import errno
import json
import os
import struct
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image as PillowImage
from tests.cli.conftest import Ran, Run
from tests.tiny import samples, write_set

from unseam.io.images import write_png, write_tiff

Folders = tuple[Path, Path]
GREY = np.random.default_rng(0).integers(0, 255, (24, 24)).astype(np.uint8)
SMALL = ["--iterations", 1, "--set", "network.base_width=2", "--set", "network.depth=1"]


def refused(ran: Ran, *words: str, code: int = 2) -> None:
    """One sentence, the last line, without a traceback; progress may stand before it."""
    sentence = ran.err.splitlines()[-1]
    assert ran.code == code, ran
    assert "Traceback" not in ran.err and "please report" not in ran.err
    for word in words:
        assert word in sentence


def everything(folder: Path) -> dict[Path, bytes]:
    """Every file below a folder, and what is in it."""
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def save(path: Path, array: np.ndarray) -> Path:
    """Write an array as its name says, whatever it holds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".tif":
        tifffile.imwrite(path, array)
    else:
        PillowImage.fromarray(array).save(path)
    return path


def test_a_file_that_cannot_be_read_is_named_whatever_its_kind(run: Run, model: Path, tmp_path: Path) -> None:
    broken: dict[str, Callable[[bytes], bytes]] = {
        "cut": lambda data: data[: len(data) // 2],
        "begun": lambda data: data[:10],
        "zero": lambda data: data[:0],
        "text": lambda data: b"no image, but this text is %d bytes long" % len(data),
    }
    for how, kind in product(broken, ("png", "tif", "jpg", "npy")):
        path = save(tmp_path / how / f"{how}_{kind}.{kind}", GREY)
        path.write_bytes(broken[how](path.read_bytes()))
        ran = run("predict", model, path, "--out", tmp_path / "out")
        refused(ran, path.name, "failed:", "empty (0 bytes)" if how == "zero" else "cannot read")
        assert ran.out == f"0 of 1 images are in {tmp_path / 'out'}\n"
    assert not (tmp_path / "out").exists()
    checked = run("check", tmp_path / "cut")
    assert checked.code == 2 and checked.out.count("error    cannot read") == 4


def test_a_bad_image_in_a_folder_stops_no_other(run: Run, model: Path, folders: Folders) -> None:
    images, _ = folders
    (images / "synthetic_001.tif").write_bytes(b"II*\0")
    ran = run("predict", model, images, "--out", images.parent / "out")
    assert ran.code == 2 and ran.out.startswith("2 of 3 images")
    assert "synthetic_001.tif: failed: cannot read" in ran.err
    assert len(list((images.parent / "out").iterdir())) == 8


@pytest.mark.parametrize("command", ["predict", "train", "check", "measure", "evaluate"])
def test_a_folder_without_images(
    run: Run, model: Path, folders: Folders, tmp_path: Path, command: str
) -> None:
    empty = tmp_path / "empty"
    (empty / "notes.txt").parent.mkdir()
    (empty / "notes.txt").write_text("none")
    before = everything(tmp_path)
    arguments: dict[str, list[Any]] = {
        "predict": [model, empty, "--out", tmp_path / "o"],
        "train": [empty, folders[1], "--out", tmp_path / "o"],
        "check": [empty],
        "measure": [empty, "--out", tmp_path / "o.csv"],
        "evaluate": [empty, folders[1], "--json", tmp_path / "o.json"],
    }
    ran = run(command, *arguments[command])
    refused(ran, f"unseam {command}: folder {empty} holds no image; expected files ending in .tif")
    assert everything(tmp_path) == before


def labels_of(kind: str) -> np.ndarray:
    labels = np.zeros((24, 24), np.int16)
    labels[2:8, 2:8], labels[12:20, 12:20] = 1, 2
    return {
        "fractional": labels / 3,
        "negative": labels - 1,
        "infinite": np.where(labels, np.inf, 0.0),
        "numbers beyond 32 bits": labels.astype(np.uint64) << 40,
        "small": labels[:20],
        "coloured": np.stack([labels, 2 * labels, labels], 2).astype(np.uint8),
        "good": labels,
    }[kind]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("fractional", "has values that are not whole numbers; labels are 0, 1, 2"),
        ("negative", "has negative values, the lowest is -1; labels start at 0; give unknown pixels"),
        ("infinite", "pixels that are NaN or infinite; replace them"),
        ("numbers beyond 32 bits", "does not fit into 32 bits; renumber the instances"),
        ("small", "20 x 24"),
        ("coloured", "3 channels that differ, labels need one; save them as one channel"),
    ],
)
def test_labels_that_are_none(run: Run, tmp_path: Path, kind: str, words: str) -> None:
    image, good = save(tmp_path / "image.tif", GREY), save(tmp_path / "good.tif", labels_of("good"))
    bad = save(tmp_path / "bad.tif", labels_of(kind))
    out = tmp_path / "out"
    before = everything(tmp_path)
    refused(run("train", image, bad, "--out", out, *SMALL), "unseam train: ", words)
    refused(run("evaluate", good, bad, "--json", out), "unseam evaluate: ", words)
    refused(run("measure", bad, image, "--out", out), "unseam measure: ", words)
    checked = run("check", image, bad)
    assert checked.code == 2 and words in checked.out
    assert everything(tmp_path) == before


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.stack([GREY, GREY, GREY + 1], -1), "shape (3, 24, 24); this model takes 1 channel and 2 spatial"),
        (np.where(GREY[0, 0] == GREY, np.nan, GREY), "pixels that are NaN or infinite; replace them"),
        (np.where(GREY[0, 0] == GREY, np.inf, GREY), "pixels that are NaN or infinite; replace them"),
        (np.zeros((5, 24, 24), np.uint16), "does not say what its axes are; give --axes ZYX (volume)"),
        (GREY.astype(np.complex64), "values of type complex64; expected integers or floats"),
    ],
)
def test_images_that_do_not_fit(run: Run, model: Path, tmp_path: Path, image: np.ndarray, words: str) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, image, photometric="rgb" if image.shape[-1] == 3 else "minisblack")
    refused(run("predict", model, path, "--out", tmp_path / "out"), "image.tif: failed:", words)
    assert not (tmp_path / "out").exists()


def test_a_volume_given_to_a_model_of_planes(run: Run, model: Path, tmp_path: Path) -> None:
    write_tiff(tmp_path / "v.tif", np.stack([GREY] * 5), axes="ZYX")
    refused(
        run("predict", model, tmp_path / "v.tif", "--out", tmp_path / "o"), "1 channel and 2 spatial axes"
    )


def test_the_smallest_and_the_emptiest_images_are_no_errors(run: Run, model: Path, tmp_path: Path) -> None:
    write_png(tmp_path / "i/dot.png", np.ones((1, 1), np.uint8))
    write_png(tmp_path / "i/dark.png", np.zeros((24, 24), np.uint8))
    assert run("predict", model, tmp_path / "i", "--out", tmp_path / "p").code == 0
    write_png(tmp_path / "t/dot.png", np.zeros((1, 1), np.uint8))
    write_png(tmp_path / "t/dark.png", np.zeros((24, 24), np.uint8))
    scored = run(
        "evaluate", tmp_path / "t", tmp_path / "p", "--report", tmp_path / "r.html", "--json", tmp_path / "s"
    )
    assert scored.code == 0 and "ap50           -\n" in scored.out and "n_true         0\n" in scored.out
    assert json.loads((tmp_path / "s").read_text())["set"]["ap50"] is None
    assert run("measure", tmp_path / "p", tmp_path / "i", "--out", tmp_path / "m.csv").code == 0
    assert len((tmp_path / "m.csv").read_text().splitlines()) == 1


def test_some_images_without_objects_can_be_trained_on_but_not_all(
    run: Run, folders: Folders, tmp_path: Path
) -> None:
    images, labels = folders
    empty = np.zeros((64, 64), np.uint8)
    write_tiff(labels / "synthetic_001.tif", empty, axes="YX", overwrite=True)
    assert run("train", images, labels, "--out", tmp_path / "r", *SMALL).code == 0
    for file in labels.iterdir():
        write_tiff(file, empty, axes="YX", overwrite=True)
    refused(run("train", images, labels, "--out", tmp_path / "q", *SMALL), "no image holds a labelled object")
    assert not (tmp_path / "q").exists()


def changed_model(model: Path, path: Path, **values: object) -> Path:
    """A copy of a model file with another header."""
    data = (model / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"]["unseam_model"] = json.dumps(
        json.loads(header["__metadata__"]["unseam_model"]) | values
    )
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    return path


def test_model_files_that_cannot_be_used(run: Run, model: Path, folders: Folders, tmp_path: Path) -> None:
    data = (model / "model.safetensors").read_bytes()
    image = folders[0] / "synthetic_000.tif"
    for name, content in {"half": data[: len(data) // 2], "begin": data[:100], "zero": b""}.items():
        (tmp_path / name).write_bytes(content)
    cases = {
        tmp_path / "half": "is cut short or not a model file",
        tmp_path / "begin": "is cut short or not a model file",
        tmp_path / "zero": "is cut short or not a model file",
        image: "not a model file",
        model / "checkpoint.safetensors": "is not a model of unseam; give the model.safetensors of a run",
        tmp_path / "nowhere": "there is no model file",
        folders[0]: "there is no model file",
        changed_model(model, tmp_path / "new", format_version=99): "model format 99",
        changed_model(model, tmp_path / "odd", network=None): "cannot be understood",
        changed_model(model, tmp_path / "none", fingerprint=[1]): "the model file may be damaged",
    }
    for path, words in cases.items():
        refused(run("info", path), "unseam info: ", words)
        refused(run("predict", path, image, "--out", tmp_path / "out"), "unseam predict: ", words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--minutes", "1", "--iterations", "5"], "choose one of them"),
        (["--set", "network.detph=3"], "'detph' is not a key of [network]; did you mean 'depth'?"),
        (["--set", "netwrk.depth=3"], "'netwrk' is not a section; did you mean 'network'?"),
        (["--set", "network.depth=99"], "depth is 99; it must be between 0 and 8"),
        (["--set", "network.depth=deep"], "depth is 'deep'; "),
        (["--set", "depth=3"], "section.key=value was expected, as network.depth=3"),
        (["--set", "train.patch=[7, 7]"], "does not fit this network"),
        (["--set", "network.in_channels=3"], "in_channels is 3 and the images have 1; leave it out"),
        (["--iterations", "0"], "iterations is 0; it must be at least 1"),
        (["--minutes", "nan"], "minutes is nan; "),
        (["--seed", "-1"], "seed is -1; it must be at least 0"),
        (["--pixel-size", "0"], "pixel_size is 0.0; it must be at least"),
        (["--axes", "ZYX"], "axes ZYX name 3 axes, but the array has 2"),
        (["--axes", "QQ"], "name 'Q', which is unknown"),
        (["--config", "nowhere.toml"], "cannot read the configuration nowhere.toml"),
        (["--pixel-size", "nan"], "pixel_size is nan; it must be a finite number, at least"),
        (
            ["--set", "train.learning_rate=inf"],
            "learning_rate is inf; it must be a finite number",
        ),
        (["--split", "test"], "--split test takes rows of a CSV file of pairs, and none was given"),
        (["--resume", "--overwrite"], "--resume goes on with a run and --overwrite replaces it; give one"),
        (["--iterations", "many"], "argument --iterations: invalid int value: 'many'"),
        (["--preset", "huge"], "argument --preset: invalid choice: 'huge'"),
        (["--itarations", "5"], "unrecognized arguments: --itarations 5"),
    ],
)
def test_options_of_training(
    run: Run, folders: Folders, tmp_path: Path, options: list[str], words: str
) -> None:
    refused(run("train", *folders, "--out", tmp_path / "run", *options), words)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[network\n", "is not TOML"),
        ("network = 3\n", "network is 3; a section with its keys was expected, as [network]"),
        ("[network]\ndepht = 2\n", "did you mean 'depth'?"),
        ("\udce4", "is not TOML"),
    ],
)
def test_config_files(run: Run, folders: Folders, tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "c.toml").write_bytes(content.encode("utf-8", "surrogateescape"))
    options = ["--config", tmp_path / "c.toml", "--set", "network.depth=1"]
    refused(run("train", *folders, "--out", tmp_path / "run", *options), words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tile", "abc"], "tile is 'abc'; expected auto or a number of pixels"),
        (["--tile", "1"], "tile 1 was given; this network needs tiles of 2 pixels or more"),
        (["--tile", "-5"], "this network needs tiles of 2 pixels or more"),
        (
            ["--save", "nonsense"],
            "save is 'nonsense'; expected some of: labels,probabilities,table,parquet,overlay",
        ),
        (["--save", ""], "save is ''; expected some of"),
        (["--axes", "QQ"], "name 'Q', which is unknown"),
        (["--pixel-size", "-1"], "pixel_size is -1.0; it must be at least"),
        (["--pixel-size", "inf"], "pixel_size is inf; it must be a finite number, at least"),
        (["--split", "test"], "--split test takes rows of a CSV file of pairs, and none was given"),
        (["--resume", "--overwrite"], "--resume goes on with a run and --overwrite replaces it; give one"),
        (["--tta", "spin"], "argument --tta: invalid choice: 'spin'"),
        (["--quick"], "unrecognized arguments: --quick"),
    ],
)
def test_options_of_prediction(
    run: Run, model: Path, folders: Folders, options: list[str], words: str
) -> None:
    out = folders[0].parent / "out"
    refused(run("predict", model, folders[0], "--out", out, *options), words)
    assert not out.exists()


def test_a_device_that_is_not_there(run: Run, model: Path, folders: Folders, tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has the device")
    words = "device cuda was asked for and PyTorch finds none; use --device cpu"
    refused(run("predict", model, folders[0], "--out", tmp_path / "o", "--device", "cuda"), words)
    refused(run("train", *folders, "--out", tmp_path / "o", "--device", "cuda"), words)
    assert not (tmp_path / "o").exists()


def test_images_and_labels_that_do_not_belong_together(run: Run, folders: Folders, tmp_path: Path) -> None:
    images, labels = folders
    write_png(tmp_path / "other/zzz.png", GREY)
    refused(run("train", images, "--out", tmp_path / "r"), "was given without labels; give the folder")
    for command in (
        ["train", images, tmp_path / "other", "--out", tmp_path / "r"],
        ["evaluate", labels, tmp_path / "other", "--json", tmp_path / "s.json"],
        ["measure", labels, tmp_path / "other", "--out", tmp_path / "t.csv"],
    ):
        refused(run(*command), "no label file in", "zzz.png", "name both alike")
    save(labels / "synthetic_001.tif", np.ones((9, 9), np.uint8))
    refused(run("train", images, labels, "--out", tmp_path / "r"), "64 x 64", "9 x 9", "must be equal")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["other", "set"]


def test_nothing_is_replaced_without_being_asked_to(
    run: Run, model: Path, folders: Folders, tmp_path: Path
) -> None:
    images, labels = folders
    out = tmp_path / "out"
    for name in ("model.safetensors", "synthetic_000.tif", "s.json", "r.html", "t.csv"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("mine")
    before = everything(tmp_path)
    refused(run("train", images, labels, "--out", out, *SMALL), "holds a run already", "--overwrite")
    refused(run("predict", model, images, "--out", out), "exist already; --overwrite", "--resume")
    refused(run("evaluate", labels, images, "--json", out / "s.json"), "exists already; give --overwrite")
    refused(run("evaluate", labels, images, "--report", out / "r.html"), "exists already; give --overwrite")
    refused(run("measure", labels, "--out", out / "t.csv"), "exists already; give --overwrite")
    refused(run("demo", "--out", out), "holds files that are no demo; give --out a new folder")
    for options in ([], ["--overwrite"], ["--resume"]):
        refused(run("predict", model, images, "--out", images, *options), "choose another --out")
    assert everything(tmp_path) == before


def test_a_run_that_cannot_begin_leaves_the_old_one(
    run: Run, folders: Folders, model: Path, tmp_path: Path
) -> None:
    images, labels = folders
    old = tmp_path / "old" / "model.safetensors"
    old.parent.mkdir()
    old.write_bytes((model / "model.safetensors").read_bytes())
    for arguments in ([images, tmp_path / "nowhere"], [images, labels, "--set", "network.depth=99"]):
        assert run("train", *arguments, "--out", old.parent, "--overwrite", *SMALL[:2]).code == 2
    assert old.read_bytes() == (model / "model.safetensors").read_bytes()


def test_a_full_disk(
    run: Run, model: Path, folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    images, labels = folders
    before = everything(tmp_path)
    monkeypatch.setattr(os, "replace", full)  # every file can be begun and none finished
    words = "the disk is full; free some space or choose another folder; nothing was changed"
    for command in (
        ["train", images, labels, "--out", tmp_path / "r", *SMALL],
        ["predict", model, images, "--out", tmp_path / "p"],
        ["evaluate", labels, images.parent / "labels/synthetic_000.tif", "--json", tmp_path / "s.json"],
        ["evaluate", labels, images.parent / "labels/synthetic_000.tif", "--report", tmp_path / "r.html"],
        ["measure", labels, "--out", tmp_path / "t.csv"],
        ["demo", "--images", images, "--labels", labels, "--out", tmp_path / "d"],
    ):
        refused(run(*command), f"unseam {command[0]}: cannot write", words, code=1)
    assert everything(tmp_path) == before


def test_places_where_nothing_can_be_written(run: Run, model: Path, folders: Folders, tmp_path: Path) -> None:
    images, labels = folders
    file = images / "synthetic_000.tif"
    before = everything(tmp_path)
    refused(run("predict", model, images, "--out", file), "is a file; give a folder", code=1)
    refused(run("measure", labels, "--out", file / "t.csv"), "cannot write", "nothing was changed", code=1)
    refused(run("train", *folders, "--out", file, *SMALL), str(file), "Not a directory", code=1)
    long = tmp_path / ("a" * 300)
    refused(
        run("predict", model, long, "--out", tmp_path / "o"), "File name too long; check the name", code=1
    )
    assert everything(tmp_path) == before


def test_a_command_that_is_none(run: Run) -> None:
    helped = run()
    assert helped.code == 2 and "usage: unseam" in helped.out and "train a network" in helped.out
    for arguments in (
        ["predcit"],
        ["train", "a", "b", "--out", "c", "--minute", "1"],
        ["predict"],
        ["evaluate", "a", "b", "--ignore", "x"],
    ):
        ran = run(*arguments)
        assert ran.code == 2 and "error:" in ran.err.splitlines()[-1] and "Traceback" not in ran.err


def test_a_grey_picture_saved_in_colour_is_grey(run: Run, model: Path, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "c.tif", np.stack([GREY] * 3, -1), photometric="rgb")
    tifffile.imwrite(tmp_path / "g.tif", GREY)
    assert run("predict", model, tmp_path / "c.tif", tmp_path / "g.tif", "--out", tmp_path / "o").code == 0
    colour, grey = (tifffile.imread(tmp_path / "o" / name) for name in ("c.tif", "g.tif"))
    np.testing.assert_array_equal(colour, grey)


def test_images_given_as_labels_are_refused(run: Run, tmp_path: Path) -> None:
    images, labels = write_set(tmp_path / "set", samples(3))
    ran = run("train", labels, images, "--out", tmp_path / "run", "--iterations", "2")
    refused(ran, "the labels look like images: ", "are the images and the labels swapped?")
    assert not (tmp_path / "run").exists()


def test_a_report_that_is_no_page(run: Run, tmp_path: Path) -> None:
    _, labels = write_set(tmp_path / "set", samples(1))
    ran = run("evaluate", labels, labels, "--report", tmp_path / "r.txt")
    refused(ran, "give a name that ends in .html")
    assert not (tmp_path / "r.txt").exists()


def test_results_can_be_read_by_others(
    run: Run, model: Path, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    assert run("predict", model, folders[0], "--out", tmp_path / "o", "--save", "labels").code == 0
    mask = os.umask(0)
    os.umask(mask)
    for path in [*(tmp_path / "o").iterdir(), *model.glob("*.safetensors")]:
        assert path.stat().st_mode & 0o777 == 0o666 & ~mask
