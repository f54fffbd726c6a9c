"""How a run starts: new or from its checkpoint, on one rank or on several that must be alike."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from unseam.config import Config
from unseam.errors import ConfigError, InputError
from unseam.model.checkpoint import build_network
from unseam.training.distributed import World, share, share_state
from unseam.training.state import State, load_state, saved_run, start
from unseam.workflow.finetuning import Base, start_from
from unseam.workflow.run import CHECKPOINT, Run

Identity = Mapping[str, Mapping[str, Any]]


def begin(
    run: Run,
    config: Config,
    device: torch.device,
    identity: Identity,
    world: World,
    *,
    resume: bool,
    base: Base | None = None,
) -> State:
    """The state to start from, new, with the weights of `base`, or the checkpoint's; the same on every rank.

    Rank 0 alone reads the checkpoint, so the other machines need not see the folder of the run.

    Raises
    ------
    ConfigError
        If the run was started with another configuration, other images, or another number of ranks.
    FileReadError
        If the checkpoint cannot be read.
    InputError
        If a rank has other images, another configuration or another kind of device than rank 0.
    """
    refuse_unlike({"machine": {"device": device.type}, **identity}, world)
    generator = torch.Generator().manual_seed(config.train.seed)
    net = build_network(config.network, generator)
    if base:
        said = start_from(base, net)
        if said:
            run.listener.say(said)
    layout = torch.channels_last if net.spatial_dims == 2 else torch.channels_last_3d
    net = net.to(device).to(memory_format=layout)  # type: ignore[call-overload]
    state = start(net, config.train)
    if resume and world.first:
        _load(run, state, identity)
    share_state(state, world)
    return state


def refuse_unlike(identity: Identity, world: World) -> None:
    """Raise unless this rank is to train the same as rank 0."""
    first: Identity = json.loads(share(json.dumps(identity).encode(), world))
    for section, key, theirs, ours in _differences(first, identity):
        if key == "digest":
            raise InputError(
                f"rank {world.rank} reads other images or labels than rank 0; give every machine the same"
            )
        raise InputError(
            f"rank {world.rank} has {section}.{key} = {ours} and rank 0 has {theirs}; every rank needs the "
            "same images, options and kind of machine"
        )


def _load(run: Run, state: State, identity: Identity) -> None:
    """Put the checkpoint of the run, if there is one, into the state."""
    path = run.folder / CHECKPOINT
    if not path.exists():
        run.listener.say(f"there is no checkpoint in {run.folder} yet; starting from the beginning")
        return
    refuse_other(saved_run(path), identity)
    load_state(path, state)
    run.listener.say(f"going on from iteration {state.step}")


def refuse_other(then: Identity, now: Identity) -> None:
    """Raise unless a run is resumed with the configuration and the images it was started with."""
    for section, key, old, new in _differences(then, now):
        if key in ("minutes", "iterations"):
            continue  # more time may be given: the schedule is stretched over it
        if section == "start":
            raise ConfigError(
                "the run was started from other weights than it is resumed with; give the same --from, or "
                "--overwrite to start anew"
            )
        if key == "digest":
            raise ConfigError(
                "the run was started with other images or labels, or with these in another order; "
                "give the same, or --overwrite to start anew"
            )
        if key == "ranks":
            raise ConfigError(
                f"the run was started on {old} ranks and is resumed on {new}; start as many with torchrun "
                "(without it there is 1), or --overwrite to start anew"
            )
        raise ConfigError(
            f"the run was started with {section}.{key} = {old} and is resumed with {new}; "
            "give the same images and options, or --overwrite to start anew"
        )


def _differences(then: Identity, now: Identity) -> Iterator[tuple[str, str, Any, Any]]:
    """Section, key, then's value and now's, wherever they differ."""
    for section in sorted({**now, **then}, key=lambda name: name != "start"):  # from it others follow
        values, before = now.get(section, {}), then.get(section, {})
        for key in {**values, **before}:
            usual = NEWER.get((section, key))
            old, new = before.get(key, usual), values.get(key, usual)
            if _plain(old) != _plain(new):
                yield section, key, old, new


NEWER = {("loss", "slope"): 0.0}
"""Settings that older runs do not have, and what they did."""


def _plain(value: Any) -> Any:
    """Tuples as the lists that JSON makes of them."""
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
