"""What an engine is: a record of the functions that build a network for it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from threading import Lock
from typing import Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from unseam.model.folded import FoldedNetwork

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""A tile (C, *tile) to probabilities (classes, *output)."""
Encode = Callable[[NDArray[np.float32]], list[NDArray[np.float32]]]
"""A part of an image (C, *part) to what each level of the encoder makes of it, [(channels, *pixels)]."""


class CompileTile(Protocol):
    """Builds a network for tiles of one shape."""

    def __call__(self, network: FoldedNetwork, tile: Sequence[int], *, precision: str, threads: int) -> Run:
        """`threads` is 0 for as many as the engine takes by itself."""


class CompileEncoder(Protocol):
    """Builds the contracting path of a network, float32, for parts of one shape."""

    def __call__(self, network: FoldedNetwork, part: Sequence[int], *, threads: int) -> Encode:
        """See `CompileTile`; valid convolutions need no valid tile."""


@dataclass(frozen=True)
class Engine:
    """A way to run a network.

    Attributes
    ----------
    name : as options name it.
    title : as people read it.
    packages : what has to be installed.
    extra : of unseam, that installs them; "" where they always are.
    precisions : what it computes in, those it can.
    compile_tile, compile_encoder : see there.
    device : where it runs.
    """

    name: str
    title: str
    packages: tuple[str, ...]
    extra: str
    precisions: tuple[str, ...]
    compile_tile: CompileTile
    compile_encoder: CompileEncoder
    device: str = "cpu"

    @property
    def is_installed(self) -> bool:
        """Whether its packages are there; they are not imported for that."""
        return all(find_spec(package) is not None for package in self.packages)

    @property
    def version(self) -> str:
        """Of its first package."""
        try:
            return version(self.packages[0])
        except PackageNotFoundError:  # as of a build whose distribution has another name
            return str(getattr(import_module(self.packages[0]), "__version__", "of unknown version"))

    def __str__(self) -> str:
        return f"{self.title} {self.version}"


T = TypeVar("T")


class Shared(Generic[T]):
    """What is made of a network once for tiles of all shapes; it goes when the network goes.

    Parameters
    ----------
    make : callable
        Takes the network and what else decides the result; the result must not hold the network.
    """

    def __init__(self, make: Callable[..., T]) -> None:
        self._make, self._lock = make, Lock()
        self._made: WeakKeyDictionary[FoldedNetwork, dict[tuple[Hashable, ...], T]] = WeakKeyDictionary()

    def of(self, network: FoldedNetwork, *how: Hashable) -> T:
        """What is made of a network in this way, now or before."""
        with self._lock:
            made = self._made.setdefault(network, {})
            if how not in made:
                made[how] = self._make(network, *how)
            return made[how]


@contextmanager
def telling_memory(*words: str) -> Iterator[None]:
    """Within it an error of an engine that says one of these is a `MemoryError`: it has no class for that.

    Raises
    ------
    MemoryError
    """
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # of another package, with classes of its own
        if any(word in str(error) for word in words):
            raise MemoryError(first_line(error)) from error
        raise


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split())[:160] or type(error).__name__
