"""`unseam learning-curve`."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from unseam.cli.options import LABEL_OPTIONS, config_options, data_config, new_command, overwrite
from unseam.cli.show import listening
from unseam.config import DataConfig


def add(commands: Any) -> None:
    """The options of `unseam learning-curve`."""
    command = new_command(
        commands, "learning-curve", "say whether more annotated images would help, by training on fewer"
    )
    command.add_argument(
        "images", metavar="IMAGES", help="folder of images, or a CSV file with columns image, labels[, split]"
    )
    command.add_argument("labels", metavar="LABELS", nargs="?", help="folder of labels")
    command.add_argument("--out", metavar="DIR", required=True, help="folder for the curve and its trainings")
    command.add_argument("--minutes", type=float, default=5.0, help="of each training (default: %(default)g)")
    command.add_argument(
        "--sizes", type=int, nargs="+", metavar="N", help="images to learn from (default: all, half, ...)"
    )
    command.add_argument(
        "--seeds", type=int, nargs="+", default=[0], metavar="N", help="a curve for each (default: 0)"
    )
    command.add_argument("--measure", help="score to look at (default: ap50, of classes dice_classes)")
    config_options(command, DataConfig, only=LABEL_OPTIONS)
    command.add_argument("--resume", action="store_true", help="go on with a curve that was stopped")
    overwrite(command)


def run(options: Namespace) -> int:
    """`unseam learning-curve`."""
    from unseam.workflow.learning_curve import PICTURE, learning_curve

    with listening() as listener:
        curve = learning_curve(
            options.images,
            options.labels,
            out=options.out,
            minutes=options.minutes,
            sizes=options.sizes,
            seeds=options.seeds,
            measure=options.measure,
            data=data_config(options),
            resume=options.resume,
            overwrite=options.overwrite,
            listener=listener,
        )
    for point in curve.points:
        print(f"images {point.images:4}  seed {point.seed}  {curve.measure} {point.score:.4f}")
    print(f"open {options.out}/{PICTURE}")
    return 0
