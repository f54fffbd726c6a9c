"""`unseam verify`."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from unseam.cli.options import loaded, model_argument, new_command, of_images, overwrite
from unseam.cli.show import listening


def add(commands: Any) -> None:
    """The options of `unseam verify`."""
    command = new_command(
        commands, "verify", "prove on your own image that the result does not depend on how it was cut"
    )
    model_argument(command)
    command.add_argument("image", metavar="IMAGE", help="an image of any size, or an OME-Zarr folder")
    command.add_argument(
        "--regions", type=int, default=8, metavar="N", help="regions to look at (default: %(default)s)"
    )
    command.add_argument("--seed", type=int, default=0, help="of their places (default: %(default)s)")
    command.add_argument(
        "--tile", default="auto", metavar="auto|N", help="largest tile that is tried (default: auto)"
    )
    command.add_argument(
        "--memory", metavar="SIZE", help="compare the whole image where it takes less (default: half of free)"
    )
    command.add_argument("--picture", metavar="FILE.png", help="draw where results differ the most")
    command.add_argument("--report", metavar="PAGE.html", help="write a page with picture and numbers")
    command.add_argument("--json", metavar="FILE", help="write every number here")
    of_images(command)
    overwrite(command)


def run(options: Namespace) -> int:
    """`unseam verify`; 1 if the result depends on how the image was cut."""
    from unseam.streaming.job import ImageSpec
    from unseam.streaming.plan import parse_bytes
    from unseam.workflow.verifying import verify_file

    model = loaded(options)
    with listening() as listener:
        verified = verify_file(
            model,
            ImageSpec(options.image, options.axes, options.select, options.pixel_size),
            json_file=options.json,
            picture=options.picture,
            report=options.report,
            overwrite=options.overwrite,
            listener=listener,
            regions=options.regions,
            seed=options.seed,
            tile=options.tile,
            tta=options.tta,
            rescale=not options.no_rescale,
            diameter=options.diameter,
            memory=parse_bytes(options.memory) if options.memory else None,
        )
    for line in verified.lines:
        print(line)
    return 1 if verified.certificate.is_broken else 0
