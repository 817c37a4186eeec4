"""What README and docs point at is there, and the README stays short."""

import re
from pathlib import Path

import pytest

from ivcore.weights import box

ROOT = Path(__file__).parents[1]
MODELS = [f"{box.OWNER}{name}" for name in box.MODELS.values()]
TEXTS = ["README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))]


def named(text: str, folder: Path) -> list[Path]:
    """Local targets of links, and paths in backticks that begin with a folder of this repository; models of the box are no paths."""
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text)
    quoted = re.findall(r"`((?:ivcore|notebooks|params|docs|tests|workflow|benchmarks)/[\w./-]+)`", text)
    return [folder / link for link in links] + [ROOT / path for path in quoted if path not in MODELS]


@pytest.mark.parametrize("name", TEXTS)
def test_every_path_is_there(name):
    file = ROOT / name
    paths = named(file.read_text(encoding="utf-8"), file.parent)
    assert not [str(path) for path in paths if not path.exists()]


def test_the_readme_is_short_and_names_the_way_to_the_new_idea():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 160
    first_hour = text.split("## The first hour")[1]
    assert "ivcore/cma.py" in first_hour and "13_cross_model_interaction.ipynb" in first_hour


def test_a_missing_path_is_noticed():
    assert named("[a](nowhere.md) `ivcore/none.py` [b](https://x.y)", ROOT) == [
        ROOT / "nowhere.md",
        ROOT / "ivcore/none.py",
    ]
