"""Model files: smaller ones."""

from __future__ import annotations

from pathlib import Path


def half_model(path: str | Path, out: str | Path, *, overwrite: bool = False) -> None:
    """Write a model with its weights in bfloat16: half the size, and next to the same labels.

    Raises
    ------
    ModelFileError
        As `unseam.model.checkpoint.load_network`.
    OutputExistsError, OutputError
        As `unseam.model.checkpoint.save_model`.
    """
    import torch

    from unseam.model.checkpoint import load_network, save_model

    net, header = load_network(Path(path))
    save_model(Path(out), net.state_dict(), header, overwrite=overwrite, dtype=torch.bfloat16)
