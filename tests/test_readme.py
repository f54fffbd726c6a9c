"""The README's Python runs and prints what it says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"
KOREAN = README.with_name("README.ko.md")
FIRST_SCREEN = 40


def python_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def lines_of_blocks(text: str) -> list[str]:
    """Every line of every block, its comment left out unless it is what `print` prints."""
    lines = "".join(re.findall(r"^```\w*\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)).splitlines()
    return [line if line.startswith("print(") else line.partition("#")[0].rstrip() for line in lines]


def test_the_first_screen_leads_from_the_model_in_the_box_to_a_claim() -> None:
    screen = "\n".join(README.read_text(encoding="utf-8").splitlines()[:FIRST_SCREEN])
    steps = ("unseam predict nuclei", "unseam train", "import unseam", "unseam reproduce nuclei")
    places = [screen.index(words) for words in steps]
    assert places == sorted(places)


def test_the_korean_readme_has_the_same_commands_numbers_and_links() -> None:
    english, korean = (path.read_text(encoding="utf-8") for path in (README, KOREAN))
    assert lines_of_blocks(korean) == lines_of_blocks(english)
    assert "README.ko.md" in english and "README.md" in korean
    table = re.compile(r"^\| `unseam (\w+)", re.MULTILINE)
    assert table.findall(korean) == table.findall(english)
    links = [set(re.findall(r"\]\(([^)]+)\)", text)) for text in (english, korean)]
    assert links[0] ^ links[1] == {"README.ko.md", "README.md"}
    scores = [re.findall(r"(?:ap50|ap|V_rand|Rand error) (0\.\d+)", text) for text in (english, korean)]
    assert scores[0] == scores[1]


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
    for page in [README, KOREAN, root / "CONTRIBUTING.md", *(root / "docs").rglob("*.md")]:
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"RESULT_|_ROW", text), page
        for link in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (page.parent / link).exists(), f"{page.name} links {link}"
