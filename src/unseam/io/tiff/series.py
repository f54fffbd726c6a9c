"""Which image of a TIFF file counts, whether it is all there, and what its axes are."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unseam.axes import LETTERS
from unseam.errors import InputError

_SIDE_SERIES = {"thumbnail", "label", "macro", "overview"}
# What tifffile only logs, although pixels are missing from what it then returns.
_LOST = ("page offset", "value offset", "zeroed", "corrupted", "incorrect strip", "failed to read", "missing")


class _Collector(logging.Handler):
    """Keeps the messages of one thread; having a handler, tifffile does not print to stderr."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.thread = threading.get_ident()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self.thread:
            self.messages.append(record.getMessage())


@contextmanager
def logged() -> Iterator[list[str]]:
    """Collect what tifffile logs in this thread, instead of printing it."""
    collector = _Collector()
    logger = logging.getLogger("tifffile")
    logger.addHandler(collector)
    try:
        yield collector.messages
    finally:
        logger.removeHandler(collector)


def only_series(tif: Any, path: Path) -> Any:
    """Return the one image of a file, apart from thumbnails, slide labels and the like.

    Raises
    ------
    InputError
        If there are several.
    ValueError
        If there is none.
    """
    series = [
        one for one in tif.series if one.name.lower() not in _SIDE_SERIES and not one.keyframe.is_reduced
    ]
    if not series:
        raise ValueError("there is no image in it")
    if len(series) > 1:
        shapes = ", ".join(str(one.shape) for one in series[:3])
        shapes = shapes if len(series) <= 3 else f"{shapes}, ..."
        raise InputError(
            f"{path} holds {len(series)} images of different shape or type ({shapes});"
            " save each as a file of its own"
        )
    return series[0]


def check_messages(messages: Sequence[str]) -> None:
    """Raise ValueError if tifffile logged that it lost pixels."""
    for message in messages:
        if any(word in message.lower() for word in _LOST):
            raise ValueError(message)


def check_complete(series: Any, messages: Sequence[str]) -> None:
    """Raise ValueError where pixels of the series are not in the file."""
    check_messages(messages)
    for page in series.pages:
        if page is None:
            raise ValueError("some of its planes are missing")
        end = max(map(sum, zip(page.dataoffsets, page.databytecounts, strict=False)), default=0)
        size = page.parent.filehandle.size
        if end > size:
            raise ValueError(f"its pixels should end at byte {end}, the file at byte {size}")


def alpha_axis(series: Any) -> int | None:
    """Return the axis whose last sample is a transparency, None where there is none."""
    page = series.keyframe
    alpha = bool(page.extrasamples) and page.extrasamples[-1] in (1, 2)  # associated, unassociated
    return series.axes.index("S") if alpha and "S" in series.axes else None


def letters(series: Any) -> str:
    """Return what each axis of the pixels is once a transparency is gone; "?" where the file does not say."""
    axes, alpha = series.axes, alpha_axis(series)
    if alpha is not None and series.shape[alpha] == 2:
        axes = axes.replace("S", "")  # of two samples one is left, and its axis is dropped
    if "C" not in axes:
        axes = axes.replace("S", "C")
    return "".join(letter if letter in LETTERS else "?" for letter in axes)
