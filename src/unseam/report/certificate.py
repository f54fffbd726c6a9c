"""The page of a certificate: the verdict, the picture, and every number behind it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from unseam.draw.differences import draw_differences
from unseam.io.atomic import replacing


def write_certificate(
    path: str | Path,
    *,
    title: str,
    broken: bool,
    sentences: Sequence[str],
    cuts: Sequence[Sequence[str]],
    labels: Sequence[Sequence[str]],
    picture: Mapping[str, Any],
    overwrite: bool = False,
) -> None:
    """Write a certificate as one HTML file that needs no other file and no network.

    Parameters
    ----------
    path : str or Path
        The HTML file.
    title : str
    broken : bool
        Whether results differ.
    sentences : sequence of str
        The verdict, then what is behind it.
    cuts : sequence of four str
        Of each kind of cut: its name, largest difference before and after settling, pixels decided otherwise.
    labels : sequence of three str
        Of each way to cut the whole image: its name, pixels and objects that differ.
    picture : mapping
        What `unseam.draw.differences.draw_differences` takes.
    overwrite : bool
        Whether an existing file may be replaced.

    Raises
    ------
    OutputExistsError, OutputError
        As `unseam.io.atomic.replacing` does.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = files("unseam.report").joinpath("certificate.html.j2").read_text(encoding="utf-8")
    png = io.BytesIO()
    draw_differences(**picture).savefig(png, format="png", dpi=130)
    html = environment.from_string(source).render(
        title=title,
        broken=broken,
        sentences=sentences,
        cuts=cuts,
        labels=labels,
        picture=f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode('ascii')}",
    )
    with replacing(path, overwrite=overwrite) as temporary:
        temporary.write_text(html, encoding="utf-8")
