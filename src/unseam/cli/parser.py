"""Commands and options. Options of the configuration are made from its fields, help and range included."""

from __future__ import annotations

import argparse
from dataclasses import Field, fields
from typing import Any, get_type_hints

from unseam import __version__
from unseam.config import Config, DataConfig, Section, TrainConfig

SECTIONS: dict[str, type[Section]] = {f.name: type(getattr(Config(), f.name)) for f in fields(Config)}


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="unseam",
        allow_abbrev=False,
        description="A few annotated images in, a trained U-Net out; then any image, of any size, segmented, "
        "counted and measured, with no seam where tiles meet.",
    )
    parser.add_argument("--version", action="version", version=f"unseam {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_train, _predict, _evaluate, _measure, _verify, _check, _info, _doctor, _demo):
        add(commands)
    return parser


def _command(commands: Any, name: str, help: str, **options: Any) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=help, description=f"{help}.", allow_abbrev=False, **options
    )
    command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return command


def _train(commands: Any) -> None:
    command = _command(
        commands,
        "train",
        "train a network on annotated images",
        epilog=_settings_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "images",
        metavar="IMAGES",
        help="folder or file of images, or a CSV file with columns image, labels[, split]",
    )
    command.add_argument("labels", metavar="LABELS", nargs="?", help="folder or file of labels")
    command.add_argument("--out", metavar="RUN", required=True, help="folder for the model and all about it")
    command.add_argument(
        "--preset", choices=("default", "paper"), default="default", help="default: %(default)s"
    )
    _config_options(command, DataConfig)
    _config_options(command, TrainConfig)
    command.add_argument("--split", default="train", help="of a CSV file, the rows to take (default: train)")
    command.add_argument("--config", metavar="FILE", help="TOML file of settings, as a run's config.toml")
    command.add_argument(
        "--set", metavar="S.K=V", action="append", default=[], help="any setting below, as network.depth=3"
    )
    command.add_argument("--resume", action="store_true", help="go on from the checkpoint in RUN, exactly")
    command.add_argument("--tensorboard", action="store_true", help="also write TensorBoard events")
    _overwrite(command)


def _predict(commands: Any) -> None:
    command = _command(commands, "predict", "segment images with a trained model")
    command.add_argument("model", metavar="MODEL", help="model.safetensors, or the folder of a run")
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
        "labels,table,overlay; there also parquet)",
    )
    command.add_argument("--split", help="of a CSV file, the rows to take, as test")
    _of_images(command)
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
    _overwrite(command)


def _of_images(command: argparse.ArgumentParser) -> None:
    """What else decides a prediction."""
    command.add_argument(
        "--tta",
        choices=("none", "mirror", "rotate"),
        default="none",
        help="average over mirrored, or mirrored and rotated versions (default: none)",
    )
    command.add_argument(
        "--select", metavar="PART", help="the part that is meant, as t=0,c=1,z=5,level=0,y=0:4096,x=0:4096"
    )
    command.add_argument(
        "--set",
        metavar="K=V",
        action="append",
        default=[],
        help="how probabilities become objects, as objects.threshold=0.6; also low_threshold, grow, "
        "min_size, fill_holes (default: as chosen in training)",
    )
    command.add_argument("--axes", help="axes of images whose file does not state them, as TYX or ZYX")
    command.add_argument(
        "--pixel-size", type=float, metavar="UM", help="pixel size where none is stated, micrometres"
    )
    command.add_argument(
        "--no-rescale", action="store_true", help="do not bring images to the pixel size of the model"
    )
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto")


def _evaluate(commands: Any) -> None:
    command = _command(commands, "evaluate", "score predicted labels against the truth")
    command.add_argument("true", metavar="TRUE", help="true labels: a file or a folder")
    command.add_argument("pred", metavar="PRED", help="predicted labels: a file or a folder")
    command.add_argument("--images", metavar="DIR", help="the images, to be seen in the report")
    command.add_argument("--model", metavar="MODEL", help="the model or run, to be described in the report")
    command.add_argument("--json", metavar="FILE", help="write the scores here")
    command.add_argument("--report", metavar="FILE", help="write a page with pictures here, .html")
    _config_options(command, DataConfig, only=("task", "ignore", "axes"))
    _overwrite(command)


def _measure(commands: Any) -> None:
    command = _command(commands, "measure", "measure the objects of label images")
    command.add_argument("labels", metavar="LABELS", help="label images: a file or a folder")
    command.add_argument("images", metavar="IMAGES", nargs="?", help="images, for intensities")
    command.add_argument("--out", metavar="TABLE.csv", required=True, help="the table")
    _config_options(command, DataConfig, only=("task", "ignore", "pixel_size", "axes"))
    _overwrite(command)


def _verify(commands: Any) -> None:
    command = _command(
        commands, "verify", "prove on your own image that the result does not depend on how it was cut"
    )
    command.add_argument("model", metavar="MODEL", help="model.safetensors, or the folder of a run")
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
    _of_images(command)
    _overwrite(command)


def _check(commands: Any) -> None:
    command = _command(commands, "check", "describe images and labels, and say what is suspicious")
    command.add_argument("images", metavar="IMAGES", help="folder or file of images, or a CSV file of pairs")
    command.add_argument("labels", metavar="LABELS", nargs="?", help="folder or file of labels")
    _config_options(command, DataConfig, only=("task", "ignore", "pixel_size", "axes"))


def _info(commands: Any) -> None:
    command = _command(commands, "info", "say what a model is, and what it was trained on")
    command.add_argument("model", metavar="MODEL", help="model.safetensors, or the folder of a run")
    command.add_argument("--json", action="store_true", help="as JSON")


def _doctor(commands: Any) -> None:
    _command(commands, "doctor", "say what this machine has and what will be used")


def _demo(commands: Any) -> None:
    command = _command(commands, "demo", "train, predict, score and report on synthetic images or your own")
    command.add_argument("--images", metavar="DIR", help="your images (default: synthetic ones are made)")
    command.add_argument("--labels", metavar="DIR", help="your labels")
    _config_options(command, DataConfig, only=("axes",))
    command.add_argument("--out", metavar="DIR", default="demo", help="default: %(default)s")
    command.add_argument("--minutes", type=float, default=2.0, help="time to train (default: %(default)s)")
    command.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    _overwrite(command)


def _overwrite(command: argparse.ArgumentParser) -> None:
    command.add_argument("--overwrite", action="store_true", help="replace what is there already")


def _config_options(
    command: argparse.ArgumentParser, section: type[Section], only: tuple[str, ...] | None = None
) -> None:
    """An option for each field of a section that is marked as one."""
    for spec in fields(section):  # type: ignore[arg-type]
        if spec.metadata["flag"] and (only is None or spec.name in only):
            default = "" if spec.default is None else f" (default: {spec.default})"
            command.add_argument(
                f"--{spec.name.replace('_', '-')}",
                type=_scalar(section, spec),
                choices=spec.metadata["choices"] or None,
                default=None,
                help=spec.metadata["help"] + default,
            )


def _scalar(section: type[Section], spec: Field[Any]) -> type:
    hint = get_type_hints(section)[spec.name]
    kinds = [kind for kind in getattr(hint, "__args__", (hint,)) if kind is not type(None)]
    kind: type = kinds[0]
    return kind


def _settings_help() -> str:
    """Every setting with its default and help, for the end of `unseam train --help`."""
    lines = ["settings for --set and --config (planned: chosen for the data, the time and the machine):"]
    for name, section in SECTIONS.items():
        for spec in fields(section):  # type: ignore[arg-type]
            default = "planned" if spec.default is None else spec.default
            lines.append(f"  {name + '.' + spec.name:26} {spec.metadata['help']} ({default})")
    return "\n".join(lines)
