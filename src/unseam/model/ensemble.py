"""The folder of a cross-validation: its models, what each did not see, and the thresholds of all together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from unseam.config import Config, ObjectConfig
from unseam.errors import ConfigError, ModelFileError
from unseam.io.atomic import replacing
from unseam.model.finding import ENSEMBLE, find_model
from unseam.model.weights import file_digest

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Fold:
    """One training of a cross-validation.

    Attributes
    ----------
    model : of the file, relative to the folder of all.
    held_out : names of the images that it did not see.
    digest : of the model's file, once it is trained; "" before.
    """

    model: str
    held_out: tuple[str, ...]
    digest: str = ""


@dataclass(frozen=True)
class Ensemble:
    """A cross-validation, begun or finished.

    Attributes
    ----------
    folds : one for each model.
    identity : what has to be the same for it to be gone on with.
    objects : how the mean probabilities become objects; None as long as folds are not done.
    scores : out of fold, of the whole set.
    """

    folds: tuple[Fold, ...]
    identity: Mapping[str, Any] = field(default_factory=dict)
    objects: ObjectConfig | None = None
    scores: Mapping[str, Any] = field(default_factory=dict)


def write_ensemble(folder: Path, ensemble: Ensemble) -> None:
    """Write ensemble.json into the folder, in place of one that is there."""
    document = {"format_version": FORMAT_VERSION, **asdict(ensemble)}
    with replacing(folder / ENSEMBLE, overwrite=True) as temporary:
        temporary.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_ensemble(folder: Path) -> Ensemble:
    """The cross-validation of a folder.

    Raises
    ------
    ModelFileError
        If its file cannot be read or understood, or is of a newer version.
    """
    path = folder / ENSEMBLE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format_version"] > FORMAT_VERSION:
            raise ModelFileError(
                f"{path} has format {document['format_version']}; this unseam reads up to {FORMAT_VERSION}: "
                "update it"
            )
        folds = tuple(Fold(f["model"], tuple(f["held_out"]), f["digest"]) for f in document["folds"])
        objects = document["objects"]
        chosen = Config().updated({"objects": objects}).objects if objects else None
        return Ensemble(folds, document["identity"], chosen, document["scores"])
    except (OSError, KeyError, TypeError, ValueError, ConfigError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"{path} cannot be understood ({error}); copy it again") from error


def ensemble_of(given: str | Path) -> Ensemble | None:
    """The cross-validation that a folder holds, finished; None where it holds none.

    Raises
    ------
    ModelFileError
        As `read_ensemble`, and if it is not finished, or a model is not the one that it has trained.
    """
    folder = Path(given)
    if not (folder / ENSEMBLE).is_file():
        return None
    ensemble = read_ensemble(folder)
    if ensemble.objects is None:
        done = sum(bool(fold.digest) for fold in ensemble.folds)
        raise ModelFileError(
            f"{folder} is an unfinished cross-validation, {done} of {len(ensemble.folds)} folds are trained; "
            f"unseam train ... --resume goes on with it, and {folder / 'fold0'} is one of its models"
        )
    for fold in ensemble.folds:
        path = folder / fold.model
        if not path.is_file() or file_digest(path) != fold.digest:
            raise ModelFileError(
                f"{path} is gone or is another model than the cross-validation has trained; copy the whole "
                "folder again, or give the models one by one"
            )
    return ensemble


def find_models(given: str | Path | Sequence[str | Path]) -> tuple[Path, ...]:
    """The files of all models that are given: of each its file, of a cross-validation those of its folds.

    Raises
    ------
    ModelFileError
        As `find_model` and `ensemble_of`.
    """
    each = [given] if isinstance(given, (str, Path)) else given
    found: list[Path] = []
    for one in each:
        ensemble = ensemble_of(one)
        folds = ensemble.folds if ensemble else ()
        found += [Path(one) / fold.model for fold in folds] if folds else [find_model(one)]
    return tuple(found)


def in_order(files: Sequence[Path]) -> list[Path]:
    """Model files in the order in which they are summed, whatever the order in which they are given."""
    return sorted(files, key=lambda file: (file_digest(file), str(file))) if len(files) > 1 else list(files)
