"""The configuration: there and back through TOML, and a sentence for each thing that is wrong."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest

from unseam.config import (
    AugmentConfig,
    Config,
    DataConfig,
    LossConfig,
    NetworkConfig,
    ObjectConfig,
    Section,
    TrainConfig,
    parse_assignment,
    read_toml,
)
from unseam.errors import ConfigError, FileReadError
from unseam.plan import preset

SECTIONS = [DataConfig, NetworkConfig, AugmentConfig, LossConfig, TrainConfig, ObjectConfig]
FULL = Config(
    data=DataConfig(task="instances", ignore=255, pixel_size=0.5, axes="TYX"),
    network=NetworkConfig(depth=1, strides=((1, 2, 2),), kernels=((1, 3, 3), (3, 3, 3)), batch_norm=False),
    train=TrainConfig(minutes=2, patch=(20, 60, 60), seed=7),
    objects=ObjectConfig(threshold=0.25, fill_holes=False),
)


# There and back


@pytest.mark.parametrize("config", [Config(), FULL, preset("paper")])
def test_toml_round_trip(config: Config, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(config.to_toml(), encoding="utf-8")
    assert Config().updated(read_toml(path)) == config


def test_the_toml_of_a_section_by_hand() -> None:
    lines = Config(network=NetworkConfig(depth=3, dropout=0.5)).to_toml().split("[augment]")[0].splitlines()
    network = lines[lines.index("[network]") :]
    assert [line for line in network if line] == [
        "[network]",
        "depth = 3",
        "batch_norm = true",
        "dropout = 0.5",
        "release = false",
        "wide_top = false",
        "leak = 0.0",
    ]


def test_updated_changes_what_is_named_and_leaves_the_rest() -> None:
    config = FULL.updated({"train": {"seed": 8, "patch": [4, 4, 4]}, "loss": {}})
    assert (config.train.seed, config.train.patch, config.train.minutes) == (8, (4, 4, 4), 2)
    assert (config.network, config.loss, FULL.train.seed) == (FULL.network, LossConfig(), 7)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("network.depth=3", {"network": {"depth": 3}}),
        (" network.depth = 3 ", {"network": {"depth": 3}}),
        ("train.learning_rate=1e-3", {"train": {"learning_rate": 0.001}}),
        ("augment.flip=false", {"augment": {"flip": False}}),
        ("data.axes=ZYX", {"data": {"axes": "ZYX"}}),
        ('data.axes="ZYX"', {"data": {"axes": "ZYX"}}),
        ("train.patch=[188, 204]", {"train": {"patch": [188, 204]}}),
        ("data.axes=a=b", {"data": {"axes": "a=b"}}),
    ],
)
def test_assignments(text: str, expected: Any) -> None:
    assert parse_assignment(text) == expected


# Laws of the fields


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_has_a_help_and_a_default_within_its_range(section: type[Section]) -> None:
    section()
    for spec in fields(section):  # type: ignore[arg-type]
        assert spec.metadata["help"], spec.name
        if spec.metadata["choices"]:
            assert spec.default in spec.metadata["choices"], spec.name


@pytest.mark.parametrize("section", SECTIONS)
def test_the_limits_themselves_are_allowed_and_what_lies_beyond_is_not(section: type[Section]) -> None:
    for spec in fields(section):  # type: ignore[arg-type]
        for limit, step in ((spec.metadata["low"], -1), (spec.metadata["high"], 1)):
            if limit is not None:
                assert getattr(section(**{spec.name: limit}), spec.name) == limit
                with pytest.raises(ConfigError, match=rf"^{spec.name} is .*; it must be "):
                    section(**{spec.name: limit + step})


def test_values_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Config().train.seed = 3  # type: ignore[misc]


# Errors


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"network": {"dept": 3}},
            "'dept' is not a key of [network]; did you mean 'depth'? Known: in_channels, ",
        ),
        ({"network": {"base_with": 3}}, "'base_with' is not a key of [network]; did you mean 'base_width'?"),
        ({"networks": {}}, "'networks' is not a section; did you mean 'network'? Known: data, network, "),
        ({"": {}}, "'' is not a section"),
        ({"network": 3}, "network is 3; a section with its keys was expected, as [network]"),
        ({"network": {"depth": 9}}, "depth is 9; it must be between 0 and 8"),
        ({"train": {"batch": 0}}, "batch is 0; it must be at least 1"),
        ({"loss": {"dice": float("nan")}}, "dice is nan; it must be between 0 and 1"),
        ({"loss": {"dice": float("inf")}}, "dice is inf; it must be between 0 and 1"),
        (
            {"train": {"learning_rate": float("inf")}},
            "learning_rate is inf; it must be a finite number, at least 0",
        ),
        (
            {"train": {"learning_rate": float("nan")}},
            "learning_rate is nan; it must be a finite number, at least 0",
        ),
        (
            {"data": {"pixel_size": float("inf")}},
            "pixel_size is inf; it must be a finite number",
        ),
        ({"network": {"depth": "3"}}, "depth is '3'; a whole number was expected"),
        ({"network": {"depth": 3.0}}, "depth is 3.0; a whole number was expected"),
        ({"network": {"depth": True}}, "depth is True; a whole number was expected"),
        ({"network": {"dropout": "high"}}, "dropout is 'high'; a number was expected"),
        ({"network": {"dropout": False}}, "dropout is False; a number was expected"),
        ({"network": {"dropout": None}}, "dropout is None; a number was expected"),
        ({"augment": {"flip": 1}}, "flip is 1; true or false was expected"),
        ({"data": {"axes": 3}}, "axes is 3; a text was expected"),
        ({"train": {"patch": 188}}, "patch is 188; a list of whole numbers was expected"),
        ({"train": {"patch": [188, 1.5]}}, "patch is (188, 1.5); a list of whole numbers was expected"),
        (
            {"network": {"strides": [2, 2]}},
            "strides is (2, 2); a list of lists of whole numbers was expected",
        ),
        ({"train": {"optimizer": "adam"}}, "optimizer is 'adam'; expected one of: adamw, sgd"),
    ],
)
def test_what_a_configuration_cannot_be(values: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config().updated(values)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("text", ["network.depth", "depth=3", "network.=3", "network.depth=", "=", ""])
def test_what_is_no_assignment(text: str) -> None:
    with pytest.raises(ConfigError, match=r"was given; section\.key=value was expected, as network\.depth=3"):
        parse_assignment(text)


def test_a_file_that_is_absent_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FileReadError, match=r"cannot read the configuration .*absent\.toml: No such file"):
        read_toml(tmp_path / "absent.toml")
    with pytest.raises(FileReadError, match="Is a directory"):
        read_toml(str(tmp_path))


@pytest.mark.parametrize(("content", "said"), [(b"[network]\ndepth = = 3", "line 2"), (b"\xff\xfe", "utf-8")])
def test_a_file_that_is_not_toml(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"config\.toml is not TOML: .*{said}"):
        read_toml(path)


@pytest.mark.parametrize(("carve", "gap"), [(True, 1), (False, 0)])
def test_a_file_written_before_the_gap_had_a_width_is_read(carve: bool, gap: int) -> None:
    assert Config().updated({"loss": {"carve": carve, "w0": 3.0}}).loss == LossConfig(w0=3.0, gap=gap)


def test_the_old_name_of_the_gap_says_nothing_beside_the_new_one() -> None:
    for loss in ({"carve": True, "gap": 2}, {"carve": 1}):
        with pytest.raises(ConfigError, match=r"'carve' is not a key of \[loss\]"):
            Config().updated({"loss": loss})
