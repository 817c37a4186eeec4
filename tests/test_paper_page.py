"""docs/paper.md: every file, function and test that it names is there, and its figures are those that docs/paper.py draws."""

import ast
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/paper.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`((?:ivcore|tests|params)/[\w/]+\.\w+)(?:::(\w+))?`", TEXT)))
ROWS = [line for line in TEXT.splitlines() if line.startswith("| 3")]


def defined(file: Path) -> set[str]:
    """Functions, classes and methods of a module."""
    return {node.name for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if hasattr(node, "name")}


@pytest.mark.parametrize("file, name", NAMED)
def test_what_is_named_is_there(file, name):
    assert (ROOT / file).is_file()
    assert not name or name in defined(ROOT / file)


def test_every_row_names_code_and_a_test():
    assert len(ROWS) >= 25
    for row in ROWS:
        paragraph, words, code, test, _ = (cell.strip() for cell in row.replace("\\|", "").strip("|").split(" | "))
        assert paragraph and words and "`ivcore/" in code and "`tests/" in test, row


def test_all_of_section_3_is_there():
    assert {re.match(r"\| (3(?:\.\d)*)", row)[1] for row in ROWS} == {"3", "3.1", "3.1.1", "3.1.2", "3.2", "3.3"}


def test_its_figures_have_words_and_are_what_the_script_draws_today(tmp_path):
    shown = re.findall(r"!\[([^\]]+)\]\(figures/paper_(\w+)\.png\)", TEXT)
    assert [name for _, name in shown] == ["framework", "masked", "video_text", "interaction"]
    assert all(len(alt) > 50 for alt, _ in shown)
    drawn = {file.name: file for file in runpy.run_path(str(ROOT / "docs/paper.py"))["draw"](tmp_path)}
    assert set(drawn) == {f"paper_{name}.png" for _, name in shown}
    for name, file in drawn.items():
        kept, now = (
            np.asarray(Image.open(each).convert("L")).astype(int) for each in (ROOT / "docs/figures" / name, file)
        )
        assert kept.shape == now.shape and np.abs(kept - now).mean() < 0.5, f"{name} is of before: python docs/paper.py"
