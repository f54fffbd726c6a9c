"""Blocks on a Dask cluster: the same labels, whatever becomes of a worker; errors arrive as they are."""

from __future__ import annotations

import inspect
import json
import os
import pickle
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import distributed
import numpy as np
import pytest
import zarr
from tests.tiny import samples, trained_run, variants

from unseam import errors
from unseam.config import ObjectConfig
from unseam.errors import InputError, MissingExtraError, UnseamError
from unseam.io.images import write_tiff
from unseam.normalize import Scaling
from unseam.prediction import Model, Runner, Segmentation, load_model
from unseam.prediction.combining import combine
from unseam.streaming import cluster as reach
from unseam.streaming import job as jobs
from unseam.streaming import remote, worker
from unseam.streaming.cluster import connected
from unseam.streaming.job import ImageSpec, Job
from unseam.streaming.remote import Cluster
from unseam.streaming.run import stream
from unseam.streaming.wanted import Reporter, Wanted
from unseam.streaming.worker import do_block, refuse_other_versions, versions_of
from unseam.workflow.listener import SILENT
from unseam.workflow.predicting import predict_files

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, UnseamError)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load_model(trained_run(tmp_path_factory), device="cpu")


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> ImageSpec:
    path = tmp_path_factory.mktemp("cells") / "cells.tif"
    write_tiff(path, samples(1, size=200, seed=9)[0].image[0, :, :150], axes="YX", spacing=(0.5, 0.5))
    return ImageSpec(str(path))


@pytest.fixture(scope="module")
def expected(model: Model, cells: ImageSpec) -> Segmentation:
    source = cells.open()[0]
    return model.predict(source.read(tuple((0, n) for n in source.shape)), spacing=source.spacing)


@pytest.fixture(scope="module")
def told() -> list[str]:
    return []


@pytest.fixture(scope="module")
def two(told: list[str]) -> Iterator[Cluster]:
    """Two workers on this machine."""
    with connected("local:2", say=told.append) as cluster:
        yield cluster


def labels_of(out: Path) -> Any:
    return np.asarray(zarr.open_array(out / "0", mode="r")[:])


def empty_job(folder: Path, image: ImageSpec) -> Job:
    """A job of 4 x 4 blocks, for tasks that do nothing with it."""
    scaling = Scaling((0.0,), (1.0,))
    sizes: dict[str, Any] = {"tile": (16, 16), "shape": (64, 64), "block": (16, 16)}
    options: dict[str, Any] = dict.fromkeys(("rescale", "series", "table", "picture"), False) | {
        "tta": "none",
        "zoom": None,
    }
    places: dict[str, Any] = {"scratch": str(folder), "labels": str(folder), "probabilities": None}
    return Job(image, 0, "key", ObjectConfig(), scaling, **sizes, **options, **places)


def fail(job: Job, number: int) -> None:
    if number < len(CLASSES):
        raise CLASSES[number](f"block {number} is bad; give a better one")
    time.sleep(0.01)
    Path(job.scratch, str(number)).touch()


def die(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def keys_held() -> list[str]:
    return list(jobs._MODELS)


def test_labels_and_table_are_those_of_the_whole_image(
    model: Model, cells: ImageSpec, expected: Segmentation, two: Cluster, told: list[str], tmp_path: Path
) -> None:
    assert model.path is not None
    wanted = Wanted(tmp_path / "out.zarr", block=40)
    stream(model, model.path, cells, wanted, executor=two, reporter=Reporter(told.append))
    np.testing.assert_array_equal(labels_of(wanted.out), expected.labels)
    assert expected.labels.max() > 5
    expected.table().to_csv(tmp_path / "whole.csv")
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert told[0] == "cluster: 2 workers on this machine, 1 thread each"
    assert told[1].startswith("plan: 20 tiles") and told[1].endswith(" of memory in each worker")
    (rate,) = (line for line in told if line.startswith("predicted 20 blocks in "))
    assert rate.endswith(" per worker")


def test_workers_compute_in_the_precision_of_the_model(
    model: Model, cells: ImageSpec, two: Cluster, tmp_path: Path
) -> None:
    """bfloat16, which the workers would not all take by themselves, and the tiles that go with it."""
    model = load_model(str(model.path), device="cpu", precision="bfloat16")
    assert model.path is not None and model.own.rule.least
    source = cells.open()[0]
    whole = model.predict(source.read(tuple((0, n) for n in source.shape)), spacing=source.spacing)
    wanted = Wanted(tmp_path / "out.zarr", block=40)
    stream(model, model.path, cells, wanted, executor=two)
    np.testing.assert_array_equal(labels_of(wanted.out), whole.labels)


def test_workers_average_several_models(model: Model, cells: ImageSpec, two: Cluster, tmp_path: Path) -> None:
    """One of them in bfloat16, with tiles that suit both."""
    assert model.path is not None
    low = load_model(model.path, device="cpu", precision="bfloat16")
    (other,) = variants(model.path.parent, tmp_path, 1)
    both = combine([low, load_model(other, device="cpu")])
    source = cells.open()[0]
    whole = both.predict(source.read(tuple((0, n) for n in source.shape)), spacing=source.spacing)
    wanted = Wanted(tmp_path / "out.zarr", block=40)
    stream(both, model.path, cells, wanted, executor=two)
    np.testing.assert_array_equal(labels_of(wanted.out), whole.labels)


def test_an_engine_of_another_version_is_refused() -> None:
    runner = Runner("torch", "bfloat16", versions={"PyTorch": "1.0", "processor": "a Z80"})
    words = r"worker 7 has PyTorch .* and not 1\.0, processor .* and not a Z80; install the same versions"
    with pytest.raises(InputError, match=words):
        refuse_other_versions(runner.versions, versions_of(runner), "worker 7")
    assert versions_of(Runner()) == {}


def test_a_package_that_is_missing_is_a_version_too(monkeypatch: pytest.MonkeyPatch) -> None:
    real = worker.version

    def without(name: str) -> str:
        if name == "torch":
            raise PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(worker, "version", without)
    assert worker.surroundings().versions["torch"] == "not installed"


def test_each_error_survives_the_trip(model: Model, cells: ImageSpec, two: Cluster, tmp_path: Path) -> None:
    assert model.path is not None
    two.hold("key", model)
    job = empty_job(tmp_path, cells)
    for number, kind in enumerate(CLASSES):
        with pytest.raises(kind, match=rf"^block {number} is bad; give a better one$") as caught:
            two.run(fail, job, [number], lambda _: None)
        assert type(caught.value) is kind
        assert str(pickle.loads(pickle.dumps(kind("a sentence")))) == "a sentence"


def test_after_an_error_nothing_is_written_any_more(cells: ImageSpec, two: Cluster, tmp_path: Path) -> None:
    done: list[int] = []
    numbers = [*range(20, 24), 0, *range(24, 228)]
    with pytest.raises(UnseamError, match="block 0 is bad"):
        two.run(fail, empty_job(tmp_path, cells), numbers, done.append)
    assert len(done) < 100
    for path in tmp_path.iterdir():
        path.unlink()
    time.sleep(0.2)
    assert not list(tmp_path.iterdir())


def test_a_worker_that_cannot_take_part_is_told(cells: ImageSpec, two: Cluster, tmp_path: Path) -> None:
    job = empty_job(tmp_path / "nowhere", cells)
    with pytest.raises(InputError, match=r"worker tcp://\S+ does not see \S+nowhere; image and output"):
        two.run(fail, job, [20], lambda _: None)
    with pytest.raises(InputError, match=r"worker tcp://\S+ joined and could not take the model; see"):
        two.client.submit(do_block, "another plugin", "run", fail, job, 20, pure=False).result()


def test_a_cluster_that_goes_on_by_its_address(
    model: Model,
    cells: ImageSpec,
    expected: Segmentation,
    two: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Names of files are those of the command, wherever workers were started; in the end all is as before."""
    monkeypatch.chdir(tmp_path)
    before = two.client.run(keys_held)
    Path("scheduler.json").write_text(json.dumps({"address": two.client.scheduler.address}))
    write_tiff("a.tif", cells.open()[0].read(((0, 200), (0, 150)))[0], axes="YX", spacing=(0.5, 0.5))
    (outcome,) = predict_files(
        model, ["a.tif"], "out.zarr", block=64, cluster="scheduler.json", save=("labels",), listener=SILENT
    )
    assert outcome.error is None
    np.testing.assert_array_equal(labels_of(Path("out.zarr")), expected.labels)
    assert two.client.run(keys_held) == before


def test_other_versions_are_refused(two: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    real = worker.version
    monkeypatch.setattr(worker, "version", lambda name: "0.0.0" if name == "unseam" else real(name))
    words = rf"worker tcp://\S+ has unseam {two.versions['unseam']} and not 0\.0\.0; install the same"
    with (
        pytest.raises(InputError, match=words),
        connected(two.client.scheduler.address, say=lambda _: None),
    ):
        pass


def test_a_worker_that_joins_later_has_the_model_too(model: Model, two: Cluster) -> None:
    assert model.path is not None
    two.hold("another key", model)
    two.client.cluster.scale(3)
    two.client.wait_for_workers(3, timeout=60)
    held = list(two.client.run(keys_held).values())
    assert len(held) == 3 and all("another key" in keys for keys in held)


def test_a_worker_that_is_killed_is_made_up_for(
    model: Model, cells: ImageSpec, expected: Segmentation, two: Cluster, tmp_path: Path
) -> None:
    assert model.path is not None
    before = two.client.run(os.getpid)
    killed = []

    def step(_: str, done: float, total: int) -> None:
        if not killed and done > total // 4:
            killed.append(next(iter(before.values())))
            os.kill(killed[0], signal.SIGKILL)

    wanted = Wanted(tmp_path / "out.zarr", block=24)
    stream(model, model.path, cells, wanted, executor=two, reporter=Reporter(step=step))
    np.testing.assert_array_equal(labels_of(wanted.out), expected.labels)
    assert killed and killed[0] not in two.client.run(os.getpid).values()


def test_a_block_that_kills_its_workers_is_named(
    cells: ImageSpec, two: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(two.client.cluster.scheduler, "allowed_failures", 0)
    words = r"block 6 \(y 16:32, x 32:48\) was given to 1 workers?, and each was lost, as when memory is used"
    with pytest.raises(UnseamError, match=words):
        two.run(die, empty_job(tmp_path, cells), [6], lambda _: None)


# Clusters that cannot be used


@pytest.fixture
def nobody() -> Iterator[distributed.LocalCluster]:
    """A scheduler without workers."""
    with distributed.LocalCluster(
        n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs="CRITICAL"
    ) as cluster:
        yield cluster


def test_a_scheduler_without_workers(
    nobody: distributed.LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "WORKERS", 0.2)
    told: list[str] = []
    with (
        pytest.raises(InputError, match=r"has no workers after 0 s; start some with: dask worker tcp://"),
        connected(nobody.scheduler_address, say=told.append),
    ):
        pass
    assert told == [f"waiting for workers at {nobody.scheduler_address}"]


def test_workers_that_are_all_gone(
    nobody: distributed.LocalCluster, cells: ImageSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "ALONE", 0.2)
    monkeypatch.setattr(remote, "LOOK", 0.1)
    with distributed.Client(nobody, set_as_default=False) as client:
        cluster = Cluster(client, lambda _: None, 1, {}, {}, is_local=False)
        with pytest.raises(UnseamError, match="all workers are gone; what is done is kept: start workers"):
            cluster.run(fail, empty_job(tmp_path, cells), [20], lambda _: None)


def test_a_scheduler_that_is_lost(
    nobody: distributed.LocalCluster, model: Model, cells: ImageSpec, tmp_path: Path
) -> None:
    with distributed.Client(nobody.scheduler_address, set_as_default=False, timeout=1) as client:
        cluster = Cluster(client, lambda _: None, 1, {}, {}, is_local=False)
        nobody.close()
        words = "the connection to the scheduler is lost; what is done is kept"
        with pytest.raises(UnseamError, match=words):
            cluster.run(fail, empty_job(tmp_path, cells), [20], lambda _: None)
        with pytest.raises(UnseamError, match=words):
            cluster.hold("key", model)
        cluster.release()


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "CONNECT", 0.3)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        with (
            pytest.raises(InputError, match=rf"no Dask scheduler answers at {address} within 0 s; start one"),
            connected(address, say=lambda _: None),
        ):
            pass


@pytest.mark.parametrize(
    "address", ["local:0", "local:two", "local", "tcp://host", "http://host:80", "nowhere.json"]
)
def test_what_is_no_address(address: str) -> None:
    with (
        pytest.raises(InputError, match=rf"cluster is '{address}'; give local:N with N of 1 or more, tcp://"),
        connected(address, say=lambda _: None),
    ):
        pass


@pytest.mark.parametrize("content", ["", "[]", "{}"])
def test_what_is_no_scheduler_file(content: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(content)
    with (
        pytest.raises(InputError, match=r"file is not a scheduler file; it is written by: dask scheduler"),
        connected(str(tmp_path / "file"), say=lambda _: None),
    ):
        pass


def test_dask_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(MissingExtraError, match=r"pip install 'unseam\[cluster\]'"),
        connected("local:2", say=lambda _: None),
    ):
        pass


def test_a_model_without_a_file(model: Model, two: Cluster) -> None:
    with pytest.raises(InputError, match="a cluster is sent the file of a model; save this one"):
        two.hold("key", replace(model, path=None))
    with pytest.raises(InputError, match=r"rdf\.yaml cannot be sent to a cluster; give a model\.safetensors"):
        two.hold("key", replace(model, path=Path("rdf.yaml")))
