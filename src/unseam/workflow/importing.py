"""Import: a network of the authors' Caffe in, a model file out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import unseam
from unseam.caffe.importing import read_model
from unseam.errors import InputError
from unseam.io.atomic import refuse_existing
from unseam.model.checkpoint import save_model
from unseam.model.header import ModelHeader
from unseam.workflow.listener import Listener, printing


def import_model(
    path: str | Path,
    *,
    out: str | Path,
    weights: str | Path | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> ModelHeader:
    """Write a network of the authors' release or plugin as a model file.

    Parameters
    ----------
    path : str or Path
        A .caffemodel, or the .modeldef.h5 of a network of the plugin (extra `unseam[caffe]`).
    out : str or Path
        The .safetensors file.
    weights : str or Path, optional
        The .caffemodel.h5 that belongs to a .modeldef.h5.
    overwrite : bool
        Whether `out` may be replaced.
    listener : Listener, optional
        Told what was found; by default lines go to standard error.

    Returns
    -------
    ModelHeader
        What the model is.

    Raises
    ------
    UnseamError
        As `unseam.caffe.importing.read_model`, or if `out` is there, cannot be written, or ends otherwise.
    """
    listener = listener or printing()
    if Path(out).suffix != ".safetensors":
        raise InputError(f"the output is {out}; give a name that ends in .safetensors")
    refuse_existing(Path(out), overwrite=overwrite)
    imported = read_model(Path(path), Path(weights) if weights else None)
    for line in imported.remarks:
        listener.say(f"{Path(path).name}: {line}")
    header = replace(imported.header, unseam_version=unseam.__version__)
    save_model(Path(out), imported.state_dict, header, overwrite=overwrite)
    listener.say(f"{out}: written; unseam info says what it is")
    return header
