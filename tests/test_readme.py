"""The README's Python runs and prints what it says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def python_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_the_python_that_needs_no_files_prints_what_its_comments_say() -> None:
    block = next(block for block in python_blocks() if "UNet(" in block)
    promised = re.findall(r"^print\(.*\)\s+# (.*)$", block, re.MULTILINE)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block, "README.md", "exec"), {})
    assert printed.getvalue().splitlines() == promised


def test_the_python_that_trains_uses_the_public_names() -> None:
    import unseam

    block = next(block for block in python_blocks() if "unseam.train(" in block)
    names = set(re.findall(r"unseam\.(\w+)\(", block))
    assert names == {"train", "read_image", "load_model"}
    assert names <= set(unseam.__all__)


def test_documents_have_no_dead_links_and_no_gaps() -> None:
    root = README.parent
    for page in [README, root / "CONTRIBUTING.md", *(root / "docs").glob("*.md")]:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"RESULT_|_ROW", text), page
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (page.parent / link).exists(), f"{page.name} links {link}"
