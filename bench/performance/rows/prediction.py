"""Prediction: an image in memory, probabilities of each of its pixels out."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from bench.performance.contest import Contestant, peer
from bench.performance.record import Options, Row

ORDER = 1
TITLE = "Prediction"
INTRODUCTION = """\
An image in memory in, the probabilities of each of its pixels out. *Paper* is the network of 2015, base width
64, depth 4; *default* that of the model in the box, base width 32, depth 3, batch norm. Time does not depend
on the weights, so all are as drawn. unseam scales the intensities inside the time; the others are given them
scaled."""
PAPER = {"base_width": 64, "depth": 4, "batch_norm": False}
DEFAULT = {"base_width": 32, "depth": 3, "batch_norm": True}
NETWORKS = {"paper": PAPER, "default": DEFAULT}
WINDOWS = (256, 512, 672)
WHOLE = 2048
"""Sizes of MONAI's windows that are tried; the last where the image is as large."""
Arguments = Mapping[str, Any]


def rows(options: Options) -> Iterator[Row]:
    """512, 2048 and 8192 pixels, the paper's network and the default one."""
    if options.quick:
        tiny = {"base_width": 4, "depth": 2, "batch_norm": True}
        yield row("Quick: 128x128", list(small(tiny, 128, quick=True)), 1)
        return
    yield row("512x512, paper network", list(small(PAPER, 512)), 3, patience=6)
    yield row("512x512, default network", list(small(DEFAULT, 512)), 5, patience=6)
    yield row("2048x2048, default network", list(middle(DEFAULT)), 3, patience=8)
    yield row("2048x2048, paper network", list(middle_paper()), 1, patience=8)
    yield row("8192x8192, default network", list(large()), 1, patience=8)


def row(title: str, contestants: list[Contestant], rounds: int, *, patience: float = 60) -> Row:
    """A contest; work is counted in pixels of the image."""
    return Row(title, contestants, rounds, "Mpixel", 1e6, patience=patience)


def small(network: Arguments, size: int, *, quick: bool = False) -> Iterator[Contestant]:
    """All of them, on an image that each takes whole."""
    common = {"network": network, "size": size}
    yield unseam(common)
    yield plain(common, "float32", False)
    yield plain(common, "float32", True)
    yield plain(common, "bfloat16", True, fold=True)
    if not quick:
        yield plain(common, "bfloat16", True, fold=True, compile=True)
    yield monai(common)
    yield monai(common, best=True)
    yield nnunet(common, patch=size)
    yield nnunet(common, patch=size, bfloat16=True)
    yield nnunet(common, patch=size, own=True)
    yield nnunet(common, patch=size, flips=True)
    yield plain(common, "float32", False, python=peer("vision"), where=", environment of smp")
    yield smp(size, min(size, 512), best=False)
    yield smp(size, min(size, 512), best=True)
    if network is DEFAULT:
        yield cellpose(size)


def middle(network: Arguments) -> Iterator[Contestant]:
    """2048 pixels, where all have to cut or have the memory for it."""
    common = {"network": network, "size": 2048}
    yield unseam(common)
    yield plain(common, "float32", False)
    yield plain(common, "float32", True, tile=512)
    yield plain(common, "bfloat16", True, fold=True, tile=512)
    yield monai(common)
    yield monai(common, best=True)
    yield nnunet(common, patch=512)
    yield nnunet(common, patch=512, bfloat16=True)
    yield nnunet(common, patch=512, own=True)
    yield nnunet(common, patch=512, flips=True, left_out="four times the work without; see 512x512")
    yield smp(2048, 512, best=False)
    yield smp(2048, 512, best=True)


def middle_paper() -> Iterator[Contestant]:
    """2048 pixels with the large network: those that end in bearable time."""
    common = {"network": PAPER, "size": 2048}
    long = "minutes a run; see 512x512"
    yield unseam(common)
    yield plain(common, "float32", True, tile=512, left_out=long)
    yield plain(common, "bfloat16", True, tile=512)
    yield monai(common)
    yield monai(common, best=True)
    yield nnunet(common, patch=512, left_out=long)


def large() -> Iterator[Contestant]:
    """8192 pixels: the fastest of each kind."""
    common = {"network": DEFAULT, "size": 8192}
    yield unseam(common)
    yield plain(common, "float32", True, tile=512, left_out="minutes a run; see 2048x2048")
    yield plain(common, "bfloat16", True, fold=True, tile=512)
    yield monai(common, left_out="minutes a run; see 2048x2048")
    yield monai(common, best=True)
    yield nnunet(common, patch=512, left_out="minutes a run; see 2048x2048")


def unseam(common: Arguments) -> Contestant:
    """Ours, nothing set."""
    return Contestant("**unseam**", sys.executable, "predict_unseam.py", common, "as it comes")


def plain(
    common: Arguments,
    dtype: str,
    channels_last: bool,
    *,
    python: str = sys.executable,
    where: str = "",
    left_out: str = "",
    **more: Any,
) -> Contestant:
    """PyTorch and no more; `tile`, `fold` and `compile` as `more`."""
    words = [
        dtype,
        "channels last" * channels_last,
        "batch norm folded" * (more.get("fold", False) and common["network"]["batch_norm"]),
        "torch.compile, compiled beforehand" * more.get("compile", False),
        f"output tiles of {more['tile']}" if more.get("tile") else "whole image",
    ]
    arguments = {**common, "dtype": dtype, "channels_last": channels_last, **more}
    note = ", ".join(filter(None, words)) + where
    return Contestant("PyTorch", python, "predict_plain.py", arguments, note, left_out)


def monai(common: Arguments, *, best: bool = False, left_out: str = "") -> Contestant:
    """Its sliding window: as it comes, or as it is fastest here, the size of the windows found by trial."""
    size = common["size"]
    windows = [n for n in WINDOWS if n < size] + [min(size, WHOLE)] if best else [min(size, 512)]
    how = {"dtype": "bfloat16" if best else "float32", "channels_last": best}
    arguments = {**common, **how, "windows": windows, "overlap": 0.25}
    note = "padded twin, overlap a quarter, " + ("bfloat16, channels last" if best else "float32")
    return Contestant("MONAI", peer("monai"), "predict_monai.py", arguments, note, left_out)


def nnunet(
    common: Arguments,
    *,
    patch: int,
    own: bool = False,
    flips: bool = False,
    bfloat16: bool = False,
    left_out: str = "",
) -> Contestant:
    """Its predictor, steps of half a patch; by default it averages over mirrored versions, in float32."""
    layout = "its own layout at equal parameters" if own else "widths and depth of ours"
    note = f"{layout}, patches of {patch}, " + ("flips (its default)" if flips else "no flips")
    note += ", the network wrapped by us to run in bfloat16, channels last" * bfloat16
    arguments = {**common, "patch": patch, "own": own, "flips": flips, "bfloat16": bfloat16}
    return Contestant("nnU-Net", peer("nnunet"), "predict_nnunet.py", arguments, note, left_out)


def smp(size: int, tile: int, *, best: bool) -> Contestant:
    """Another network, of 24 million parameters, but the one that people take."""
    how = {"dtype": "bfloat16" if best else "float32", "channels_last": best}
    note = f"Unet, resnet34 (another network), tiles of {tile} without overlap, {how['dtype']}"
    note += ", channels last" * best
    arguments = {"size": size, "tile": tile, **how}
    return Contestant("smp", peer("vision"), "predict_smp.py", arguments, note)


def cellpose(size: int) -> Contestant:
    """Another network, of 300 million parameters."""
    note = "Cellpose-SAM (another network), as it comes, bfloat16, without masks"
    return Contestant(
        "Cellpose", peer("vision"), "predict_cellpose.py", {"size": size, "bfloat16": True}, note
    )
