"""`unseam doctor`."""

from __future__ import annotations

import os
from argparse import Namespace
from typing import Any

from unseam.cli.options import new_command


def add(commands: Any) -> None:
    """The options of `unseam doctor`."""
    new_command(commands, "doctor", "say what this machine has and what will be used")


def run(_: Namespace) -> int:
    """`unseam doctor`."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import torch

    from unseam import __version__
    from unseam.engines.choosing import choices, faster
    from unseam.prediction import choose_device, free_memory
    from unseam.workflow.task import uses_bfloat16

    device = torch.device(choose_device("auto"))
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"unseam         {__version__}, Python {platform.python_version()}, PyTorch {torch.__version__}")
    print(
        f"machine        {platform.machine()}, {os.cpu_count()} cores, {free_memory() / 2**30:.1f} GiB free"
    )
    print(f"device         {device.type} ({name})")
    why = "the machine multiplies it natively" if uses_bfloat16("auto", device) else "no native bfloat16"
    print(f"training in    {'bfloat16' if uses_bfloat16('auto', device) else 'float32'} ({why})")
    choice = choices(device=str(device))[0]
    print(f"engine         {choice.engine} ({choice.why_engine})")
    print(f"predicting in  {choice.precision} ({choice.why_precision})")
    if hint := faster(choice):
        print(f"faster         {hint}")
    for package, extra in (("imagecodecs", ""), ("tensorboard", "pip install 'unseam[tensorboard]'")):
        try:
            print(f"{package:14} {version(package)}")
        except PackageNotFoundError:
            print(f"{package:14} not installed{': ' + extra if extra else ''}")
    return 0
