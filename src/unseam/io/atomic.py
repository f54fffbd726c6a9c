"""Write a file whole or not at all: under a temporary name, then renamed."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from unseam.errors import ConfigError, OutputError, OutputExistsError

CANNOT_FLUSH = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""What file systems answer that have no flushing."""


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Raise `OutputExistsError` if `path` exists and `overwrite` is false."""
    if path.exists() and not overwrite:
        raise OutputExistsError(
            f"{path} exists already; give --overwrite to replace it, or choose another output"
        )


def refuse_both(*, resume: bool, overwrite: bool) -> None:
    """Raise `ConfigError` where results are to be continued and replaced at once."""
    if resume and overwrite:
        raise ConfigError("--resume goes on with a run and --overwrite replaces it; give one of them")


@contextmanager
def replacing(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block succeeds.

    Parameters
    ----------
    path : str or Path
        The file to write; missing parent folders are made.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    OutputExistsError
        If `path` exists and `overwrite` is false.
    OutputError
        If the disk is full or the folder cannot be written to; `path` is as it was before.

    Notes
    -----
    What was written is on the disk before the name is: a name can outlive a loss of power that the pixels
    do not, and an empty file would look whole.
    """
    path = Path(path)
    refuse_existing(path, overwrite=overwrite)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _flush(temporary)
        temporary.chmod(0o666 & ~_umask())  # some writers make files that nobody else can read
        os.replace(temporary, path)
    except OSError as error:
        if isinstance(error, (OutputError, OutputExistsError)):
            raise
        raise OutputError(f"cannot write {path}: {_reason(error)}; nothing was changed") from error
    finally:
        with suppress(OSError):  # the folder may not even exist
            temporary.unlink(missing_ok=True)


def put_over(made: Path, target: Path) -> None:
    """Rename a finished file or folder to `target`; a folder there goes when the new one stands.

    Raises
    ------
    OSError
        If it cannot be renamed; what was there is there still.
    """
    old = made.with_name(f"{made.name}.old")  # beside what is temporary, never beside the user's files
    there = target.is_dir()
    if there:
        os.replace(target, old)
    try:
        os.replace(made, target)
    except OSError:
        if there:
            os.replace(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _flush(path: Path) -> None:
    """Wait until a file is on the disk, where the file system can say so."""
    with path.open("r+b") as file:
        try:
            os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in CANNOT_FLUSH:  # a full network disk may say so only now
                raise


def _umask() -> int:
    """The mask of new files; it can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "the disk is full; free some space or choose another folder"
    return error.strerror or str(error)
