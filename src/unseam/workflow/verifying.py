"""Verify: that the prediction of an image does not depend on how the image is cut."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from unseam.axes import parse_axes, times
from unseam.config import DataConfig
from unseam.draw.differences import difference_figure
from unseam.errors import ConfigError, InputError
from unseam.grid import Region, in_words
from unseam.io.atomic import refuse_existing, replacing
from unseam.io.source import Source
from unseam.prediction import Model, Prepared
from unseam.report.certificate import write_certificate
from unseam.streaming.job import ImageSpec
from unseam.verification.cuts import Cut, choose_regions, cuts_of
from unseam.verification.record import Certificate, CutCheck, Evidence, LabelCheck
from unseam.verification.regions import DOUBLE_COST, check_regions, double_function
from unseam.verification.whole import How, Way, check_whole, ways_of
from unseam.verification.words import cut_lines, details, label_line, verdict
from unseam.workflow.agreeing import Agreed
from unseam.workflow.listener import Countdown, Listener, printing
from unseam.workflow.results import remarks
from unseam.workflow.streaming import is_large, open_for


@dataclass(frozen=True)
class Asked:
    """How an image is verified.

    Attributes
    ----------
    regions : how many regions are looked at.
    seed : of the places of the regions.
    tile : the largest tile that is tried, or "auto".
    tta, rescale, diameter : as `Model.predict`.
    memory : bytes that the whole image may take to be compared too; None for half of what is free.
    """

    regions: int = 8
    seed: int = 0
    tile: int | str = "auto"
    tta: str = "none"
    rescale: bool = True
    diameter: float | str | None = None
    memory: int | None = None

    def __post_init__(self) -> None:
        """Raise `ConfigError` for a number with which nothing could be verified."""
        if self.regions < 1:
            raise ConfigError(f"regions is {self.regions}; it takes 1 or more, for example 8")
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}; it must be at least 0")


@dataclass(frozen=True, eq=False)
class Verified:
    """The certificate, and the two results that differ the most."""

    certificate: Certificate
    evidence: Evidence

    @property
    def lines(self) -> tuple[str, ...]:
        """The verdict, and what is behind it."""
        return (verdict(self.certificate), *details(self.certificate))


def verify_file(
    model: Model,
    image: ImageSpec,
    *,
    json_file: str | Path | None = None,
    picture: str | Path | None = None,
    report: str | Path | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
    **asked: Any,
) -> Verified:
    """Compute an image in many cuts, compare them, and write what came of it.

    Parameters
    ----------
    model : Model
    image : ImageSpec
        The image, which need not fit into memory.
    json_file, picture, report : str or Path, optional
        Where all numbers, a PNG of what differs, and a page with both go.
    overwrite : bool
        Whether these may be replaced.
    listener : Listener, optional
    **asked
        The fields of `Asked`.

    Raises
    ------
    FileReadError, InputError, ShapeError
        As `unseam.io.open.open_sources` and `Model.prepare`, and if the image is a series.
    ConfigError
        If `regions` is below 1, or `seed` below 0.
    OutputExistsError, OutputError
        If a file is there already, or cannot be written.
    """
    listener, how = listener or printing(), Asked(**asked)
    for path in (json_file, picture, report):
        if path is not None:
            refuse_existing(Path(path), overwrite=overwrite)
    if report is not None and Path(report).suffix.lower() not in (".html", ".htm"):
        raise InputError(f"the report is {report}; give a name that ends in .html")
    verified = verify(model, image, how, listener)
    if json_file is not None:
        with replacing(json_file, overwrite=overwrite) as temporary:
            temporary.write_text(json.dumps(verified.certificate.to_dict(), indent=2), encoding="utf-8")
    if picture is not None:
        difference_figure(picture=picture, overwrite=overwrite, **_drawn(verified))
    if report is not None:
        _write_report(report, verified, overwrite)
    return verified


def verify(model: Model, image: ImageSpec, asked: Asked, listener: Listener) -> Verified:
    """The certificate of an image; see `verify_file`."""
    image, source = _open(model, image)
    for note in model.notes:
        listener.say(note)
    model = Agreed(model, listener).on(source)
    sized = model.sized(source, asked.diameter, rescale=asked.rescale, tta=asked.tta)
    said = remarks(model, source.spacing, Path(image.path), rescale=asked.rescale, sized=sized)
    for line in said:
        listener.say(line)
    rng = np.random.default_rng(asked.seed)
    prepared = model.prepare(
        source,
        tile=asked.tile,
        tta=asked.tta,
        rescale=asked.rescale,
        zoom=sized.zoom,
        map_parts=_counted(listener),
    )
    regions = [cuts_of(prepared, region, rng) for region in choose_regions(prepared, asked.regions, rng)]
    fits = not is_large([source], model.network.classes, asked.memory, tta=asked.tta)
    ways = ways_of(prepared) if fits else ()
    work = _Work(listener, prepared, regions, ways)
    checked = check_regions(
        prepared,
        double_function(model, asked.tta),
        regions,
        on_work=work.done,
        on_region=lambda number, checks: listener.say(_region_line(number, len(regions), regions, checks)),
    )
    how = How(asked.tta, asked.rescale, sized.zoom)
    whole, evidence = _whole(model, image, source, ways, how, work.done, listener)
    certificate = Certificate(
        image.path,
        str(model.path or "the model"),
        source.shape,
        model.header.task,
        len(regions),
        checked.cuts,
        whole,
    )
    if evidence is None or any(cut.is_broken for cut in checked.cuts):
        evidence = checked.evidence
    if not certificate.is_broken:  # what differs is rounding, and no pixel is to be marked for it
        evidence = replace(evidence, differs=np.zeros_like(evidence.differs))
    return Verified(certificate, evidence)


class _Work:
    """Counts the pixels that the network has been given, and tells the time that is left."""

    def __init__(
        self, listener: Listener, prepared: Prepared, regions: Sequence[Sequence[Cut]], ways: Sequence[Way]
    ) -> None:
        self._total = sum(cut.cost(prepared) for cuts in regions for cut in cuts)
        self._total += sum(way.cost for way in ways)
        self._total += 2 * DOUBLE_COST * regions[0][0].cost(prepared)
        self._done, self._countdown = 0.0, Countdown(listener, "verifying", self._total)

    def done(self, pixels: float) -> None:
        """Tell of more pixels; those that were not foreseen, as of a cut done again, never complete it."""
        self._done = min(self._done + pixels, 0.999 * self._total)
        million = f"{self._done / 1e6:.1f} of {self._total / 1e6:.1f} million pixels"
        self._countdown.done(self._done, million)


def _open(model: Model, image: ImageSpec) -> tuple[ImageSpec, Source]:
    """The image, one time point and no more; of a grey picture that was saved in colour one channel."""
    DataConfig(pixel_size=image.pixel_size)
    if image.axes is not None:
        parse_axes(image.axes)
    image, sources = open_for(model, image)
    if len(sources) > 1:
        raise InputError(
            f"{image.path} has {len(sources)} time points and one is verified; choose it, as --select t=0"
        )
    source = sources[0]
    model.check_channels(source)
    return image, source


def _counted(listener: Listener) -> Callable[..., Iterator[Any]]:
    def map_parts(function: Callable[[Region], Any], regions: Sequence[Region]) -> Iterator[Any]:
        countdown = Countdown(listener, "reading intensities", len(regions))
        for done, region in enumerate(regions, start=1):
            yield function(region)
            countdown.done(done)

    return map_parts


def _whole(
    model: Model,
    image: ImageSpec,
    source: Source,
    ways: Sequence[Way],
    how: How,
    on_work: Callable[[float], None],
    listener: Listener,
) -> tuple[tuple[LabelCheck, ...], Evidence | None]:
    if not ways:
        return (), None
    with TemporaryDirectory(prefix="unseam-verify-") as folder:
        return check_whole(
            model,
            image,
            source,
            ways,
            how,
            Path(folder),
            on_work=on_work,
            on_way=lambda check: listener.say(f"whole image, {label_line(check)}"),
        )


def _region_line(
    number: int, total: int, regions: Sequence[Sequence[Cut]], checks: Sequence[CutCheck]
) -> str:
    worst = max(checks, key=lambda check: check.severity)
    return (
        f"region {number + 1} of {total} ({in_words(regions[number][0].region)}): {len(checks)} other cuts, "
        f"largest difference {worst.before:.1e}, {worst.decided} pixels decided otherwise"
    )


def _drawn(verified: Verified) -> dict[str, Any]:
    """What is drawn of it."""
    seen = verified.evidence
    return {
        "image": seen.image,
        "difference": seen.difference,
        "differs": seen.differs,
        "region": seen.region,
        "edges": seen.edges,
        "names": seen.names,
        "broken": verified.certificate.is_broken,
    }


def _write_report(path: str | Path, verified: Verified, overwrite: bool) -> None:
    certificate = verified.certificate
    write_certificate(
        path,
        title=f"{Path(certificate.image).name}, {times(certificate.shape)} pixels",
        broken=certificate.is_broken,
        sentences=verified.lines,
        cuts=[
            (kind, f"{before:.1e}", f"{after:.1e}", f"{decided:,} of {pixels:,}")
            for kind, before, after, decided, pixels in cut_lines(certificate.cuts)
        ],
        labels=[
            (
                check.kind,
                f"{check.pixels:,} of {check.of_pixels:,}",
                f"{check.objects:,} of {check.of_objects:,}",
            )
            for check in certificate.whole
        ],
        picture=_drawn(verified),
        overwrite=overwrite,
    )
