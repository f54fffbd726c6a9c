"""batchgeneratorsv2, the augmentation of nnU-Net: one coordinate grid, sampled once for each part."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
from batchgeneratorsv2.transforms.intensity.contrast import BGContrast, ContrastTransform
from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from bench.performance.augmenters import WANTED, Draw, Patch
from bench.performance.cells import Cell


def augmenter(cells: Sequence[Cell], size: int, *, best: bool = False, grey: bool = True) -> Draw:
    """Its default interpolates each class by itself, linearly; `best` takes the nearest pixel's class."""
    up, down = 1 + WANTED.scale, 1 / (1 + WANTED.scale)
    moves = [
        SpatialTransform(
            (size, size),
            patch_center_dist_from_border=size // 2,
            random_crop=True,
            p_elastic_deform=1,
            elastic_deform_scale=(0.12, 0.13),  # of the patch: a blur of half the spacing of our grid
            elastic_deform_magnitude=(4, 6),  # the largest displacement, pixels
            p_rotation=1,
            rotation=(-np.pi, np.pi),
            p_scaling=1,
            scaling=(down, up),
            p_synchronize_scaling_across_axes=1,
            mode_seg="nearest" if best else "bilinear",
            padding_mode_image="reflection",
            border_mode_seg="reflection",
        ),
        MirrorTransform(allowed_axes=(0, 1)),
    ]
    greys = [
        MultiplicativeBrightnessTransform(BGContrast((down, up)), synchronize_channels=False),
        ContrastTransform(BGContrast((down, up)), preserve_range=True, synchronize_channels=False),
        GammaTransform(
            BGContrast((1 / (1 + WANTED.gamma), 1 + WANTED.gamma)),
            p_invert_image=0,
            synchronize_channels=False,
            p_per_channel=1,
            p_retain_stats=0,
        ),
    ]
    compose = ComposeTransforms(moves + greys * grey)
    kept = [
        (torch.from_numpy(image)[None], torch.from_numpy(classes.astype(np.int16))[None], weights)
        for image, classes, weights in cells
    ]
    tensors = [(image, classes, torch.from_numpy(weights)[None]) for image, classes, weights in kept]

    def draw(number: int) -> Patch:
        image, classes, weights = tensors[number]
        made = compose(image=image, segmentation=classes, regression_target=weights)
        return made["image"], made["segmentation"][0], made["regression_target"][0]

    return draw
