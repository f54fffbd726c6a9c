"""Cold start: the help, the import, and the prediction of one small image."""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Iterator

from bench.performance.contest import Contestant, peer
from bench.performance.page import figure, spread
from bench.performance.record import Measured, Options, Record, Row

ORDER = 7
TITLE = "Start"
INTRODUCTION = "Each run is a new process, but for the last line."
SIZE = 512


def rows(options: Options) -> Iterator[Row]:
    """Help and import beside those of others, and a prediction; if quick, help and import of ours alone."""
    for row in (_help(), _import()) if options.quick else (_help(), _import(), _predict()):
        ours = [one for one in row.contestants if one.python == sys.executable and "torch" not in one.name]
        yield row if not options.quick else Row(row.title, ours, 1, row.unit, row.per_unit)


def page(record: Record) -> str:
    """Tables of seconds: the memory that was measured is not that of the processes that start."""
    return "\n".join(map(_table, record.rows))


def _table(row: Measured) -> str:
    head = ["| | ratio | median (quartiles), s | |", "|---|---|---|---|"]
    ours = statistics.median(row.results[0].seconds or [math.nan])
    lines = []
    for one in row.results:
        ratio = figure(statistics.median(one.seconds) / ours) if one.seconds else ""
        said = spread(one.seconds) if one.seconds else one.failure
        lines.append(f"| {one.name} | {ratio} | {said} | {one.note} |")
    return "\n".join([f"### {row.title}\n", *head, *lines]) + "\n"


def _help() -> Row:
    return _row(
        "The help",
        [
            _command("unseam --help", "-m", "unseam", "--help"),
            _command("python", "-c", "pass", note="an interpreter that does nothing"),
            _command("cellpose --help", "-m", "cellpose", "--help", python=peer("vision")),
            _command(
                "nnUNetv2_predict --help",
                "-c",
                "import sys; sys.argv[1:] = ['--help']; "
                "from nnunetv2.inference.predict_from_raw_data import predict_entry_point as main; main()",
                python=peer("nnunet"),
            ),
        ],
    )


def _import() -> Row:
    return _row(
        "The import",
        [
            _command("import unseam", "-c", "import unseam", note="its parts are imported when first used"),
            _command("from unseam import load_model, torch with it", "-c", "from unseam import load_model"),
            _command("import cellpose.models", "-c", "import cellpose.models", python=peer("vision")),
            _command("import monai.inferers", "-c", "import monai.inferers", python=peer("monai")),
            _command(
                "import nnU-Net's predictor",
                "-c",
                "import nnunetv2.inference.predict_from_raw_data",
                python=peer("nnunet"),
            ),
        ],
    )


def _predict() -> Row:
    image = {"size": SIZE}
    return _row(
        f"unseam predict nuclei, one image of {SIZE}x{SIZE}",
        [
            Contestant("unseam predict", sys.executable, "start.py", {"warm": False, **image}, "default"),
            _command("its imports", "-c", "import unseam.cli.commands.predict, unseam.workflow.predicting"),
            _command("import torch", "-c", "import torch"),
            Contestant(
                "Model.predict", sys.executable, "start.py", {"warm": True, **image}, "the model is loaded"
            ),
        ],
    )


def _command(name: str, *command: str, python: str = sys.executable, note: str = "") -> Contestant:
    return Contestant(name, python, "start.py", {"command": list(command)}, note)


def _row(title: str, contestants: list[Contestant]) -> Row:
    return Row(title, contestants, 5, "run", 1)
