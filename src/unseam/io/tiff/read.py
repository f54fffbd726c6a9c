"""TIFF files read whole."""

from __future__ import annotations

from pathlib import Path

import tifffile

from unseam.errors import UnseamError
from unseam.io.decoded import Decoded, damaged, drop_alpha
from unseam.io.tiff.series import alpha_axis, check_complete, letters, logged, only_series
from unseam.io.tiff.spacing import stated_spacing


def read_tiff(path: Path) -> Decoded:
    """Read a TIFF file of any flavour.

    Raises
    ------
    FileReadError
        If the file is damaged, cut short, or no TIFF.
    InputError
        If it holds several images of different kinds, or a transparency that is not constant.

    Notes
    -----
    Values are given as stored, also where zero is meant to be white; `stated_spacing` says which
    pixel sizes count.
    """
    with logged() as messages:
        try:
            with tifffile.TiffFile(path) as tif:
                series = only_series(tif, path)
                check_complete(series, messages)
                data = series.asarray()
                check_complete(series, messages)
                alpha = alpha_axis(series)
                if alpha is not None:
                    data = drop_alpha(data, alpha, path)
                return Decoded(data, letters(series), stated_spacing(tif, series))
        except UnseamError:
            raise
        except Exception as error:  # damaged files make decoders raise nearly anything
            raise damaged(path, error) from error
