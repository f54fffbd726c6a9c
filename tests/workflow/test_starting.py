"""How a run starts on several ranks, and goes on: only where the same is to be trained."""

from __future__ import annotations

import json
from typing import Any

import pytest

from unseam.errors import ConfigError, InputError
from unseam.training.distributed import ALONE, World
from unseam.workflow import starting
from unseam.workflow.starting import refuse_other, refuse_unlike

OURS = {"machine": {"device": "cpu"}, "train": {"patch": (52, 52)}, "images": {"digest": "a"}}


def heard(monkeypatch: pytest.MonkeyPatch, **sections: dict[str, Any]) -> None:
    """Let rank 0 be heard saying this instead."""
    said = json.dumps({**OURS, **sections}).encode()
    monkeypatch.setattr(starting, "share", lambda *_: said)


def test_one_rank_is_like_itself() -> None:
    refuse_unlike(OURS, ALONE)


def test_ranks_that_are_to_train_the_same_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    heard(monkeypatch)  # with lists for tuples, as JSON has them
    refuse_unlike(OURS, World(1, 2))


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (
            {"machine": {"device": "cuda"}, "train": {"patch": [92, 92]}},
            "rank 1 has machine.device = cpu and rank 0 has cuda; every rank needs the same images, options",
        ),
        ({"train": {"patch": [52, 92]}}, r"rank 1 has train.patch = \(52, 52\) and rank 0 has \[52, 92\]"),
        ({"images": {"digest": "b"}}, "rank 1 reads other images or labels than rank 0; give every machine"),
    ],
)
def test_a_rank_that_would_train_something_else_is_refused(
    monkeypatch: pytest.MonkeyPatch, theirs: dict[str, dict[str, Any]], words: str
) -> None:
    heard(monkeypatch, **theirs)
    with pytest.raises(InputError, match=words):
        refuse_unlike(OURS, World(1, 2))


def test_a_run_from_before_a_setting_goes_on_where_that_changes_nothing() -> None:
    before = {"loss": {"gap": 1}}
    refuse_other(before, {"loss": {"gap": 1, "slope": 0.0}})
    with pytest.raises(ConfigError, match=r"started with loss\.slope = 0\.0 and is resumed with 0\.2"):
        refuse_other(before, {"loss": {"gap": 1, "slope": 0.2}})
