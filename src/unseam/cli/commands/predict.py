"""`unseam predict`."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from unseam.cli.options import loaded, model_argument, new_command, of_images, overwrite
from unseam.cli.show import listening


def add(commands: Any) -> None:
    """The options of `unseam predict`."""
    command = new_command(commands, "predict", "segment images with a trained model")
    model_argument(command)
    command.add_argument(
        "inputs",
        metavar="INPUT",
        nargs="+",
        help="images, OME-Zarr folders, folders of them, or a CSV file of pairs",
    )
    command.add_argument(
        "--out", metavar="DIR", required=True, help="folder for the results, or NAME.zarr for one image"
    )
    command.add_argument(
        "--tile",
        default="auto",
        metavar="auto|N",
        help="largest tile, pixels; changes time and memory, never the result (default: auto)",
    )
    command.add_argument(
        "--save",
        metavar="LIST",
        help="what to write (default: labels,probabilities,table,overlay; of an image in blocks "
        "labels,table,overlay; there are also parquet, rois, geojson and coco)",
    )
    command.add_argument("--split", help="of a CSV file, the rows to take, as test")
    of_images(command)
    command.add_argument(
        "--adapt",
        action="store_true",
        help="correct images that are unlike the training images, where that brings them into range: "
        "inverted contrast, order of channels, size",
    )
    command.add_argument("--resume", action="store_true", help="do only the images whose results are missing")
    large = command.add_argument_group("images larger than memory, in blocks (OME-Zarr, huge TIFF)")
    large.add_argument(
        "--memory", metavar="SIZE", help="keep each process within this, as 4GB (default: what pays)"
    )
    large.add_argument(
        "--block", type=int, metavar="N", help="pixels per axis of a block; it never changes the result"
    )
    large.add_argument(
        "--cluster",
        metavar="local:N|ADDRESS",
        help="do the blocks in N processes, or on the workers of a Dask scheduler, by its address or file",
    )
    large.add_argument(
        "--ome-version",
        choices=("0.4", "0.5"),
        default="0.5",
        help="of what is written (default: %(default)s)",
    )
    overwrite(command)


def run(options: Namespace) -> int:
    """`unseam predict`; 2 if an image was bad, 1 if one failed otherwise."""
    from unseam.streaming.plan import parse_bytes
    from unseam.workflow.predicting import predict_files

    model = loaded(options)
    with listening() as listener:
        outcomes = predict_files(
            model,
            options.inputs,
            options.out,
            split=options.split,
            save=None
            if options.save is None
            else tuple(filter(None, map(str.strip, options.save.split(",")))),
            axes=options.axes,
            pixel_size=options.pixel_size,
            select=options.select,
            tile=options.tile,
            tta=options.tta,
            rescale=not options.no_rescale,
            diameter=options.diameter,
            adapt=options.adapt,
            memory=parse_bytes(options.memory) if options.memory else None,
            block=options.block,
            version=options.ome_version,
            cluster=options.cluster,
            overwrite=options.overwrite,
            resume=options.resume,
            listener=listener,
        )
    failed = [outcome.error for outcome in outcomes if outcome.error]
    print(f"{len(outcomes) - len(failed)} of {len(outcomes)} images are in {options.out}")
    return max((error.exit_code for error in failed), default=0)
