"""How much of a run is done, by its steps or by the clock, and when it is to be validated."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from unseam.config import Config
from unseam.training.state import State

PASSES_AT_THE_END = 3
"""Predictions of the held-out images after the last step: to validate, to choose thresholds, to score."""
VALIDATION_SHARE = 0.2
"""Share of a budget of minutes that validations may take."""


class Clock:
    """How much of the budget is spent: in steps, or in seconds over all resumptions.

    A budget of minutes includes what comes after the last step, and slow validations become fewer.
    """

    def __init__(self, state: State, config: Config) -> None:
        self._state, self._config = state, config.train
        self._budget = 60 * (config.train.minutes or 0.0)
        self._validation_seconds = 0.0
        self._before, self._started = state.seconds, time.monotonic()
        self._first_step = state.step

    def seconds(self) -> float:
        return self._before + time.monotonic() - self._started

    def fraction(self) -> float:
        if self._config.iterations:
            return min(1.0, self._state.step / self._config.iterations)
        return min(1.0, self.seconds() / (self._training_seconds() + 1e-9))

    def validations_due(self) -> int:
        """How many validations a run that was never stopped has done by now."""
        count = self._config.validations
        if not self._config.iterations and self._validation_seconds > 0:
            count = min(count, max(1, int(VALIDATION_SHARE * self._budget / self._validation_seconds)))
        return int(self.fraction() * count)

    @contextmanager
    def timing_validation(self) -> Iterator[None]:
        """Within the block the held-out images are predicted once; the quickest time is what it takes."""
        started = time.monotonic()
        yield
        spent = time.monotonic() - started
        self._validation_seconds = min(self._validation_seconds or spent, spent)

    def _training_seconds(self) -> float:
        """The budget of minutes without the predictions of the held-out images at its end."""
        return max(self._budget / 2, self._budget - PASSES_AT_THE_END * self._validation_seconds)

    def seconds_left(self) -> float:
        if not self._config.iterations:
            return max(0.0, self._training_seconds() - self.seconds())
        steps = max(1, self._state.step - self._first_step)
        per_step = (time.monotonic() - self._started) / steps
        return per_step * (self._config.iterations - self._state.step)
