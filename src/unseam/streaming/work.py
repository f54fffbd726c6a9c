"""The work folder: what is done stays done, until all is done.

It stands beside the output, `labels.zarr.part`, and holds the output under its own name, what is between the
passes, and a manifest that says what is being made of what. The same command goes on with it; another one is
refused, and told what differs. Two commands at once are kept apart by a lock that dies with its process.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from unseam.errors import FileReadError, OutputError, OutputExistsError
from unseam.io.atomic import replacing

MANIFEST = "manifest.json"
Array = NDArray[Any]


def work_folder(out: Path) -> Path:
    """Where the work on an output is kept."""
    return out.with_name(f"{out.name}.part")


def is_begun(folder: Path) -> bool:
    """Whether a work folder holds work that can be gone on with."""
    return (folder / MANIFEST).exists()


@contextmanager
def working_on(out: Path) -> Iterator[Path]:
    """The work folder of an output, for this process alone.

    Raises
    ------
    OutputError
        If another process is at work on it, or the folder cannot be made.
    """
    from filelock import FileLock, Timeout  # slow to import, and needed for images in blocks alone

    folder = work_folder(out)
    lock = FileLock(out.with_name(f".{out.name}.lock"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise OutputError(
            f"another run is writing {out}; wait until it has ended, or choose another --out"
        ) from None
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"cannot write {out}: {reason}; choose another --out") from error
    try:
        yield folder
    finally:
        if folder.exists() and not is_begun(folder):
            shutil.rmtree(folder, ignore_errors=True)  # nothing was begun, or all is done
        Path(lock.lock_file).unlink(missing_ok=True)  # while it is held: whoever waits for it makes a new one
        lock.release()


def begin(folder: Path, manifest: Mapping[str, Any], *, overwrite: bool) -> dict[str, Any] | None:
    """Start work, or go on: what the manifest of earlier work says is decided, or None for new work.

    Half-done work of the same command is gone on with, `overwrite` or not: it leads to the same result.

    Raises
    ------
    OutputExistsError
        If the folder holds the work of another command; what differs is named.
    """
    path = folder / MANIFEST
    if not is_begun(folder):
        discard(folder)
        return None
    try:
        before: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        decided: dict[str, Any] = before["decided"]
        different = list(differences(before["asked"], dict(manifest)))
    except (ValueError, KeyError, TypeError):
        different = ["its manifest cannot be read"]
    if not different:
        return decided
    if overwrite:
        discard(folder)
        return None
    raise OutputExistsError(
        f"{folder} holds half-done work of another command ({'; '.join(different)}); give the command "
        "that it began with to go on, or --overwrite to start again"
    )


def decide(folder: Path, asked: Mapping[str, Any], decided: Mapping[str, Any]) -> None:
    """Write the manifest: from here on the work can be gone on with."""
    with replacing(folder / MANIFEST, overwrite=True) as temporary:
        temporary.write_text(json.dumps({"asked": asked, "decided": decided}, indent=1), encoding="utf-8")


def differences(before: Any, now: Any, name: str = "") -> Iterator[str]:
    """What two manifests differ in, a phrase each."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in {**before, **now}:
            yield from differences(before.get(key), now.get(key), f"{name} {key}".strip())
    elif _plain(before) != _plain(now):
        yield f"{name} was {_worded(before)} and is {_worded(now)}"


def _plain(value: Any) -> Any:
    return list(map(_plain, value)) if isinstance(value, (list, tuple)) else value


def _worded(value: Any) -> str:
    return "not given" if value is None else str(value)


def discard(folder: Path) -> None:
    """Remove work; the manifest first, so that what is left of it is no work to go on with."""
    (folder / MANIFEST).unlink(missing_ok=True)
    for entry in folder.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


# Records of blocks: a block is done when its record is there


def record_path(folder: Path, kind: str, number: int) -> Path:
    """Where the record of a block is."""
    return folder / kind / f"{number // 1000:04d}" / f"{number:07d}.npz"


def save_record(folder: Path, kind: str, number: int, arrays: Mapping[str, Array]) -> None:
    """Write the record of a block, whole or not at all."""
    with replacing(record_path(folder, kind, number), overwrite=True) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)


def load_record(folder: Path, kind: str, number: int) -> dict[str, Array]:
    """The record of a block.

    Raises
    ------
    FileReadError
        If it is missing or damaged.
    """
    path = record_path(folder, kind, number)
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise FileReadError(
            f"cannot read {path} ({error}); remove the folder of half-done work to start again"
        ) from error


def has_record(folder: Path, kind: str, number: int) -> bool:
    """Whether a block is done."""
    return record_path(folder, kind, number).exists()


def await_records(folder: Path, kind: str, numbers: Sequence[int], *, patience: float = 90.0) -> None:
    """Wait until the records of blocks are seen here that were done elsewhere.

    A network file system remembers for up to a minute that a file was not there.

    Raises
    ------
    OutputError
        If they are not seen after `patience` seconds.
    """
    deadline = time.monotonic() + patience
    for number in numbers:
        while not has_record(folder, kind, number):
            if time.monotonic() > deadline:
                raise OutputError(
                    f"block {number} is done and its record is not in {folder}; all machines must share this "
                    "folder, under the same path"
                )
            time.sleep(0.1)


def save_table(folder: Path, name: str, array: Array) -> None:
    """Write a table of numbers, whole or not at all."""
    with replacing(folder / f"{name}.npy", overwrite=True) as temporary:
        np.save(temporary, array, allow_pickle=False)


def load_table(folder: Path, name: str) -> Array:
    """A table of numbers, of which only what is used is read."""
    table: Array = np.load(folder / f"{name}.npy", mmap_mode="r" if sys.platform != "win32" else None)
    return table


def has_table(folder: Path, name: str) -> bool:
    """Whether a join is done."""
    return (folder / f"{name}.npy").exists()
