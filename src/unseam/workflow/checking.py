"""Check: what a set of images looks like, and what is suspicious about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unseam.axes import times
from unseam.config import DataConfig
from unseam.data.check import Finding, check_samples
from unseam.data.pairs import Pair, Pairing
from unseam.errors import UnseamError
from unseam.fingerprint import describe, fingerprint
from unseam.io.annotations.files import is_annotation, read_annotations
from unseam.io.images import list_images, read_image, read_labels
from unseam.workflow.listener import Countdown, Listener
from unseam.workflow.loading import describe_pairing, load_set, pair_files


@dataclass(frozen=True)
class Checked:
    """Lines to show, and how many findings make training impossible."""

    lines: tuple[str, ...]
    errors: int


def check_files(
    images: str | Path, labels: str | Path | None, config: DataConfig, *, listener: Listener
) -> Checked:
    """Describe a set of files and list what is suspicious; a file that cannot be read is one finding."""
    if labels is None and Path(images).suffix.lower() != ".csv":
        return _check_images(images, config, listener)
    pairing = pair_files(images, labels)
    lines = [describe_pairing(pairing)]
    lines += [f"  {pair.image.name}  {pair.labels.name}" for pair in pairing.pairs]
    lines += [f"  {path.name}  without labels" for path in pairing.images_without_labels]
    lines += [f"  {path.name}  without image" for path in pairing.labels_without_image]
    try:
        loaded = load_set(images, labels, config, Listener(step=listener.step), skip_bad=True)
    except UnseamError as error:
        failures = _unreadable(pairing, config)
        if not any(failure in str(error) for failure in failures):
            failures.append(str(error))
        findings = [Finding("error", None, failure) for failure in failures]
        return Checked((*lines, *_lines(findings)), len(findings))
    lines += loaded.lines
    findings = [Finding("error", None, failure) for failure in loaded.failures]
    findings += check_samples(loaded.samples, task=loaded.task)
    if not findings or all(finding.severity != "error" for finding in findings):
        fp = fingerprint(
            [s.image for s in loaded.samples],
            [s.labels for s in loaded.samples],
            spacings=[s.spacing for s in loaded.samples],
            task=loaded.task,
        )
        lines += describe(fp)
    lines += _lines(findings)
    return Checked(tuple(lines), sum(finding.severity == "error" for finding in findings))


def _unreadable(pairing: Pairing, config: DataConfig) -> list[str]:
    """A line for each file of the pairs that cannot be read."""
    failures = []
    for pair in pairing.pairs:
        for read in (_read_image, _read_labels):
            try:
                read(pair, config)
            except UnseamError as error:
                failures.append(str(error))
    return failures


def _read_image(pair: Pair, config: DataConfig) -> None:
    read_image(pair.image, axes=config.axes)


def _read_labels(pair: Pair, config: DataConfig) -> None:
    if is_annotation(pair.labels):
        read_annotations(pair.labels, pair.within or pair.image.name)
    else:
        read_labels(pair.labels, axes=config.axes)


def _check_images(images: str | Path, config: DataConfig, listener: Listener) -> Checked:
    """Images without labels: whether each can be read, its size, type and pixel size."""
    lines, errors = [], 0
    paths = list_images(images)
    countdown = Countdown(listener, "reading", len(paths))
    for done, path in enumerate(paths, start=1):
        try:
            image = read_image(path, axes=config.axes)
            size = times(image.data.shape)
            pixel = (
                "x".join(f"{s:.3g}" for s in image.spacing) + " µm" if image.spacing else "pixel size unknown"
            )
            lines.append(f"  {path.name}  {image.axes} {size} {image.data.dtype}, {pixel}")
        except UnseamError as error:
            lines.append(f"error    {error}")
            errors += 1
        countdown.done(done)
    return Checked((f"images: {len(paths)}, {errors} cannot be read", *lines), errors)


def _lines(findings: list[Finding]) -> list[str]:
    if not findings:
        return ["nothing suspicious was found"]
    return [
        f"{finding.severity:8} {finding.stem + ': ' if finding.stem else ''}{finding.message}"
        for finding in findings
    ]
