"""The folder of a training run: what is written there, when, and who is told about it."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from unseam.config import Config
from unseam.data.dataset import PatchSampler
from unseam.draw import curves, patches_figure
from unseam.errors import MissingExtraError, OutputExistsError
from unseam.io.atomic import replacing
from unseam.model.checkpoint import save_model
from unseam.model.ensemble import find_models
from unseam.model.finding import ENSEMBLE, MODEL
from unseam.model.header import ModelHeader
from unseam.prediction.combining import header_of
from unseam.report.words import plural
from unseam.training.loop import Progress
from unseam.training.state import State, save_state
from unseam.workflow.listener import Listener, Step, clock

CHECKPOINT = "checkpoint.safetensors"
CONFIG = "config.toml"
HISTORY = "history.csv"
CURVES = "curves.png"
PATCHES = "patches.png"
FILES = (MODEL, CHECKPOINT, CONFIG, HISTORY, CURVES, PATCHES)


class Run:
    """The folder of a run."""

    def __init__(self, folder: Path, listener: Listener, started: float) -> None:
        self.folder, self.listener, self.started = folder, listener, started

    def refuse_existing(self, *, resume: bool, overwrite: bool) -> None:
        """Raise if there is a run already which is neither to be continued nor replaced."""
        if (self.folder / ENSEMBLE).exists():
            raise OutputExistsError(
                f"{self.folder} holds a cross-validation, whose models lie in folders of their own; give "
                "--folds to go on with it or to replace it, or another --out"
            )
        there = [name for name in FILES if (self.folder / name).exists()]
        if there and not (resume or overwrite):
            raise OutputExistsError(
                f"{self.folder} holds a run already ({there[0]}); "
                "--resume goes on with it, --overwrite replaces it"
            )

    def open(self, config: Config, sampler: PatchSampler, *, resume: bool) -> None:
        """Write the configuration and the first patches; a run that is not continued is removed before."""
        if not resume:
            for name in FILES:
                (self.folder / name).unlink(missing_ok=True)
        with replacing(self.folder / CONFIG, overwrite=True) as temporary:
            temporary.write_text(config.to_toml(), encoding="utf-8")
        self._draw_patches(sampler)

    def checkpoint(self, state: State, identity: dict[str, Any]) -> None:
        """Write state, history and curves."""
        save_state(self.folder / CHECKPOINT, state, identity)
        write_history(self.folder / HISTORY, state.history)
        if state.history:
            curves(state.history, self.folder / CURVES, overwrite=True)

    def keep(self, weights: dict[str, Tensor], header: ModelHeader) -> None:
        """Write the model of the run."""
        save_model(self.folder / MODEL, weights, header, overwrite=True)

    def tell(self, progress: Progress, measure: str, log: Any) -> None:
        """Pass progress on to the listener, and to TensorBoard where it is wanted."""
        is_known = math.isfinite(progress.loss)
        loss_text = f", loss {progress.loss:.3f}" if is_known else ""
        score_text = "" if progress.score is None else f", held-out {measure} {progress.score:.3f}"
        detail = f"iteration {progress.step}{loss_text}{score_text}"
        self.listener.step(Step("training", progress.fraction, detail, progress.seconds_left))
        if log is not None:
            if is_known:
                log.add_scalar("loss", progress.loss, progress.step)
            if progress.score is not None:
                log.add_scalar("held_out_score", progress.score, progress.step)

    def _draw_patches(self, sampler: PatchSampler) -> None:
        """Draw the first patches as the network sees them, with their weight maps."""
        batch = sampler.batch(0, 4)
        patches_figure(
            batch.image.cpu().numpy(),
            batch.target.cpu().numpy(),
            batch.weights.cpu().numpy(),
            self.folder / PATCHES,
            overwrite=True,
        )


def write_history(path: Path, history: Sequence[Mapping[str, float]]) -> None:
    """One row per log interval as CSV; scores where there was a validation."""
    names = list(dict.fromkeys(key for row in history for key in row))
    with (
        replacing(path, overwrite=True) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)


def read_history(path: Path) -> list[dict[str, float]]:
    """The rows of a history.csv; empty cells are left out."""
    with open(path, newline="", encoding="utf-8") as file:
        return [{key: float(cell) for key, cell in row.items() if cell} for row in csv.DictReader(file)]


def about_run(model: str | Path) -> dict[str, Any]:
    """What a report says about a model: a headline of (name, value), and the history of its run if there."""
    paths = find_models(model)
    path, header = paths[0], header_of(paths)
    training, network, fp = header.training, header.network, header.fingerprint
    headline = [
        (
            "network",
            f"{network.spatial_dims}-D U-Net, depth {network.depth}, base width {network.base_width}",
        )
    ]
    if fp is not None:
        objects = f"; {plural(fp.n_objects, 'object')} in all" if header.task == "instances" else ""
        headline.append(("trained on", f"{trained_on(header)}{objects}"))
    if {"iterations", "seconds"} <= training.keys():
        spent = f"{training['iterations']} iterations in {clock(training['seconds'])}"
        headline.append(("training", f"{spent}, preset {training['preset']}, seed {training['seed']}"))
    if len(paths) > 1:
        headline.append(("models", f"{len(paths)}, their probabilities averaged"))
    history = path.with_name(HISTORY)
    is_one = len(paths) == 1 and history.is_file()
    return {"headline": tuple(headline), "history": tuple(read_history(history)) if is_one else None}


def trained_on(header: ModelHeader) -> str:
    """How many images a model learned from, and on how many it was chosen."""
    learned, held = (header.training.get(f"images_{what}") for what in ("learned_from", "held_out"))
    if learned is None:
        return plural(header.fingerprint.n_images, "image") if header.fingerprint else "unknown images"
    held = held or header.training.get("part_held_out", "none")
    return f"{plural(learned, 'image')}, and {held} held out to choose the best model"


def tensorboard_log(folder: Path) -> Any:
    """A TensorBoard writer into a folder of the run, to be closed as a context.

    Raises
    ------
    MissingExtraError
        If TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtraError(
            "--tensorboard needs the package tensorboard; install it with: pip install 'unseam[tensorboard]'"
        ) from error
    return SummaryWriter(str(folder / "tensorboard"))
