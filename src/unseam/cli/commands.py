"""What each command calls, and what it prints. Each returns an exit code."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from unseam.cli.show import listening, stopping
from unseam.config import Config, DataConfig, TrainConfig, parse_assignment, read_toml
from unseam.errors import ConfigError


def train(options: Namespace) -> int:
    """`unseam train`."""
    from unseam.training.distributed import joined
    from unseam.workflow.training import train as train_network

    named = {f.name for f in (*fields(DataConfig), *fields(TrainConfig)) if f.metadata["flag"]}
    with joined() as world, listening(world.first) as listener, stopping(listener) as should_stop:
        train_network(
            options.images,
            options.labels,
            out=options.out,
            preset=options.preset,
            settings=_settings(options),
            resume=options.resume,
            overwrite=options.overwrite,
            split=options.split,
            tensorboard=options.tensorboard,
            listener=listener,
            should_stop=should_stop,
            **{name: getattr(options, name) for name in named},
        )
    return 0


def predict(options: Namespace) -> int:
    """`unseam predict`; 2 if an image was bad, 1 if one failed otherwise."""
    from unseam.prediction import load_model
    from unseam.streaming.plan import parse_bytes
    from unseam.workflow.predicting import predict_files

    model = load_model(options.model, device=options.device).with_objects(**_object_changes(options))
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


def _object_changes(options: Namespace) -> dict[str, Any]:
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


def evaluate(options: Namespace) -> int:
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
            ignore=options.ignore,
            task=options.task or "auto",
            axes=options.axes,
            overwrite=options.overwrite,
            listener=listener,
        )
    scores = evaluation.of_set()
    per_class = scores.pop("dice_per_class", {})
    for name, value in (scores | {f"dice[{name}]": value for name, value in per_class.items()}).items():
        print(f"{name:14} {_number(value)}")
    return 0


def measure(options: Namespace) -> int:
    """`unseam measure`."""
    from unseam.workflow.measuring import measure_files

    with listening() as listener:
        measure_files(
            options.labels,
            options.images,
            options.out,
            config=_data_config(options),
            overwrite=options.overwrite,
            listener=listener,
        )
    return 0


def verify(options: Namespace) -> int:
    """`unseam verify`; 1 if the result depends on how the image was cut."""
    from unseam.prediction import load_model
    from unseam.streaming.job import ImageSpec
    from unseam.streaming.plan import parse_bytes
    from unseam.workflow.verifying import verify_file

    model = load_model(options.model, device=options.device).with_objects(**_object_changes(options))
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
            memory=parse_bytes(options.memory) if options.memory else None,
        )
    for line in verified.lines:
        print(line)
    return 1 if verified.certificate.is_broken else 0


def check(options: Namespace) -> int:
    """`unseam check`; 2 if something makes training impossible."""
    from unseam.workflow.checking import check_files

    with listening() as listener:
        checked = check_files(
            options.images,
            options.labels,
            _data_config(options),
            listener=listener,
        )
    for line in checked.lines:
        print(line)
    return 2 if checked.errors else 0


def info(options: Namespace) -> int:
    """`unseam info`."""
    from unseam.fingerprint import describe
    from unseam.model.checkpoint import read_header
    from unseam.workflow.run import trained_on

    path = Path(options.model)
    header = read_header(path / "model.safetensors" if path.is_dir() else path)
    if options.json:
        print(json.dumps(asdict(header), indent=2))
        return 0
    network = {key: value for key, value in asdict(header.network).items() if value is not None}
    print(f"task           {header.task}")
    print(f"network        {_pairs(network)}")
    print(f"normalization  {_pairs(asdict(header.normalization))}")
    print(f"objects        {_pairs(asdict(header.objects))}")
    pixel = " x ".join(f"{s:g}" for s in header.spacing) + " µm" if header.spacing else "unknown"
    print(f"pixel size     {pixel}")
    training = dict(header.training)
    scores, chosen = training.pop("held_out_scores", {}), training.pop("chosen_on_them", [])
    print(f"training       {_pairs({k: v for k, v in training.items() if not k.startswith('images_')})}")
    print(f"trained on     {trained_on(header)}")
    if scores:
        numbers = _pairs({name: _number(value) for name, value in scores.items()})
        print(f"held out       {numbers}; chosen on them: {', '.join(chosen)}")
    for line in describe(header.fingerprint) if header.fingerprint else []:
        print(f"images         {line}")
    print(f"made by        unseam {header.unseam_version}")
    print(f"cite           {header.citation}")
    return 0


def doctor(_: Namespace) -> int:
    """`unseam doctor`."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import torch

    from unseam import __version__
    from unseam.prediction import free_memory
    from unseam.workflow.training import uses_bfloat16

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"unseam         {__version__}, Python {platform.python_version()}, PyTorch {torch.__version__}")
    print(
        f"machine        {platform.machine()}, {os.cpu_count()} cores, {free_memory() / 2**30:.1f} GiB free"
    )
    print(f"device         {device.type} ({name})")
    why = "the machine multiplies it natively" if uses_bfloat16("auto", device) else "no native bfloat16"
    print(f"training in    {'bfloat16' if uses_bfloat16('auto', device) else 'float32'} ({why})")
    print("predicting in  float32")
    for package, extra in (("imagecodecs", ""), ("tensorboard", "pip install 'unseam[tensorboard]'")):
        try:
            print(f"{package:14} {version(package)}")
        except PackageNotFoundError:
            print(f"{package:14} not installed{': ' + extra if extra else ''}")
    return 0


def demo(options: Namespace) -> int:
    """`unseam demo`."""
    from unseam.workflow.demo import run_demo

    with listening() as listener:
        report = run_demo(
            options.out,
            images=options.images,
            labels=options.labels,
            axes=options.axes,
            minutes=options.minutes,
            seed=options.seed,
            overwrite=options.overwrite,
            listener=listener,
        )
    print(f"open {report}", file=sys.stdout)
    return 0


def _settings(options: Namespace) -> dict[str, dict[str, Any]]:
    """What --config and --set say, the latter on top."""
    settings = read_toml(options.config) if options.config else {}
    Config().updated(settings)  # an error in the file is told before those of --set
    for assignment in options.set:
        for section, values in parse_assignment(assignment).items():
            settings.setdefault(section, {}).update(values)
    return settings


def _data_config(options: Namespace) -> DataConfig:
    return DataConfig(
        task=options.task or "auto",
        ignore=options.ignore,
        pixel_size=options.pixel_size,
        axes=options.axes,
    )


def _number(value: float | int | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.4f}"


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())
