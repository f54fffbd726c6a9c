"""`unseam import`."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from unseam.cli.options import new_command, overwrite
from unseam.cli.show import listening


def add(commands: Any) -> None:
    """The options of `unseam import`."""
    command = new_command(
        commands, "import", "turn a network of the U-Net authors, made with Caffe, into a model"
    )
    command.add_argument(
        "file", metavar="FILE", help="a .caffemodel, as phseg_v5.caffemodel, or the plugin's .modeldef.h5"
    )
    command.add_argument(
        "--weights", metavar="NAME.caffemodel.h5", help="the weights that belong to a .modeldef.h5"
    )
    command.add_argument("--out", metavar="MODEL.safetensors", required=True, help="the model")
    overwrite(command)


def run(options: Namespace) -> int:
    """`unseam import`."""
    from unseam.workflow.importing import import_model

    with listening() as listener:
        import_model(
            options.file,
            out=options.out,
            weights=options.weights,
            overwrite=options.overwrite,
            listener=listener,
        )
    return 0
