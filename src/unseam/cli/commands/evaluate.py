"""`unseam evaluate`."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from unseam.cli.options import LABEL_OPTIONS, config_options, data_config, new_command, number, overwrite
from unseam.cli.show import listening
from unseam.config import DataConfig

if TYPE_CHECKING:
    from unseam.metrics.error_sizes import SizeGroup


def add(commands: Any) -> None:
    """The options of `unseam evaluate`."""
    command = new_command(commands, "evaluate", "score predicted labels against the truth")
    command.add_argument("true", metavar="TRUE", help="true labels: a file or a folder")
    command.add_argument("pred", metavar="PRED", help="predicted labels: a file or a folder")
    command.add_argument("--images", metavar="DIR", help="the images, to be seen in the report")
    command.add_argument(
        "--model", metavar="MODEL", help="the model, its run or its name, to be described in the report"
    )
    command.add_argument("--json", metavar="FILE", help="write the scores here")
    command.add_argument("--report", metavar="FILE", help="write a page with pictures here, .html")
    command.add_argument(
        "--isbi",
        action="store_true",
        help="score membranes too, as the ISBI 2012 challenge does, from the STEM_probabilities.tif in PRED",
    )
    config_options(command, DataConfig, only=LABEL_OPTIONS)
    overwrite(command)


def run(options: Namespace) -> int:
    """`unseam evaluate`."""
    from unseam.workflow.evaluation import evaluate_files

    with listening() as listener:
        evaluation = evaluate_files(
            options.true,
            options.pred,
            images=options.images,
            model=options.model,
            json_file=options.json,
            report=options.report,
            isbi=options.isbi,
            config=data_config(options),
            overwrite=options.overwrite,
            listener=listener,
        )
    scores = evaluation.of_set()
    per_class = scores.pop("dice_per_class", {})
    scores |= {f"dice[{name}]": value for name, value in per_class.items()}
    width = max(14, *map(len, scores))
    for name, value in scores.items():
        print(f"{name:{width}} {number(value)}")
    for line in error_lines(evaluation.errors):  # beside the scores, which programs read
        print(line, file=sys.stderr)
    return 0


def error_lines(groups: Sequence[SizeGroup]) -> list[str]:
    """A table of the errors by size; nothing where there is no true object."""
    kinds = ("found", "boundary", "merged", "split", "missed", "false")
    rows = [
        (f"{g.smallest} to {g.largest}", g.counts.n_true, *(getattr(g.counts, kind) for kind in kinds))
        for g in groups
    ]
    if not rows:
        return []
    head = ("errors, by area (pixels)", "true", *kinds)
    widths = (26, *[9] * (1 + len(kinds)))
    return [
        "".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) for row in [head, *rows]
    ]
