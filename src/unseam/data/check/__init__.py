"""Find what is suspicious in a set of annotated images, before time is spent on training with it."""

from unseam.data.check.finding import SEVERITIES, Finding
from unseam.data.check.misfit import MIRRORED
from unseam.data.check.samples import check_samples

__all__ = ["MIRRORED", "SEVERITIES", "Finding", "check_samples"]
