"""The configuration: frozen dataclasses, one per stage, read from and written to TOML.

Each field states its default, help, unit and range once; the command line and the documentation read
them here. `None` means "planned from the data, the time and the machine" (see `unseam.plan`).
"""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import Field, asdict, dataclass, field, fields, replace
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from unseam.errors import ConfigError, FileReadError

_TYPES: dict[type, dict[str, Any]] = {}


def setting(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
    flag: bool = False,
) -> Any:
    """A configuration field; with `flag` it is an option of `unseam train` of its own."""
    metadata = {"help": help, "low": low, "high": high, "choices": tuple(choices), "flag": flag}
    return field(default=default, metadata=metadata)


class Section:
    """Base of the sections: checks every value against its field's range."""

    def __post_init__(self) -> None:
        for spec in fields(self):  # type: ignore[arg-type]
            _check_value(spec, getattr(self, spec.name), type(self))


@dataclass(frozen=True)
class DataConfig(Section):
    """What the images and labels are."""

    task: str = setting(
        "auto",
        "what the labels mean: objects to be told apart, or classes of pixels",
        choices=("auto", "instances", "semantic"),
        flag=True,
    )
    ignore: int | None = setting(None, "label value of pixels whose truth is unknown", flag=True)
    background: int | None = setting(
        None,
        "label value of background where 0 is unlabelled, and so unknown, as in scribbles",
        low=0,
        flag=True,
    )
    class_names: str | None = setting(
        None, "names of class 1, 2, ... in annotations, with commas; sorted where not given", flag=True
    )
    point_radius: float = setting(3.0, "radius of the disk that a point becomes, pixels", low=0, flag=True)
    point_ring: float = setting(
        6.0,
        "radius of the unknown ring around it; it ends halfway to the next point",
        low=0,
        flag=True,
    )
    pixel_size: float | None = setting(
        None, "pixel size of images that do not state one, micrometres", low=1e-6, flag=True
    )
    axes: str | None = setting(
        None, "axes of images whose file does not state them, as TYX or ZYX", flag=True
    )
    validation: float = setting(
        0.15, "share of the images held out to choose the best model", low=0, high=0.9
    )
    normalization: str = setting(
        "percentile",
        "how intensities are scaled, per image",
        choices=("percentile", "zscore", "unit", "none"),
    )


@dataclass(frozen=True)
class NetworkConfig(Section):
    """The U-Net; see `unseam.UNet`."""

    in_channels: int | None = setting(None, "channels of the image", low=1)
    classes: int | None = setting(None, "classes, background included", low=2)
    spatial_dims: int | None = setting(None, "2 or 3", low=2, high=3)
    base_width: int | None = setting(None, "channels at the first level", low=1)
    depth: int | None = setting(None, "number of poolings", low=0, high=8)
    strides: tuple[tuple[int, ...], ...] | None = setting(None, "pooling stride of each step, per axis")
    kernels: tuple[tuple[int, ...], ...] | None = setting(None, "convolution kernel of each level, per axis")
    batch_norm: bool = setting(True, "batch norm after each convolution, folded for prediction")
    dropout: float = setting(0.0, "dropout at the end of the contracting path", low=0, high=0.99)
    release: bool = setting(False, "the variant that the authors released in 2015")
    wide_top: bool = setting(False, "twice the channels at the last level of the expanding path")
    leak: float = setting(0.0, "slope of ReLU below 0", low=0, high=0.99)


@dataclass(frozen=True)
class AugmentConfig(Section):
    """How a patch differs from its place in the image."""

    rotation: float = setting(180.0, "largest rotation either way, degrees", low=0, high=180)
    flip: bool = setting(True, "mirror along each axis with probability 1/2")
    scale: float = setting(0.1, "largest change of size: 0.1 is 1/1.1 to 1.1 times", low=0, high=4)
    elastic_sigma: float = setting(2.0, "deviation of the elastic displacements, pixels", low=0)
    elastic_spacing: float = setting(
        64.0, "distance of the elastic grid's points, pixels; 0 is 3 points per axis as in the paper", low=0
    )
    gain: float = setting(0.1, "largest change of contrast: 0.1 is 1/1.1 to 1.1 times", low=0)
    offset: float = setting(0.05, "largest change of brightness, in normalised intensity", low=0)
    gamma: float = setting(0.1, "largest bend of the grey-value curve: exponents 1/1.1 to 1.1", low=0)
    noise: float = setting(0.0, "largest deviation of added Gaussian noise, in normalised intensity", low=0)
    blur: float = setting(0.0, "largest deviation of Gaussian blur, pixels; half the patches", low=0)


@dataclass(frozen=True)
class LossConfig(Section):
    """The weighted loss; see `unseam.losses` and `unseam.data.weight_map`."""

    weights: str = setting("paper", "form of the weight map", choices=("paper", "plugin", "none"))
    w0: float = setting(20.0, "height of the border weight between cells", low=0)
    sigma: float = setting(5.0, "width of the border weight, pixels", low=1e-3)
    balance: bool = setting(False, "weight classes by the inverse of their frequency")
    dice: float = setting(0.0, "share of soft Dice beside cross entropy", low=0, high=1)
    gap: int | None = setting(
        None,
        "pixels of background put between touching objects: 0 none, 1 at the later one, 2, 4, ... half of "
        "them at each",
        low=0,
        high=16,
    )
    slope: float | None = setting(
        None,
        "depth, in diameters of an object, at which its pixels count fully as foreground; at its outline "
        "they count half; 0 lets all of them count fully",
        low=0,
        high=1,
    )
    density: float = setting(
        0.1, "chance of a background pixel to be a patch centre; an object's is 1", low=0
    )


@dataclass(frozen=True)
class TrainConfig(Section):
    """How long, and how."""

    minutes: float | None = setting(None, "time to train, minutes", low=0.01, flag=True)
    iterations: int | None = setting(None, "steps to train, instead of a time", low=1, flag=True)
    seed: int = setting(0, "seed of everything that is random", low=0, flag=True)
    device: str = setting("auto", "where to compute", choices=("auto", "cpu", "cuda"), flag=True)
    precision: str = setting(
        "auto",
        "number format while training; auto is bfloat16 where the machine gains",
        choices=("auto", "float32", "bfloat16"),
        flag=True,
    )
    patch: tuple[int, ...] | None = setting(None, "input size of a patch, pixels per axis")
    batch: int | None = setting(None, "patches per step; of each rank, if torchrun starts several", low=1)
    optimizer: str = setting("adamw", "how weights are updated", choices=("adamw", "sgd"))
    learning_rate: float = setting(3e-3, "largest learning rate", low=0)
    momentum: float = setting(0.99, "momentum of sgd", low=0, high=0.9999)
    weight_decay: float = setting(1e-3, "weight decay of adamw", low=0)
    schedule: str = setting("cosine", "learning rate over the run", choices=("cosine", "constant"))
    warmup: float = setting(0.05, "share of the run over which the rate rises", low=0, high=1)
    average: float = setting(0.995, "decay per step of the averaged weights; 0 is none", low=0, high=0.99999)
    validations: int = setting(12, "how often the held-out images are scored", low=1)
    checkpoint_seconds: float = setting(60.0, "longest time between two checkpoints, seconds", low=0)


@dataclass(frozen=True)
class ObjectConfig(Section):
    """From probabilities to objects; see `unseam.instances.segment`."""

    threshold: float | None = setting(
        None, "probability above which a pixel is the core of an object", low=0, high=1
    )
    low_threshold: float | None = setting(
        None, "probability above which objects grow to their full outline", low=0, high=1
    )
    split: float | None = setting(
        None, "probability above which the parts of one object are told apart; 0 is never", low=0, high=1
    )
    split_size: int | None = setting(None, "pixels that each such part has at least", low=1)
    split_grow: int = setting(
        16, "steps of one pixel that such parts grow over the rest of their object, at most", low=0
    )
    min_size: int | None = setting(None, "objects below this many pixels are removed", low=0)
    fill_holes: bool = setting(True, "fill the holes of objects")
    grow: int | None = setting(
        None, "steps of one pixel that each object grows, at most; along coarse axes too", low=0
    )


@dataclass(frozen=True)
class Config:
    """All sections.

    Examples
    --------
    >>> Config().updated({"network": {"depth": 3}}).network.depth
    3
    """

    data: DataConfig = field(default_factory=DataConfig)
    network: NetworkConfig = field(default_factory=NetworkConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    objects: ObjectConfig = field(default_factory=ObjectConfig)

    def updated(self, values: Mapping[str, Mapping[str, Any]]) -> Config:
        """A copy with some values replaced.

        Raises
        ------
        ConfigError
            If a section or key is unknown (the nearest one is named) or a value is out of range.

        Notes
        -----
        `loss.carve`, of files written before `loss.gap` took its place, is read as a gap of 1 or 0.
        """
        changed = {}
        for name, section in values.items():
            old = getattr(self, _known(name, [f.name for f in fields(self)], "section"))
            keys = [f.name for f in fields(old)]
            if not isinstance(section, Mapping):
                raise ConfigError(f"{name} is {section!r}; a section with its keys was expected, as [{name}]")
            known = {
                _known(key, keys, f"key of [{name}]"): _frozen(value)
                for key, value in _renamed(name, section).items()
            }
            changed[name] = replace(old, **known)
        return replace(self, **changed)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Nested plain values; keys that are `None` are left out, as TOML has no such value."""
        return {
            name: {key: value for key, value in section.items() if value is not None}
            for name, section in asdict(self).items()
        }

    def to_toml(self) -> str:
        """The configuration as a TOML document."""
        import tomli_w

        return tomli_w.dumps(self.to_dict())


def read_toml(path: str | Path) -> dict[str, Any]:
    """The tables of a TOML file; errors name the file and the line."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise FileReadError(f"cannot read the configuration {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error


def parse_assignment(text: str) -> dict[str, dict[str, Any]]:
    """`"network.depth=3"` as `{"network": {"depth": 3}}`; a bare word is a string."""
    name, equals, value = text.partition("=")
    section, dot, key = name.strip().partition(".")
    if not (equals and dot and key and value.strip()):
        raise ConfigError(f"{text!r} was given; section.key=value was expected, as network.depth=3")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    return {section: {key: parsed}}


def _renamed(name: str, section: Mapping[str, Any]) -> Mapping[str, Any]:
    """A section without the key that had another name once."""
    if name != "loss" or not isinstance(section.get("carve"), bool) or "gap" in section:
        return section
    return {key: value for key, value in section.items() if key != "carve"} | {"gap": int(section["carve"])}


def _known(name: str, names: Sequence[str], what: str) -> str:
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
    raise ConfigError(f"{name!r} is not a {what}; did you mean {near[0]!r}? Known: {', '.join(names)}")


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, (list, tuple)) else value


def types_of(section: type[Section]) -> dict[str, Any]:
    """The type of each field of a section; read once, because that takes longer than all checks."""
    if section not in _TYPES:
        _TYPES[section] = get_type_hints(section)
    return _TYPES[section]


def _check_value(spec: Field[Any], value: Any, section: type[Section]) -> None:
    """Raise `ConfigError` if the value is of another type, not a choice, or out of range."""
    hint = types_of(section)[spec.name]
    kinds = hint.__args__ if isinstance(hint, UnionType) else (hint,)
    name, low, high = spec.name, spec.metadata["low"], spec.metadata["high"]
    if not any(_is_a(kind, value) for kind in kinds):
        expected = " or ".join(_in_words(kind) for kind in kinds if kind is not type(None))
        raise ConfigError(f"{name} is {value!r}; {expected} was expected")
    if value is None:
        return
    choices = spec.metadata["choices"]
    if choices and value not in choices:
        raise ConfigError(f"{name} is {value!r}; expected one of: {', '.join(choices)}")
    endless = isinstance(value, float) and not math.isfinite(value)
    if (low is not None and value < low) or (high is not None and value > high) or endless:
        limits = f"between {low} and {high}"
        if high is None:
            limits = f"a finite number, at least {low}" if endless else f"at least {low}"
        raise ConfigError(f"{name} is {value}; it must be {limits}")


def _is_a(kind: Any, value: Any) -> bool:
    """Whether a value is of a type, also within a tuple; an int is a float, and a bool is neither."""
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_is_a(get_args(kind)[0], item) for item in value)
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _in_words(kind: Any) -> str:
    if get_origin(kind) is tuple:
        nested = get_origin(get_args(kind)[0]) is tuple
        return "a list of lists of whole numbers" if nested else "a list of whole numbers"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}[kind]
