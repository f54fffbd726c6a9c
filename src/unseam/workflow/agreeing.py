"""The engine of a model, seen to agree with PyTorch on the first image, and said in one line."""

from __future__ import annotations

from unseam.engines.combined import members_of
from unseam.io.source import Source
from unseam.prediction import Model
from unseam.workflow.listener import Listener


class Agreed:
    """A model whose engine is looked at on the first image, and told of.

    Parameters
    ----------
    model : Model
    listener : Listener
    """

    def __init__(self, model: Model, listener: Listener) -> None:
        self.model, self._listener, self._told = model, listener, ""

    def on(self, image: Source) -> Model:
        """The model for an image; errors as `Model.agreeing`."""
        before = len(self.model.notes)
        self.model = self.model.agreeing(image)
        for note in self.model.notes[before:]:
            self._listener.say(note)
        if members_of(self.model.network) and self.model.engine != self._told:
            self._listener.say(engine_line(self.model))
            self._told = self.model.engine
        return self.model


def engine_line(model: Model) -> str:
    """What predicts, in which precision, and how near that is to float32."""
    agreement = f"; {model.agreement}" if model.agreement else ""
    return f"engine: {model.engine}{agreement}"
