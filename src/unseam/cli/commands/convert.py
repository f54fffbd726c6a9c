"""`unseam convert`."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from unseam.cli.options import LABEL_OPTIONS, config_options, data_config, new_command, overwrite
from unseam.cli.show import listening
from unseam.config import DataConfig

KINDS = ("labels", "ome-tiff", "rois", "geojson", "coco", "ctc")


def add(commands: Any) -> None:
    """The options of `unseam convert`."""
    command = new_command(commands, "convert", "convert label images and annotations into each other")
    command.add_argument(
        "labels",
        metavar="INPUT",
        help="label images, ImageJ ROIs, GeoJSON, COCO or CSV points: a file or a folder; or OME-Zarr labels",
    )
    command.add_argument(
        "--to",
        choices=KINDS,
        required=True,
        help="label image, the same as .ome.tif, ImageJ ROI set, GeoJSON of QuPath, COCO with run lengths, "
        "or a result folder of the Cell Tracking Challenge, each object of each frame a track of its own",
    )
    command.add_argument(
        "--out", metavar="PATH", required=True, help="a file, or a folder where INPUT is one; coco: one file"
    )
    command.add_argument(
        "--images", metavar="IMAGES", help="the images, for their size, pixel size and intensities"
    )
    config_options(command, DataConfig, only=(*LABEL_OPTIONS, "pixel_size"))
    overwrite(command)


def run(options: Namespace) -> int:
    """`unseam convert`."""
    from unseam.workflow.converting import convert_files

    with listening() as listener:
        convert_files(
            options.labels,
            options.to,
            options.out,
            images=options.images,
            config=data_config(options),
            overwrite=options.overwrite,
            listener=listener,
        )
    return 0
