"""What MkDocs puts into the pages when it builds them: the command line, the settings, the formulas.

A page says where by a comment, `<!-- commands -->` or `<!-- settings -->`; a formula is a fenced block
`math`, which GitHub shows too. Nothing heavy is imported but matplotlib, which draws the formulas.
"""

from __future__ import annotations

import argparse
import html
import io
import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, get_type_hints

from unseam.cli.options import SECTIONS
from unseam.cli.parser import build_parser

FORMULA = re.compile(r"^```math\n(.*?)\n```$", re.DOTALL | re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by MkDocs for each page, with its text."""
    for name, written in (("commands", command_line), ("settings", settings)):
        comment = f"<!-- {name} -->"
        if comment in markdown:
            markdown = markdown.replace(comment, written())
    return FORMULA.sub(lambda found: formula(found[1]), markdown)


def command_line() -> str:
    """Every command with its usage and options, from the parser."""
    parser = build_parser()
    choices = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction)).choices
    return "\n".join(line for name, command in choices.items() for line in _command(name, command))


def _command(name: str, command: argparse.ArgumentParser) -> Iterator[str]:
    yield f"## unseam {name}\n"
    yield _sentence(command.description or "")
    yield f"\n```text\n{command.format_usage().strip()}\n```\n"
    formatter = command._get_formatter()
    for group in command._action_groups:
        if not group._group_actions:
            continue
        heading = "arguments" if group.title == "positional arguments" else group.title
        yield f"\n| {heading} | |\n|---|---|"
        for action in group._group_actions:
            shown = formatter._format_action_invocation(action)
            yield f"| {_code(shown)} | {_cell(formatter._expand_help(action))} |"
    yield ""
    if name == "train":
        yield "The settings for `--config` and `--set` are on the page [Configuration](configuration.md).\n"


def settings() -> str:
    """Every section of the configuration with its keys, from the dataclasses."""
    return "\n".join(line for name, section in SECTIONS.items() for line in _section(name, section))


def _section(name: str, section: type) -> Iterator[str]:
    yield f"## {name}\n"
    yield (section.__doc__ or "").splitlines()[0] + "\n"
    yield "| key | type | default | range | meaning |\n|---|---|---|---|---|"
    hints = get_type_hints(section)
    for spec in fields(section):
        hint = hints[spec.name]
        kind = str(getattr(hint, "__name__", hint) if isinstance(hint, type) else hint)
        default = "planned" if spec.default is None else _code(spec.default)
        yield (
            f"| {_code(spec.name)} | {_code(kind.removesuffix(' | None'))} | {default} "
            f"| {_range(spec.metadata)} | {_cell(spec.metadata['help'])} |"
        )
    yield ""


def _range(metadata: Any) -> str:
    if metadata["choices"]:
        return ", ".join(map(_code, metadata["choices"]))
    low, high = metadata["low"], metadata["high"]
    if high is not None:
        return f"{low:g} to {high:g}"
    return "" if low is None else f"{low:g} or more"


def formula(text: str) -> str:
    """A formula in TeX as an SVG picture in the text's colour; the TeX is its description."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    picture = io.StringIO()
    with rc_context({"svg.hashsalt": text, "mathtext.fontset": "cm"}):
        figure = Figure(figsize=(0.1, 0.1))
        FigureCanvasSVG(figure)
        figure.text(0, 0, f"${text}$", fontsize=14)
        figure.savefig(picture, format="svg", bbox_inches="tight", transparent=True, metadata={"Date": None})
    svg = picture.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{html.escape(text)}" fill="currentColor" ', 1)
    return f"<p>{' '.join(svg.split())}</p>"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _code(value: object) -> str:
    return f"<code>{html.escape(str(value))}</code>".replace("|", "&#124;")


def _cell(text: str) -> str:
    return html.escape(text, quote=False).replace("|", r"\|").replace("*", r"\*")
