"""Who takes part: where each is installed, how it is trained, and what the page says of it."""

from __future__ import annotations

from dataclasses import dataclass

SETS = ("nuclei", "isbi2012", "hela")


@dataclass(frozen=True)
class Peer:
    """A program to be compared with.

    Attributes
    ----------
    title : as the page calls it.
    environment : bench/performance/peers/ENVIRONMENT.txt; empty for ours.
    script : module of `bench.accuracy.contestants`; empty for ours.
    recipe : how it is trained and how objects come out, in words for the page.
    datasets : those it fits.
    variant : of its settings; for ours the preset.
    """

    title: str
    environment: str
    script: str
    recipe: str
    datasets: tuple[str, ...] = SETS
    variant: str = ""


BORDERS = "objects by the class border and components of the interior"

PEERS = {
    "unseam": Peer("unseam, default preset", "", "", "what `unseam train` does by itself", variant="default"),
    "unseam-paper": Peer(
        "unseam, preset paper", "", "", "the system of 2015, 7 turns averaged", variant="paper"
    ),
    "nnunet": Peer("nnU-Net v2", "nnunet", "train_nnunet", f"its own plan, fold all; {BORDERS}"),
    "nnunet-small": Peer(
        "nnU-Net v2, planned small",
        "nnunet",
        "train_nnunet",
        f"its plan for 0.2 GB of memory, fold all, bfloat16; {BORDERS}",
        variant="small",
    ),
    "smp": Peer(
        "segmentation_models.pytorch Unet",
        "vision",
        "train_smp",
        f"ResNet-34 from scratch, Dice, Adam with a cosine, bfloat16; {BORDERS}",
    ),
    "monai": Peer(
        "MONAI UNet", "monai", "train_monai", f"tutorial of 2-D segmentation, DiceCE, bfloat16; {BORDERS}"
    ),
    "cellpose": Peer(
        "Cellpose 3, from scratch", "cellpose3", "train_cellpose", "SGD, its model of sizes, its flows"
    ),
    "stardist": Peer(
        "StarDist",
        "stardist",
        "train_stardist",
        "32 rays, 15 % held out, thresholds optimised on them",
        datasets=("nuclei", "hela"),
    ),
}
"""StarDist is left out where cells are anything but star-convex."""
