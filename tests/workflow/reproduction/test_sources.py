"""Where the data of a reproduction come from: folders, and a server on this machine."""

from __future__ import annotations

import hashlib
import io
import socket
import threading
import zipfile
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image
from requests.exceptions import Timeout

from unseam.errors import FileReadError, InputError
from unseam.io.images import read_image, read_labels
from unseam.workflow.listener import SILENT, Listener
from unseam.workflow.reproduction import sources
from unseam.workflow.reproduction.protocols import PROTOCOLS, nuclei_index
from unseam.workflow.reproduction.sources import (
    Source,
    _reason,
    as_labels,
    challenge_archive,
    check_pixels,
    digest_of,
    find_folder,
    in_raster_order,
    membrane_slices,
    nuclei_archive,
)


class Quiet(SimpleHTTPRequestHandler):
    """A server that prints nothing."""

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def served(tmp_path):
    """A folder, and the address under which it is served."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def archive_of(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def png(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


def test_a_given_folder_is_the_set_or_holds_it(tmp_path):
    (tmp_path / "isbi2012").mkdir()
    source = Source("http://nowhere.invalid/")
    for given in (tmp_path, tmp_path / "isbi2012"):
        found = find_folder("isbi2012", source, given, tmp_path / "cache", SILENT)
        assert found == tmp_path / "isbi2012"
    with pytest.raises(InputError, match="does not hold hela"):
        find_folder("hela", source, tmp_path, tmp_path / "cache", SILENT)


def test_the_stated_folder_goes_before_the_cache(tmp_path, monkeypatch):
    for place in ("stated", "cache"):
        (tmp_path / place / "isbi2012").mkdir(parents=True)
    source = Source("http://nowhere.invalid/")
    monkeypatch.setenv("UNSEAM_DATA", str(tmp_path / "stated"))
    found = find_folder("isbi2012", source, None, tmp_path / "cache", SILENT)
    assert found == tmp_path / "stated/isbi2012"
    monkeypatch.delenv("UNSEAM_DATA")
    assert find_folder("isbi2012", source, None, tmp_path / "cache", SILENT) == tmp_path / "cache/isbi2012"


@pytest.fixture
def alone(monkeypatch):
    monkeypatch.delenv("UNSEAM_DATA", raising=False)


@pytest.mark.usefixtures("alone")
def test_an_archive_is_fetched_checked_and_unpacked_once(served, tmp_path):
    folder, address = served
    content = archive_of({"DIC/01/t000.tif": b"image", "DIC/01_GT/SEG/man_seg000.tif": b"labels"})
    (folder / "DIC.zip").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    source = replace(challenge_archive("DIC", sha256), address=f"{address}DIC.zip")
    said: list[str] = []
    listener = Listener(say=said.append)
    for _ in range(2):
        found = find_folder("DIC", source, None, tmp_path / "cache", listener)
        assert (found / "01_GT/SEG/man_seg000.tif").read_bytes() == b"labels"
    assert len(said) == 1 and "fetched" in said[0]
    assert sorted(p.name for p in (tmp_path / "cache").iterdir()) == ["DIC"]


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(
    ("content", "sha256", "words"),
    [
        (archive_of({"DIC/a": b"x"}), "0" * 64, "cannot fetch"),  # another archive than the published one
        (archive_of({"OTHER/a": b"x"}), None, "not what was expected"),
        (b"no archive", None, "not what was expected"),
        (archive_of({"DIC/../../outside": b"x"}), None, "leads out"),
    ],
)
def test_what_is_not_the_published_archive_leaves_nothing(served, tmp_path, content, sha256, words):
    folder, address = served
    (folder / "DIC.zip").write_bytes(content)
    source = replace(challenge_archive("DIC", "0" * 64), address=f"{address}DIC.zip", sha256=sha256)
    with pytest.raises(FileReadError, match=words):
        find_folder("DIC", source, None, tmp_path / "cache", SILENT)
    assert not any((tmp_path / "cache").iterdir())
    assert not (tmp_path / "outside").exists()


@pytest.mark.usefixtures("alone")
def test_a_missing_address_says_what_to_do(served, tmp_path):
    _, address = served
    source = Source(f"{address}none.zip", unpack=lambda *_: None)
    with pytest.raises(FileReadError, match="give --data a folder that holds DIC"):
        find_folder("DIC", source, None, tmp_path / "cache", SILENT)


@pytest.mark.usefixtures("alone")
def test_no_connection_is_told_in_a_few_words(tmp_path):
    with socket.socket() as unused:  # bound and not listening: a connection is refused
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        source = replace(challenge_archive("DIC", "0" * 64), address=f"{address}DIC.zip")
        with pytest.raises(FileReadError) as caught:
            find_folder("DIC", source, None, tmp_path / "cache", SILENT)
    assert str(caught.value) == (
        f"cannot fetch {address}DIC.zip (no connection: is this machine online?); try again, or fetch it by "
        "other means and give --data a folder that holds DIC"
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [(Timeout("a page"), "there was no answer in time"), (OSError("a\n disk"), "a disk")],
)
def test_reasons_are_short(error, words):
    assert _reason(error) == words


@pytest.mark.usefixtures("alone")
def test_slices_are_fetched_one_by_one_under_our_names(served, tmp_path):
    folder, address = served
    for kind in ("image", "label"):
        (folder / kind).mkdir()
        for n in range(30):
            (folder / kind / f"{n}.png").write_bytes(png(np.full((4, 4), n, np.uint8)))
    source = replace(membrane_slices("isbi2012"), address=address)
    found = find_folder("isbi2012", source, None, tmp_path / "cache", SILENT)
    assert len(list(found.glob("*/*.png"))) == 60
    assert read_image(found / "images/07.png").data[0, 0, 0] == 7
    pairs = [(found / f"images/{n:02}.png", found / f"labels/{n:02}.png") for n in range(30)]
    assert check_pixels(source, pairs) is False  # these are not the challenge's


@pytest.mark.usefixtures("alone")
def test_nuclei_are_made_of_their_masks(served, tmp_path):
    folder, address = served
    mask = np.zeros((8, 8), np.uint8)
    mask[1:3, 1:3] = 255
    other = np.zeros((8, 8), np.uint8)
    other[2:8, 2:8] = 255
    image = np.dstack([np.full((8, 8), 5, np.uint8)] * 3 + [np.full((8, 8), 255, np.uint8)])
    root = "kaggle-dsbowl-2018-dataset-fixes-30354551efef351c1241da7c6d48cf938d76f02a/stage1_train"
    members = {}
    for row in nuclei_index():
        full = row["full_id"]
        members |= {
            f"{root}/{full}/images/{full}.png": png(image),
            f"{root}/{full}/masks/a.png": png(other),
            f"{root}/{full}/masks/b.png": png(mask),
        }
    (folder / "all.zip").write_bytes(archive_of(members))
    source = replace(nuclei_archive("dsb2018"), address=f"{address}all.zip")
    found = find_folder("dsb2018", source, None, tmp_path / "cache", SILENT)
    first = nuclei_index()[0]["id"]
    labels = read_labels(found / f"labels/{first}.tif").data[0]
    assert labels[2, 2] == 2 and labels[7, 7] == 1 and labels[0, 0] == 0  # the smaller one is on top
    assert read_image(found / f"images/{first}.png").data.shape == (1, 8, 8)


def test_the_smaller_mask_wins():
    large = np.array([[True, True, True]])
    small = np.array([[False, True, False]])
    assert as_labels([large, small]).tolist() == [[1, 2, 1]]
    assert as_labels([small, large]).tolist() == [[2, 1, 2]]


def test_numbers_of_objects_do_not_change_the_digest(tmp_path):
    image = np.arange(6, dtype=np.uint8).reshape(2, 3)
    labels = np.array([[5, 5, 0], [2, 9, 5]], np.uint8)
    assert in_raster_order(labels).tolist() == [[1, 1, 0], [2, 3, 1]]
    assert in_raster_order(np.array([[4, 3]])).tolist() == [[1, 2]]
    for name, array in (("i", image), ("a", labels), ("b", in_raster_order(labels).astype(np.uint8))):
        (tmp_path / f"{name}.png").write_bytes(png(array))
    (tmp_path / "c.png").write_bytes(png(np.where(labels == 9, 0, labels)))
    digests = [digest_of([(tmp_path / "i.png", tmp_path / f"{name}.png")]) for name in "abc"]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.real
@pytest.mark.parametrize("name", ["isbi2012", "nuclei"])
def test_the_real_images_are_those_of_the_protocol(real_data, tmp_path, name):
    chosen = PROTOCOLS[name]
    folder = real_data / chosen.folder
    rows = chosen.directions[""](folder, tmp_path)
    assert sources.check_pixels(chosen.source, [(row.image, row.labels) for row in rows]) is True
