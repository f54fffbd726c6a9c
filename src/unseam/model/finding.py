"""Models by their names: those that come with the package, and those in the user's own folder."""

from __future__ import annotations

import os
import sys
from difflib import get_close_matches
from pathlib import Path

from unseam.errors import ModelFileError

MODEL = "model.safetensors"
"""What the model in the folder of a run is called."""
ENSEMBLE = "ensemble.json"
"""What makes a folder that of a cross-validation; see `unseam.model.ensemble`."""
PACKAGED = Path(__file__).parents[1] / "models"
OWN = "UNSEAM_MODELS"
"""Environment variable: the user's folder of models, in place of the one that is usual on the system."""


def find_model(given: str | Path) -> Path:
    """The file of a model.

    Parameters
    ----------
    given : str or Path
        A model file, the folder of a run, or the name of a model: NAME.safetensors or NAME/model.safetensors
        in the user's folder, or one that comes with the package. What is there as a file or as a run goes
        before a name.

    Returns
    -------
    Path
        Of the file; a folder that is no run is returned as it is.

    Raises
    ------
    ModelFileError
        If there is no such file and no such name, two models have the name, or the folder is that of a
        cross-validation, which holds several.

    Examples
    --------
    >>> find_model("nuclei").name
    'nuclei.safetensors'
    """
    path = Path(given)
    if (path / MODEL).is_file():
        return path / MODEL
    if path.is_file():
        return path
    if (path / ENSEMBLE).is_file():
        raise ModelFileError(
            f"{path} holds the models of a cross-validation, and one model is taken here; give the folder of "
            f"one of them, as {path / 'fold0'}"
        )
    known = models_by_name()
    found = known.get(str(given), [])
    if len(found) > 1:
        places = " and ".join(map(str, found))
        raise ModelFileError(
            f"two models are named {given}: {places}; give the path of the one that is meant, or rename one"
        )
    if found:
        return found[0]
    if path.exists():
        return path
    if path.name != str(given) or path.suffix:
        raise ModelFileError(
            f"there is no model file {path}; give a model.safetensors, the folder of a run, or a name that "
            "`unseam models` lists"
        )
    near = get_close_matches(str(given), known, cutoff=0.4) or sorted(known)
    names = f"; nearest: {', '.join(near)}" if near else ""
    raise ModelFileError(
        f"there is no model file {path}, and no model of that name{names}; `unseam models` lists them"
    )


def models_by_name() -> dict[str, list[Path]]:
    """The files of all models that have a name, the user's own first; several where names are the same."""
    known: dict[str, list[Path]] = {}
    for folder in (own_folder(), PACKAGED):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.suffix == ".safetensors" and path.is_file():
                known.setdefault(path.stem, []).append(path)
            elif (path / MODEL).is_file():
                known.setdefault(path.name, []).append(path / MODEL)
    return known


def own_folder() -> Path:
    """The user's folder of models, which need not be there."""
    if os.environ.get(OWN):
        return Path(os.environ[OWN]).expanduser()
    if sys.platform == "win32":
        data = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        data = Path.home() / "Library" / "Application Support"
    else:
        data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return data / "unseam" / "models"
