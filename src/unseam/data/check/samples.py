"""All checks of a set, the errors first."""

from __future__ import annotations

from collections.abc import Sequence

from unseam.data.check.finding import SEVERITIES, Finding, error
from unseam.data.check.images import kinds, pixels, scales, sizes, twins
from unseam.data.check.labels import amounts, classes_of, objects_of
from unseam.data.check.misfit import comparable, misfits
from unseam.data.sample import Sample
from unseam.errors import ConfigError
from unseam.fingerprint import TASKS


def check_samples(samples: Sequence[Sample], *, task: str) -> list[Finding]:
    """Return what is suspicious in a set of annotated images, errors first.

    Parameters
    ----------
    samples : sequence of Sample
        The set; nothing is changed.
    task : str
        "instances" or "semantic".

    Raises
    ------
    ConfigError
        If `task` is neither.

    Notes
    -----
    Whether labels belong to their image is judged by the correlation of the share of foreground with the
    mean intensity, or with its deviation (texture), on a grid of 64 x 64 cells (32^3 in 3-D). Which of the
    two, in which channel, and whether objects are bright or dark, is what fits the set best. Labels of
    another image of the same size, or the own ones mirrored or transposed, that correlate better by 0.25
    are reported. Most of the set must be right, or be wrong in the same way.

    Examples
    --------
    >>> blank = Sample("a", np.zeros((1, 4, 4)), np.zeros((4, 4), np.int32))
    >>> for found in check_samples([blank], task="instances"):
    ...     print(f"{found.severity}: {found.message}")
    error: no image holds a labelled object; check that the labels were saved
    warning: every pixel has the same intensity, 0; check the image file
    note: 1 annotated image is too few to hold one out and judge the model by it; annotate 4 or more
    """
    if task not in TASKS:
        raise ConfigError(f"task is {task!r}; expected one of: {', '.join(TASKS)}")
    if not samples:
        return [error(None, "no annotated image was given; give at least one image with its labels")]
    findings = [*kinds(samples), *scales(samples), *amounts(samples), *twins(samples)]
    for sample in samples:
        findings += [*pixels(sample), *sizes(sample)]
    findings += objects_of(samples) if task == "instances" else classes_of(samples)
    findings += misfits([sample for sample in samples if comparable(sample)])
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))
