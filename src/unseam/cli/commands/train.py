"""`unseam train`."""

from __future__ import annotations

import argparse
from argparse import Namespace
from dataclasses import fields
from typing import Any

from unseam.cli.options import config_options, new_command, overwrite, settings_help
from unseam.cli.show import listening, stopping
from unseam.config import Config, DataConfig, TrainConfig, parse_assignment, read_toml


def add(commands: Any) -> None:
    """The options of `unseam train`."""
    command = new_command(
        commands,
        "train",
        "train a network on annotated images",
        epilog=settings_help(),
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
    command.add_argument(
        "--from",
        dest="base",
        metavar="MODEL",
        help="start from a trained model, or its name, as nuclei: a few images and minutes then suffice",
    )
    command.add_argument(
        "--folds",
        type=int,
        metavar="K",
        help="cross-validate: K models, each on all images but its K-th part, which scores it; "
        "--minutes is for all of them together, and `unseam predict RUN` averages them",
    )
    config_options(command, DataConfig)
    config_options(command, TrainConfig)
    command.add_argument("--split", default="train", help="of a CSV file, the rows to take (default: train)")
    command.add_argument("--config", metavar="FILE", help="TOML file of settings, as a run's config.toml")
    command.add_argument(
        "--set", metavar="S.K=V", action="append", default=[], help="any setting below, as network.depth=3"
    )
    command.add_argument("--resume", action="store_true", help="go on from the checkpoint in RUN, exactly")
    command.add_argument("--tensorboard", action="store_true", help="also write TensorBoard events")
    overwrite(command)


def run(options: Namespace) -> int:
    """`unseam train`."""
    from unseam.training.distributed import joined
    from unseam.workflow.training import train as train_network

    named = {f.name for f in (*fields(DataConfig), *fields(TrainConfig)) if f.metadata["flag"]}
    with joined() as world, listening(world.first) as listener, stopping(listener) as should_stop:
        how: dict[str, Any] = {
            "out": options.out,
            "base": options.base,
            "preset": options.preset,
            "settings": _settings(options),
            "resume": options.resume,
            "overwrite": options.overwrite,
            "split": options.split,
            "tensorboard": options.tensorboard,
            "listener": listener,
            "should_stop": should_stop,
            **{name: getattr(options, name) for name in named},
        }
        if options.folds is None:
            train_network(options.images, options.labels, **how)
            return 0
        from unseam.workflow.folds.running import cross_validate

        done = cross_validate(options.images, options.labels, folds=options.folds, **how)
    for line in done.lines:
        print(line)
    return 0


def _settings(options: Namespace) -> dict[str, dict[str, Any]]:
    """What --config and --set say, the latter on top."""
    settings = read_toml(options.config) if options.config else {}
    Config().updated(settings)  # an error in the file is told before those of --set
    for assignment in options.set:
        for section, values in parse_assignment(assignment).items():
            settings.setdefault(section, {}).update(values)
    return settings
