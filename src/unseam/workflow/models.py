"""Models that have a name, listed; and model files made smaller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from unseam.errors import ModelFileError
from unseam.model.finding import find_model, models_by_name


@dataclass(frozen=True)
class Known:
    """A model that has a name.

    Attributes
    ----------
    name : under which every command takes it.
    path : of its file.
    size : of the file, bytes.
    segments : what its objects are.
    scores : on images that it did not learn from, by their names.
    license : what may be done with it.
    problem : why it cannot be used, or "".
    """

    name: str
    path: Path
    size: int
    segments: str = ""
    scores: Mapping[str, float] | None = None
    license: str = ""
    problem: str = ""


def list_models() -> tuple[Known, ...]:
    """The models that have a name, sorted by it; those among them that cannot be used say why."""
    known = models_by_name()
    return tuple(
        _described(name, path, len(known[name]) > 1) for name in sorted(known) for path in known[name]
    )


def _described(name: str, path: Path, twice: bool) -> Known:
    from unseam.model.header import read_header

    size = path.stat().st_size
    try:
        header = read_header(path)
    except ModelFileError as error:
        return Known(name, path, size, problem=str(error))
    scores = header.training.get("test_scores") or header.training.get("held_out_scores")
    problem = "another one has this name too; give the path of the one that is meant" if twice else ""
    return Known(name, path, size, header.segments or header.task, scores, header.license, problem)


def half_model(path: str | Path, out: str | Path, *, overwrite: bool = False) -> None:
    """Write a model with its weights in bfloat16: half the size, and next to the same labels.

    Parameters
    ----------
    path : str or Path
        The model, as `unseam.load_model` takes it.
    out : str or Path
        The new file.
    overwrite : bool
        Whether it may be replaced.

    Raises
    ------
    ModelFileError
        As `unseam.model.checkpoint.load_network`.
    OutputExistsError, OutputError
        As `unseam.model.checkpoint.save_model`.
    """
    import torch

    from unseam.model.checkpoint import load_network, save_model

    net, header = load_network(find_model(path))
    save_model(Path(out), net.state_dict(), header, overwrite=overwrite, dtype=torch.bfloat16)
