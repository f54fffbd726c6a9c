"""A model card: what a person should know about a model before using it, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from unseam.config import ObjectConfig
from unseam.decisions import split_of
from unseam.export.words import class_names, scaling_in_words
from unseam.fingerprint import describe
from unseam.prediction import Model
from unseam.report.words import MEASURES, OF_CLASSES, number
from unseam.workflow.listener import clock
from unseam.workflow.run import CONFIG, trained_on


def model_card(model: Model, title: str, *, license: str | None = None) -> str:
    """The card of a model, all of it from the header of its file and from the run that it lies in."""
    sections = [_use, _network, _data, _training, _validation, _limits]
    parts = ["\n".join(section(model)) for section in sections]
    terms = f"## Licence\n\n{license or model.header.license}"
    cite = f"## Citation\n\n{model.header.citation}"
    return "\n\n".join([f"# {title}", *parts, terms, cite]) + "\n"


def _use(model: Model) -> Iterator[str]:
    header = model.header
    kind = "single objects" if header.task == "instances" else "classes"
    yield f"A U-Net that segments {kind}, trained with unseam {header.unseam_version}.".replace(" .", ".")
    yield "\n## Use\n"
    yield f"Input: {scaling_in_words(header.normalization)}. The description says so too; software that"
    yield "reads it scales by itself."
    yield f"Output: the probability of each class ({', '.join(class_names(header))}).\n"
    yield "In blocks: the halo of the description is cropped and blocks overlap by it; where the sides of the"
    grid = " x ".join(map(str, model.network.geometry.grid))
    yield f"image are multiples of {grid} pixels, no seam remains. Whole: pad the image by the halo after"
    yield "scaling, not before, or the padding is counted in its intensities.\n"
    yield _objects_in_words(header.objects) if header.task == "instances" else "The likeliest class is taken."


def _objects_in_words(objects: ObjectConfig) -> str:
    """How probabilities become objects, as `unseam.decisions.to_labels` does it."""
    threshold = 0.5 if objects.threshold is None else objects.threshold
    steps = [f"Objects are the connected pixels whose probability of background is below {1 - threshold:g}"]
    if split_of(objects):
        steps.append(
            f"those with two parts or more, of at least {objects.split_size or 1} pixels and 0.3 of the "
            f"largest, where it is below {1 - split_of(objects):g}, divided into these"
        )
    if objects.min_size:
        steps.append(f"of at least {objects.min_size} pixels")
    if objects.fill_holes:
        steps.append("with their holes filled")
    if objects.grow:
        low = objects.low_threshold or 0.0
        where = f" where that probability is below {1 - low:g}" if low else ""
        steps.append(f"grown by {objects.grow} pixels{where}")
    return ", ".join(steps) + "."


def _network(model: Model) -> Iterator[str]:
    net, halo = model.own.folded, " x ".join(map(str, model.network.geometry.halo))
    yield "## Network\n"
    yield f"{net.spatial_dims}-D U-Net of 2015: unpadded convolutions, depth {len(net.strides)}, width"
    yield f"{net.base_width} at the first level, {net.size:,} weights; a pixel sees"
    yield f"{halo} pixels around itself."
    yield "Pixel size: " + (
        " x ".join(f"{s:g}" for s in model.header.spacing) + " µm." if model.header.spacing else "not known."
    )


def _data(model: Model) -> Iterator[str]:
    yield "## Training data\n"
    yield f"{trained_on(model.header)}.\n".capitalize()
    fingerprint = model.header.fingerprint
    yield from (f"- {line}" for line in (describe(fingerprint) if fingerprint else ["nothing else is known"]))


def _training(model: Model) -> Iterator[str]:
    training = model.header.training
    yield "## Training\n"
    if {"iterations", "seconds"} <= training.keys():
        yield f"{training['iterations']} iterations in {clock(training['seconds'])}, preset "
        yield f"{training['preset']}, seed {training['seed']}."
    else:
        yield "The header of the model says nothing about it."
    recipe = model.path.with_name(CONFIG) if model.path else None
    if recipe is not None and recipe.is_file():
        yield "\nAll settings, for `unseam train --config`:\n"
        yield f"```toml\n{recipe.read_text('utf-8').strip()}\n```"


def _validation(model: Model) -> Iterator[str]:
    training = model.header.training
    scores, chosen = training.get("held_out_scores") or {}, training.get("chosen_on_them") or []
    yield "## Validation\n"
    if scores:
        yield "On images held out of training"
        yield (
            f"(on which {', '.join(chosen)} were chosen, so that new images may score lower):\n"
            if chosen
            else "\n"
        )
        yield "| measure | score | what it is |\n|---|---|---|"
        words = OF_CLASSES | MEASURES
        for name, value in scores.items():
            label, meaning = words.get(name, (name, ""))
            yield f"| {label} | {number(value)} | {meaning} |"
    else:
        yield "No image was held out of training."
    yield "\nOn your own images: label a few by hand, predict them, and compare with"
    yield "`unseam evaluate TRUE PREDICTED --report page.html`."


def _limits(_: Model) -> Iterator[str]:
    yield "## Limits\n"
    yield "It knows images like those it was trained on, at their pixel size. Other stains, microscopes,"
    yield "tissues or magnifications need validation first, and probably training."
