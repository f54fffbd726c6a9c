"""TIFF files: plain, OME, ImageJ, BigTIFF; axes and pixel size as the file states them."""

from unseam.io.tiff.read import read_tiff
from unseam.io.tiff.write import write_tiff

__all__ = ["read_tiff", "write_tiff"]
