"""The training set and its patches: geometry and density by law, targets and weights by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from unseam.config import AugmentConfig, LossConfig
from unseam.data.dataset import (
    Batch,
    PatchSampler,
    TrainingImage,
    is_anisotropic,
    prepare,
    target_classes,
)
from unseam.data.sample import Sample
from unseam.data.soft_targets import foreground_share
from unseam.data.weight_map import paper_weight_map, plugin_weight_map
from unseam.errors import LabelError
from unseam.losses import training_loss
from unseam.normalize import Normalization

CPU = torch.device("cpu")
NO_INTENSITIES = AugmentConfig(gain=0, offset=0, gamma=0, noise=0, blur=0)
STILL = replace(NO_INTENSITIES, rotation=0, flip=False, scale=0, elastic_sigma=0)


def held(image: Any, target: Any) -> TrainingImage:
    """An image in memory as it is, all weights 1 where the truth is known."""
    target = np.asarray(target)
    tensors = (np.asarray(image), target[None], (target >= 0)[None])
    return TrainingImage(*(torch.as_tensor(t, dtype=torch.float32) for t in tensors))


def ramps(*shape: int) -> TrainingImage:
    """An image whose channels are the coordinates; every pixel is object."""
    return held(np.indices(shape), np.ones(shape))


def sampler_of(images: list[TrainingImage], **options: Any) -> PatchSampler:
    dims = images[0].image.ndim - 1
    defaults: dict[str, Any] = {
        "input_shape": (9,) * dims,
        "output_shape": (3,) * dims,
        "augment": STILL,
        "density": 0.1,
        "seed": 0,
    }
    return PatchSampler(images, **{**defaults, **options})


def same(one: Batch, two: Batch) -> bool:
    return all(torch.equal(getattr(one, name), getattr(two, name)) for name in ("image", "target", "weights"))


# Targets and weight maps


def test_instances_become_one_class_with_a_gap_where_they_touch() -> None:
    labels = np.array([[5, 5, 5, 7, 7, 7, -1, 0]], np.int32).repeat(3, axis=0)
    parted = target_classes(labels, task="instances", gap=1)
    assert set(np.unique(parted[:, :2])) == {1} == set(np.unique(parted[:, 4:6]))
    assert (parted[:, 2:4] == 0).any(axis=1).all()  # at least one pixel of background between the two
    assert (parted[:, 6] == -1).all() and (parted[:, 7] == 0).all()


def test_without_carving_objects_touch() -> None:
    labels = np.array([[5, 7, 0, -1]], np.int32)
    assert target_classes(labels, task="instances", gap=0).tolist() == [[1, 1, 0, -1]]


def test_a_gap_of_two_has_two_sides_but_along_coarse_axes() -> None:
    # Two bricks on two others; the four touch in every direction, Y is three times as coarse as X.
    labels = np.kron(np.array([[1, 2], [3, 4]], np.int32), np.ones((2, 2), np.int32))
    even = target_classes(labels, task="instances", gap=2, spacing=(1.0, 1.0))
    assert even.tolist() == [[1, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1]]
    coarse = target_classes(labels, task="instances", gap=2, spacing=(3.0, 1.0))
    assert coarse.tolist() == [[1, 0, 0, 1], [1, 0, 0, 1], [0, 0, 0, 0], [1, 0, 0, 1]]
    assert target_classes(labels, task="instances", gap=2).tolist() == even.tolist()


def test_the_gap_of_a_set_is_its_configuration_s() -> None:
    targets = [prepared([[1, 1, 2, 2]], LossConfig(gap=gap)).target.tolist() for gap in (None, 0, 1, 2)]
    assert targets == [[[[1, 1, 0, 1]]], [[[1, 1, 1, 1]]], [[[1, 1, 0, 1]]], [[[1, 0, 0, 1]]]]
    one = prepared(np.ones((2, 4)) * [1, 1, 2, 2], LossConfig(gap=2), spacing=(1.0, 3.0))
    assert one.target.tolist() == [[[1, 1, 0, 1]] * 2]


def test_classes_stay_as_they_are() -> None:
    labels = np.array([[2, 1, 0, -1]], np.int32)
    assert target_classes(labels, task="semantic", gap=2) is labels


def prepared(labels: Any, config: LossConfig, *, task: str = "instances", **more: Any) -> TrainingImage:
    labels = np.asarray(labels, np.int32)
    image = np.arange(labels.size, dtype=np.float32).reshape(1, *labels.shape)
    sample = Sample("a", image, labels, more.get("spacing"))
    classes = more.get("classes", 2)
    normalization = Normalization("none")
    (one,) = prepare([sample], config, task=task, classes=classes, normalization=normalization, device=CPU)
    return one


def test_what_is_prepared_is_normalised_and_float32() -> None:
    sample = Sample("a", np.array([[[1, 3]]], np.uint16), np.array([[0, 1]], np.int32))
    (one,) = prepare(
        [sample], LossConfig(), task="instances", classes=2, normalization=Normalization("zscore"), device=CPU
    )
    assert one.image.tolist() == [[[-1.0, 1.0]]]
    assert one.target.tolist() == [[[0.0, 1.0]]]
    assert {t.dtype for t in (one.image, one.target, one.weights)} == {torch.float32}


def test_balanced_classes_weigh_the_inverse_of_their_frequency() -> None:
    # 3 of 4 known pixels are background: 1 / (2 * 3/4) = 2/3 and 1 / (2 * 1/4) = 2; unknown ones 0
    one = prepared([[0, 0, 0, 1, -1]], LossConfig(weights="none", balance=True))
    torch.testing.assert_close(one.weights, torch.tensor([[[2 / 3, 2 / 3, 2 / 3, 2.0, 0.0]]]))


def test_frequencies_are_those_of_the_whole_set() -> None:
    # 2 of 8 pixels are object over both images: weights 1 / (2 * 6/8) and 1 / (2 * 2/8)
    labels = [np.array([[0, 0, 1, 1]], np.int32), np.zeros((1, 4), np.int32)]
    samples = [Sample(str(i), np.zeros((1, 1, 4)), lab) for i, lab in enumerate(labels)]
    config = LossConfig(weights="none", balance=True)
    first, second = prepare(
        samples, config, task="instances", classes=2, normalization=Normalization(), device=CPU
    )
    torch.testing.assert_close(first.weights, torch.tensor([[[2 / 3, 2 / 3, 2.0, 2.0]]]))
    torch.testing.assert_close(second.weights, torch.full((1, 1, 4), 2 / 3))


@pytest.mark.parametrize("weights", ["none", "paper"])
def test_classes_without_balance_all_weigh_one(weights: str) -> None:
    one = prepared([[0, 2, 1, -1]], LossConfig(weights=weights), task="semantic", classes=3)
    assert one.weights.tolist() == [[[1, 1, 1, 0]]]


def test_with_a_slope_targets_are_shares_and_gaps_are_background() -> None:
    labels = np.zeros((9, 14), np.int32)
    labels[2:7, 2:7], labels[2:7, 7:12], labels[0, :2] = 1, 2, -1
    hard, soft = (prepared(labels, LossConfig(gap=1, slope=slope)) for slope in (0.0, 0.3))
    assert soft.shares and not hard.shares
    gap = (hard.target[0].numpy() == 0) & (labels > 0)
    assert gap.any() and not soft.target[0].numpy()[gap].any()
    np.testing.assert_array_equal(np.ceil(soft.target.numpy()), hard.target.numpy())
    assert soft.target[0, 4, 3] > soft.target[0, 4, 2] > 0.5
    torch.testing.assert_close(soft.weights, hard.weights)


def test_classes_have_no_slope() -> None:
    one = prepared([[0, 2, 2, 1, -1]], LossConfig(slope=0.3), task="semantic", classes=3)
    assert not one.shares and one.target.tolist() == [[[0, 2, 2, 1, -1]]]


def test_the_slope_is_in_pixels_of_the_finest_axis() -> None:
    labels = np.zeros((5, 30), np.int32)
    labels[1:4, 4:26] = 3
    one = prepared(labels, LossConfig(slope=0.2), spacing=(1.5, 0.5))
    np.testing.assert_array_equal(one.target[0], foreground_share(labels, 0.2, spacing=(3.0, 1.0)))
    assert not torch.equal(one.target, prepared(labels, LossConfig(slope=0.2)).target)


def test_patches_of_shares_are_shares_and_keep_unknown_pixels() -> None:
    shares = np.array([[0, 0.625, 1, -1]], np.float32).repeat(9, 0).repeat(9, 1)
    image = replace(held(np.zeros((1, 9, 36)), shares), shares=True)
    batch = sampler_of([image], augment=AugmentConfig()).batch(0, 16)
    assert batch.target.dtype == torch.float32
    assert set(np.unique(batch.target)) == {-1, 0, 0.625, 1}


TOUCHING = np.zeros((12, 20), np.int32)
TOUCHING[3:9, 2:10], TOUCHING[3:9, 10:18], TOUCHING[0, :5] = 1, 2, -1


def test_the_weight_map_of_the_paper_sees_the_carved_gap() -> None:
    one = prepared(TOUCHING, LossConfig(w0=10.0, sigma=2.0))
    parted = np.where(one.target[0] == 0, 0, TOUCHING)
    expected = paper_weight_map(parted, w0=10.0, sigma=2.0, class_weights=np.ones(2))
    np.testing.assert_allclose(one.weights[0], expected)
    assert one.weights[0][one.target[0] == 0].max() > 5  # the gap
    assert not one.weights[0, 0, :5].any()


def test_the_weight_map_of_the_plugin_is_a_choice() -> None:
    one = prepared(TOUCHING, LossConfig(weights="plugin"))
    np.testing.assert_allclose(one.weights[0], plugin_weight_map(np.where(one.target[0] == 0, 0, TOUCHING)))


def test_sigma_is_in_pixels_of_the_finest_axis() -> None:
    config = LossConfig(w0=10.0, sigma=2.0)
    one = prepared(TOUCHING, config, spacing=(1.5, 0.5))
    parted = np.where(one.target[0] == 0, 0, TOUCHING)
    expected = paper_weight_map(parted, sigma=2.0, class_weights=np.ones(2), spacing=(3.0, 1.0))
    np.testing.assert_allclose(one.weights[0], expected)
    assert not torch.equal(one.weights, prepared(TOUCHING, config).weights)


@pytest.mark.parametrize(
    ("spacing", "expected"),
    [(None, False), ((1.0, 1.0), False), ((1.4, 1.0, 1.0), False), ((1.5, 1.0, 1.0), True)],
)
def test_an_axis_half_again_as_coarse_is_anisotropic(spacing: Any, expected: bool) -> None:
    assert is_anisotropic(spacing) is expected


# Patches: where they are


@pytest.mark.parametrize("shape", [(40, 30), (14, 12, 13)])
@pytest.mark.parametrize("axis", [0, -1])
def test_the_target_lies_in_the_middle_of_the_patch(shape: tuple[int, ...], axis: int) -> None:
    # The label of each pixel is its coordinate, and so is its intensity: linear and nearest sampling of
    # one place differ by half a pixel at most, whatever the map.
    ramp = np.indices(shape)[axis]
    dims = len(shape)
    sampler = sampler_of([held(ramp[None], ramp)], augment=NO_INTENSITIES, output_shape=(5,) * dims)
    difference = []
    for k in range(40):
        patch = sampler.patch(k)
        inner = patch.image[0]
        for a in range(dims):
            inner = inner.narrow(a, 2, 5)
        difference.append((inner - patch.target).numpy())
    assert np.abs(difference).max() <= 0.5 + 1e-3
    assert np.abs(difference).max() > 0.4  # places between pixels do occur
    assert patch.target.dtype == torch.int64
    assert patch.image.shape == (1, *(9,) * dims) and patch.target.shape == patch.weights.shape == (5,) * dims


def test_a_patch_without_augmentation_is_a_cut_of_the_image() -> None:
    sampler = sampler_of([ramps(40, 40)])
    y, x = sampler.patch(3).image
    np.testing.assert_allclose(np.diff(y, axis=0), 1, atol=1e-4)
    np.testing.assert_allclose(np.diff(x, axis=1), 1, atol=1e-4)


def test_weights_and_targets_are_taken_from_the_same_place() -> None:
    ramp = torch.arange(30.0).expand(20, 30)[None]
    sampler = sampler_of([TrainingImage(ramp, ramp, ramp)], augment=NO_INTENSITIES)
    patch = sampler.patch(1)
    torch.testing.assert_close(patch.weights, patch.image[0, 3:6, 3:6])


def test_centres_are_drawn_in_proportion_to_the_density_and_never_where_ignored() -> None:
    # Density 1 on objects, 1/4 on background, 0 where ignored, over two images of different size.
    targets = [np.array([[1, 2, 0, -1], [0, 0, -1, 3]]), np.array([[0, 1, 0], [1, -1, 0], [-1, -1, -1]])]
    images = [held([np.full(t.shape, i), *np.indices(t.shape)], t) for i, t in enumerate(targets)]
    sampler = sampler_of(images, density=0.25, input_shape=(3, 3), output_shape=(1, 1))
    counts = [np.zeros(t.shape) for t in targets]
    n = 4000
    for k in range(n):
        which, y, x = sampler.patch(k).image[:, 1, 1].round().int().tolist()
        counts[which][y, x] += 1
    drawn = np.concatenate([c.ravel() for c in counts])
    flat = np.concatenate([t.ravel() for t in targets])
    density = np.where(flat > 0, 1.0, np.where(flat == 0, 0.25, 0.0))
    assert not drawn[density == 0].any()
    expected = (n * density / density.sum())[density > 0]
    chi_square = ((drawn[density > 0] - expected) ** 2 / expected).sum()
    assert chi_square < stats.chi2.ppf(0.999, len(expected) - 1)


def test_centres_in_a_volume_are_its_objects() -> None:
    target = np.zeros((3, 4, 5))
    target[1, 2, 3] = target[2, 0, 4] = 1
    sampler = sampler_of([held(np.indices(target.shape), target)], density=0.0)
    seen = {tuple(sampler.patch(k).image[:, 4, 4, 4].round().int().tolist()) for k in range(40)}
    assert seen == {(1, 2, 3), (2, 0, 4)}


def test_what_is_ignored_carries_no_loss() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(-1, 2, (30, 30)).astype(np.int32)
    sampler = sampler_of([prepared(labels, LossConfig())], augment=NO_INTENSITIES)
    batch = sampler.batch(0, 4)
    ignored = (batch.target < 0)[:, None].expand(-1, 2, -1, -1)
    assert 0 < ignored.float().mean() < 1
    logits = torch.randn(4, 2, 3, 3)
    other = torch.where(ignored, 1e3 * torch.randn(logits.shape), logits)
    losses = [training_loss(x, batch.target, batch.weights, dice=0.5) for x in (logits, other)]
    torch.testing.assert_close(*losses)


# Patches: what is random


@pytest.mark.parametrize("shape", [(40, 30), (14, 12, 13)])
def test_patch_k_depends_on_the_seed_and_k_alone(shape: tuple[int, ...]) -> None:
    config = AugmentConfig()
    fresh, used = (sampler_of([ramps(*shape)], augment=config, seed=7) for _ in range(2))
    for k in (5, 0, 3):
        used.patch(k)
    torch.manual_seed(1)
    assert same(used.patch(4), fresh.patch(4))
    assert same(fresh.patch(4), fresh.patch(4))


def test_other_patches_and_other_seeds_differ() -> None:
    images = [ramps(40, 30)]
    one, other = (sampler_of(images, augment=AugmentConfig(), seed=seed) for seed in (7, 8))
    patches = [one.patch(0), one.patch(1), other.patch(0)]
    assert not any(same(patches[a], patches[b]) for a, b in [(0, 1), (0, 2), (1, 2)])


def test_a_batch_is_the_next_patches_in_order() -> None:
    sampler = sampler_of([ramps(40, 30)], augment=AugmentConfig())
    batch = sampler.batch(2, 3)
    for i in range(3):
        assert same(Batch(batch.image[i], batch.target[i], batch.weights[i]), sampler.patch(6 + i))


def test_an_anisotropic_volume_is_turned_in_its_planes_only() -> None:
    config = replace(NO_INTENSITIES, elastic_sigma=2.0)
    sampler = sampler_of([ramps(40, 40, 40)], augment=config, anisotropic=True)
    z = sampler.patch(0).image[0]
    assert (z.amax((1, 2)) - z.amin((1, 2))).max() < 1e-3


# Errors


def test_labels_of_nothing_known_are_refused() -> None:
    with pytest.raises(LabelError, match="every pixel of the labels is ignored"):
        prepared(np.full((4, 4), -1), LossConfig())


@pytest.mark.parametrize("value", [0, -1])
def test_a_set_without_a_possible_centre_is_refused(value: int) -> None:
    with pytest.raises(LabelError, match="no pixel can be a patch centre: nothing is labelled as object"):
        sampler_of([held(np.zeros((1, 4, 4)), np.full((4, 4), value))], density=0.0)
