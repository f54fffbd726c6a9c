"""Every error that unseam raises on purpose.

::

    UnseamError                           exit code 1
    ├── InputError        (ValueError)    exit code 2: what was given cannot be used
    │   ├── ShapeError                    a size or a number of channels that does not fit
    │   ├── LabelError                    label values that cannot be labels
    │   ├── PairingError                  images and labels that do not belong together
    │   └── ConfigError                   an unknown key, or a value out of range
    ├── FileReadError     (OSError)       exit code 2: a file that cannot be read
    │   └── ModelFileError                a model file that is cut short, newer, or no model
    ├── OutputExistsError (OSError)       exit code 2: the output is there, --overwrite is not
    ├── OutputError       (OSError)       exit code 1: the output cannot be written
    ├── TrainingError     (RuntimeError)  exit code 1: training cannot go on
    │   └── FailedElsewhereError          another rank failed first; that one says why
    └── MissingExtraError (ImportError)   exit code 1: an optional package is not installed

    EngineWarning         (UserWarning)   another engine is taken than was to be

A message says what was given, what was expected, and what to do.
"""

from __future__ import annotations


class UnseamError(Exception):
    """Base of all errors raised by unseam; `exit_code` is what the command line returns."""

    exit_code = 1


class InputError(UnseamError, ValueError):
    """What was given cannot be used."""

    exit_code = 2


class ShapeError(InputError):
    """A size, a number of dimensions or a number of channels that does not fit."""


class LabelError(InputError):
    """Label values that cannot be labels."""


class PairingError(InputError):
    """Images and labels that do not belong together."""


class ConfigError(InputError):
    """An unknown configuration key, or a value out of its range."""


class FileReadError(UnseamError, OSError):
    """A file that is missing, empty, cut short, or of an unknown format."""

    exit_code = 2


class ModelFileError(FileReadError):
    """A model file that is cut short, written by a newer version, or not a model."""


class OutputExistsError(UnseamError, OSError):
    """The output exists already and overwriting it was not asked for."""

    exit_code = 2


class OutputError(UnseamError, OSError):
    """The output cannot be written: disk full, no permission."""


class TrainingError(UnseamError, RuntimeError):
    """Training cannot go on, for example because the loss is not finite."""


class FailedElsewhereError(TrainingError):
    """Another rank failed first and says why; for this one the command line prints nothing."""


class MissingExtraError(UnseamError, ImportError):
    """An optional package is needed and not installed; the message names the extra."""


class EngineWarning(UserWarning):
    """An engine cannot run a network, or gives wrong results, and another is taken."""
