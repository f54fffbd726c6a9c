"""`unseam calibrate`."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from unseam.cli.options import model_argument, new_command, overwrite
from unseam.cli.show import listening


def add(commands: Any) -> None:
    """The options of `unseam calibrate`."""
    command = new_command(
        commands, "calibrate", "make a model ready for int8 on your images, and say what that costs"
    )
    model_argument(command)
    command.add_argument(
        "images", metavar="IMAGES", nargs="+", help="images like those to be segmented, or folders of them"
    )
    command.add_argument(
        "--out", metavar="FILE", required=True, help="the new model; it ends in .safetensors"
    )
    command.add_argument("--axes", help="axes of images whose file does not state them, as TYX or ZYX")
    command.add_argument(
        "--pixel-size", type=float, metavar="UM", help="pixel size where none is stated, micrometres"
    )
    overwrite(command)


def run(options: Namespace) -> int:
    """`unseam calibrate`."""
    from unseam.workflow.calibrating import calibrate_model, in_words

    with listening() as listener:
        calibrated = calibrate_model(
            options.model,
            options.images,
            options.out,
            axes=options.axes,
            pixel_size=options.pixel_size,
            overwrite=options.overwrite,
            listener=listener,
        )
    for line in in_words(calibrated):
        print(line)
    return 0
