"""Engines: what runs a network, each a way from plain arrays to a function of a tile.

::

    FoldedNetwork ─▶ an engine compiles it for a tile shape ─▶ Run: (C, *tile) ─▶ (classes, *output)
                     openvino, onnx, torch

`choosing` takes the fastest that is installed, `EngineNetwork` is what prediction sees of it.
"""

from unseam.engines.engine import Encode, Engine, Run
from unseam.engines.network import EngineNetwork

__all__ = ["Encode", "Engine", "EngineNetwork", "Run"]
