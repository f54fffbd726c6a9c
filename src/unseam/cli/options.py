"""What several commands share: options, and how they are read and shown."""

from __future__ import annotations

import argparse
from argparse import Namespace
from dataclasses import Field, fields
from typing import TYPE_CHECKING, Any

from unseam.config import Config, DataConfig, Section, parse_assignment, types_of
from unseam.errors import ConfigError

if TYPE_CHECKING:
    from unseam.prediction import Model

ENGINES = ("auto", "openvino", "onnx", "torch")
PRECISIONS = ("auto", "float32", "bfloat16", "int8")
"""As `unseam.engines.choosing` has them, which help does without; a test compares them."""
SECTIONS: dict[str, type[Section]] = {f.name: type(getattr(Config(), f.name)) for f in fields(Config)}


def new_command(commands: Any, name: str, help: str, **options: Any) -> argparse.ArgumentParser:
    """A command with `--debug`, which all have."""
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=help, description=f"{help}.", allow_abbrev=False, **options
    )
    command.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return command


def model_argument(command: argparse.ArgumentParser) -> None:
    """The argument MODEL, as every command takes it."""
    command.add_argument(
        "model",
        metavar="MODEL",
        help="name of a model that `unseam models` lists, a model file, the folder of a run or of a "
        "cross-validation, or a bioimage.io package",
    )


def of_images(command: argparse.ArgumentParser) -> None:
    """What else decides a prediction."""
    command.add_argument(
        "--with",
        dest="also",
        metavar="MODEL",
        action="append",
        default=[],
        help="another model, whose probabilities are averaged with those of MODEL; may be repeated",
    )
    command.add_argument(
        "--tta",
        choices=("none", "mirror", "rotate", "turn"),
        default="none",
        help="average over mirrored versions, over mirrored ones and quarter turns, or over seven turns of "
        "the whole image as in the paper (default: none)",
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
        "split, split_size, split_grow, min_size, fill_holes (default: as chosen in training)",
    )
    command.add_argument("--axes", help="axes of images whose file does not state them, as TYX or ZYX")
    command.add_argument(
        "--pixel-size", type=float, metavar="UM", help="pixel size where none is stated, micrometres"
    )
    command.add_argument(
        "--diameter",
        type=diameter,
        metavar="PX|auto",
        help="of the objects, pixels: images are rescaled by it, whatever their pixel size; auto finds it "
        "(default: auto of models that are made for any scale, as nuclei, else none)",
    )
    command.add_argument(
        "--no-rescale", action="store_true", help="do not bring images to the pixel size of the model"
    )
    command.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="default: auto")
    engine_options(command)


def engine_options(command: argparse.ArgumentParser) -> None:
    """What runs the network."""
    command.add_argument(
        "--engine",
        choices=ENGINES,
        default="auto",
        help="what runs the network (default: auto, the fastest that is installed)",
    )
    command.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="what it computes in (default: auto, bfloat16 where the processor multiplies it natively); int8 "
        "of models that `unseam calibrate` wrote",
    )


def loaded(options: Namespace) -> Model:
    """The model that the options name, with its engine and what `--set` changes."""
    from unseam.prediction import load_model

    model = load_model(
        [options.model, *options.also],
        device=options.device,
        engine=options.engine,
        precision=options.precision,
    )
    return model.with_objects(**object_changes(options))


def diameter(text: str) -> float | str:
    """A number; what is none is left for those who know what else it may be."""
    try:
        return float(text)
    except ValueError:
        return text


def overwrite(command: argparse.ArgumentParser) -> None:
    """The option `--overwrite`."""
    command.add_argument("--overwrite", action="store_true", help="replace what is there already")


def config_options(
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
    hint = types_of(section)[spec.name]
    kinds = [kind for kind in getattr(hint, "__args__", (hint,)) if kind is not type(None)]
    kind: type = kinds[0]
    return kind


def settings_help() -> str:
    """Every setting with its default and help, for the end of `unseam train --help`."""
    lines = ["settings for --set and --config (planned: chosen for the data, the time and the machine):"]
    for name, section in SECTIONS.items():
        for spec in fields(section):  # type: ignore[arg-type]
            default = "planned" if spec.default is None else spec.default
            lines.append(f"  {name + '.' + spec.name:26} {spec.metadata['help']} ({default})")
    return "\n".join(lines)


def object_changes(options: Namespace) -> dict[str, Any]:
    """What `--set` of predict changes; a trained network's other settings cannot be changed any more."""
    changes: dict[str, Any] = {}
    for assignment in options.set:
        for section, values in parse_assignment(assignment).items():
            if section != "objects":
                raise ConfigError(
                    f"--set {assignment} was given; a trained model takes objects.threshold and the like"
                )
            changes |= values
    return changes


LABEL_OPTIONS = ("task", "ignore", "background", "class_names", "point_radius", "point_ring", "axes")
"""Fields of `DataConfig` that say what labels mean."""


def data_config(options: Namespace) -> DataConfig:
    """What labels and images are, by the options of a command; what was not given keeps its default."""
    given = {spec.name: getattr(options, spec.name, None) for spec in fields(DataConfig)}
    return DataConfig(**{name: value for name, value in given.items() if value is not None})


def number(value: float | int | None) -> str:
    """A score as it is printed; a dash where there is none."""
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.4f}"


def pairs(values: dict[str, Any]) -> str:
    """Names and values on one line."""
    return ", ".join(f"{key} {value}" for key, value in values.items())
