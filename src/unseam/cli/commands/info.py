"""`unseam info`."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unseam.cli.options import model_argument, new_command, number, pairs

if TYPE_CHECKING:
    from unseam.model.header import ModelHeader


def add(commands: Any) -> None:
    """The options of `unseam info`."""
    command = new_command(commands, "info", "say what a model is, and what it was trained on")
    model_argument(command)
    command.add_argument("--json", action="store_true", help="as JSON")


def run(options: Namespace) -> int:
    """`unseam info`."""
    from unseam.fingerprint import describe
    from unseam.model.ensemble import ensemble_of, find_models
    from unseam.packages.files import is_package
    from unseam.prediction.combining import header_of
    from unseam.workflow.run import trained_on

    path = Path(options.model)
    if is_package(path):
        return _package(path, as_json=options.json)
    paths, ensemble = find_models(options.model), ensemble_of(options.model)
    header = header_of(paths, ensemble.objects if ensemble else None)
    if options.json:
        guard = asdict(header.guard) if header.guard else None
        print(
            json.dumps({**asdict(header), "guard": _counts(guard), "calibration": _names(header)}, indent=2)
        )
        return 0
    network = {key: value for key, value in asdict(header.network).items() if value is not None}
    print(f"task           {header.task}{': ' if header.segments else ''}{header.segments}")
    print(f"network        {pairs(network)}")
    print(f"normalization  {pairs(asdict(header.normalization))}")
    print(f"objects        {pairs(asdict(header.objects))}")
    pixel = " x ".join(f"{s:g}" for s in header.spacing) + " µm" if header.spacing else "unknown"
    print(f"pixel size     {pixel}")
    if header.diameters:
        low, high = header.diameters
        print(f"made for       objects of {low:g} to {high:g} px; finds their size and rescales images by it")
    training = dict(header.training)
    tested = training.pop("test_scores", {})
    scores, chosen = training.pop("held_out_scores", {}), training.pop("chosen_on_them", [])
    print(f"training       {pairs({k: v for k, v in training.items() if not k.startswith('images_')})}")
    print(f"trained on     {trained_on(header)}")
    if scores:
        numbers = pairs({name: number(value) for name, value in scores.items()})
        print(f"held out       {numbers}; chosen on them: {', '.join(chosen)}")
    if tested:
        print(f"test images    {pairs({name: number(value) for name, value in tested.items()})}")
    for line in describe(header.fingerprint) if header.fingerprint else []:
        print(f"images         {line}")
    for file in paths if ensemble else ():
        print(f"averaged       {file}")
    if ensemble and ensemble.scores:
        named = {name: number(value) for name, value in ensemble.scores.items()}
        print(f"out of fold    {pairs(named)}")
    print(f"statistics     {_statistics(header)}")
    if header.calibration:
        print(f"int8           calibrated on {len(header.calibration.images)} images: --precision int8")
    print(f"made by        unseam {header.unseam_version}")
    print(f"licence        {header.license}")
    print(f"cite           {header.citation}")
    return 0


def _counts(guard: dict[str, Any] | None) -> dict[str, Any] | None:
    """Of the statistics what people may read, without the directions."""
    if guard is None:
        return None
    return {**guard, "groups": {name: {"limit": group["limit"]} for name, group in guard["groups"].items()}}


def _names(header: ModelHeader) -> dict[str, Any] | None:
    """Of what int8 takes the images, without the numbers of every channel."""
    return {"images": header.calibration.images} if header.calibration else None


def _statistics(header: ModelHeader) -> str:
    """Whether a model can tell images that are unlike those it was trained on."""
    if header.guard is None:
        return "none: whether an image is like those it was trained on is not told"
    n, out = header.guard.n_images, header.guard.left_out
    return f"of {n} training images; {out} of them, compared with the others, would be called outside"


def _package(path: Path, *, as_json: bool) -> int:
    """What a bioimage.io package is, once it is known that it can be run."""
    from unseam.packages.load import load_package

    loaded = load_package(path)
    header = loaded.header
    if as_json:
        print(json.dumps(loaded.facts | {"notes": loaded.notes, **asdict(header)}, indent=2))
        return 0
    for name, value in loaded.facts.items():
        print(f"{name:14} {value}")
    for note in loaded.notes:
        name, _, value = note.partition(": ")
        print(f"{name:14} {value}")
    pixel = " x ".join(f"{s:g}" for s in header.spacing) + " µm" if header.spacing else "unknown"
    print(f"task           {header.task}")
    print(f"objects        {pairs(asdict(header.objects))}")
    print(f"pixel size     {pixel}")
    print(f"license        {header.license}")
    print(f"cite           {header.citation}")
    return 0
