"""Pictures: images and labels as RGB arrays, training curves and patches as figures in a file.

Arrays go in, arrays or PNG files come out. matplotlib is imported only where a figure is drawn, and without
pyplot: nothing here touches global state, so figures may be drawn from threads and without a display.
"""

from unseam.draw.arrays import colours_of, display, middle_slice, outlines, overlay
from unseam.draw.history import curves, curves_figure
from unseam.draw.patches import patches_figure

__all__ = [
    "colours_of",
    "curves",
    "curves_figure",
    "display",
    "middle_slice",
    "outlines",
    "overlay",
    "patches_figure",
]
