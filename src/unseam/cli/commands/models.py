"""`unseam models`."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import asdict
from typing import Any

from unseam.cli.options import new_command, number


def add(commands: Any) -> None:
    """The options of `unseam models`."""
    command = new_command(commands, "models", "list the models that have a name: built in, and your own")
    command.add_argument("--json", action="store_true", help="as JSON")


def run(options: Namespace) -> int:
    """`unseam models`."""
    from unseam.model.finding import own_folder
    from unseam.workflow.models import list_models

    models = list_models()
    if options.json:
        print(json.dumps([asdict(model) | {"path": str(model.path)} for model in models], indent=2))
        return 0
    for model in models:
        scores = model.scores or {}
        shown = [f"{name} {number(scores[name])}" for name in ("ap50", "ap", "dice") if name in scores]
        print(f"{model.name:14} {model.problem or model.segments}")
        print(f"{'':14} {', '.join([*shown, f'{model.size / 1e6:.1f} MB', model.license])}")
        print(f"{'':14} {model.path}")
    print(f"your own are looked for in {own_folder()}, or the folder that UNSEAM_MODELS names")
    return 0
