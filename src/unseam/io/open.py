"""Any image, opened without being read: an OME-Zarr folder, a TIFF of any size, or another image file."""

from __future__ import annotations

from pathlib import Path

from unseam.errors import InputError
from unseam.grid import slices
from unseam.io.images import TIFF_SUFFIXES, check_file, read_image
from unseam.io.select import Selection, parse_selection
from unseam.io.source import Source
from unseam.io.stored import Missing, Stored, cut, sources


def open_sources(
    path: str | Path, *, axes: str | None = None, select: str | Selection | None = None
) -> tuple[Source, ...]:
    """Open an image, or a time series of images, to be read in parts.

    Parameters
    ----------
    path : str or Path
        An OME-Zarr folder (version 0.4 or 0.5), also one inside another such as "x.zarr/labels/cells"; a
        TIFF file, of which only the tiles, strips or pages that a region needs are read; or any other
        image file, which is read whole.
    axes : str, optional
        What each axis of the stored array is; overrides what the file says.
    select : str, optional
        The part that is meant, for example "t=0, c=1, level=0, y=0:4096"; see `parse_selection`. What is
        selected is the image from then on.

    Returns
    -------
    tuple of Source
        One per time point. Axes are (C, *spatial) whatever the order in the file; C is added where absent.

    Raises
    ------
    FileReadError
        If the file is missing, damaged, cut short or of an unknown kind; reading raises it too.
    InputError
        If the meaning of an axis is unclear, or what is selected is not there. Reading raises it for pixels
        that are NaN or infinite, and for a transparency that varies.
    ShapeError
        If `axes` does not fit the array, or it holds no pixel.

    Notes
    -----
    One index of T or Z ("t=0", "z=5") takes that axis away: the image is no series, or 2-D. In a Zarr or
    TIFF a T or Z of length one is taken away too, as formats of five axes cannot leave it out; "z=0:1"
    keeps it. C is always there; "c=1" leaves one channel.

    Example
    -------
    >>> open_sources("slide.zarr", select="level=1, y=0:2048, x=0:2048")  # doctest: +SKIP
    (Source(...),)
    """
    selection = parse_selection(select)
    return sources(_open(Path(path), axes, selection.level), selection)


def missing_chunks(
    path: str | Path, *, axes: str | None = None, select: str | Selection | None = None
) -> Missing:
    """Count the chunks of an image that its store does not have; they read as the fill value.

    Parameters
    ----------
    path, axes, select
        As for `open_sources`; what is counted is within the selection.

    Notes
    -----
    Only names of files are listed. Of a sharded array shards are counted: a chunk that is absent from a
    shard that is there was left out by its writer, as it holds nothing but the fill value.
    """
    selection = parse_selection(select)
    stored = _open(Path(path), axes, selection.level)
    part = cut(stored, selection)
    return stored.missing(part.bounds) if stored.missing else Missing(0, 1)


def _open(path: Path, axes: str | None, level: int) -> Stored:
    if path.is_dir():
        from unseam.io.ome_zarr.read import open_zarr

        return open_zarr(path, axes=axes, level=level)
    check_file(path)
    if path.suffix.lower() in TIFF_SUFFIXES:
        from unseam.io.tiff.parts import open_tiff

        return open_tiff(path, axes=axes, level=level)
    if level:
        raise InputError(f"{path} has no level {level}; a file of its kind has level 0 alone")
    image = read_image(path, axes=axes)
    spacing = dict(zip("ZYX"[-image.spatial_dims :], image.spacing or (), strict=False))
    return Stored(
        path,
        lambda region: image.data[slices(region)],
        image.data.shape,
        image.axes,
        image.data.dtype,
        image.data.shape,
        spacing=spacing,
        squeeze=False,
    )
