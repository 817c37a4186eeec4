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


GLOSSARY = ROOT / "docs/glossary.md"


def rows_of(text: str) -> list[list[str]]:
    """The cells of every row of the tables of a page, their heads left out."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [cells for cells in lines if cells[0] != "word" and not cells[0].startswith("---")]


def untrue(cells: list[str]) -> list[str]:
    """What is wrong with a row of the glossary: word, meaning, notebooks, a file and a name that stands in it."""
    word, meaning, seen, written = cells
    wrong = [] if meaning.count(". ") < 2 and meaning.endswith(".") else [f"{word}: one or two sentences"]
    if not re.fullmatch(r"(\[\d\d\]\(\.\./notebooks/\d\d_\w+\.ipynb\) ?)+", seen):
        wrong.append(f"{word}: names no notebook")
    elif any(number != target for number, target in re.findall(r"\[(\d\d)\]\(\.\./notebooks/(\d\d)", seen)):
        wrong.append(f"{word}: a link of another number")
    found = re.fullmatch(r"\[([\w.]+)\]\(\.\./(ivcore/[\w/]+\.py)\) `(\w+)`", written)
    if not found or not found[2].endswith(f"/{found[1]}"):
        return [*wrong, f"{word}: names no file of its own name and no word in it"]
    here = re.search(rf"\b{found[3]}\b", (ROOT / found[2]).read_text(encoding="utf-8"))
    return wrong if here else [*wrong, f"{word}: {found[3]} is not in {found[2]}"]


def test_every_word_of_the_glossary_leads_to_a_notebook_and_to_the_code_that_means_it():
    rows = rows_of(GLOSSARY.read_text(encoding="utf-8"))
    assert [problem for cells in rows for problem in untrue(cells)] == []
    words = [cells[0] for cells in rows]
    assert len(words) == len(set(words))


def test_the_glossary_is_sorted_within_its_parts_and_linked_from_the_readme():
    for part in GLOSSARY.read_text(encoding="utf-8").split("\n## ")[1:]:
        words = [cells[0].lower() for cells in rows_of(part)]
        assert words == sorted(words), part.partition("\n")[0]
    assert "](docs/glossary.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_a_word_that_leads_nowhere_is_noticed():
    good = ["gate", "It opens.", "[02](../notebooks/02_masking.ipynb)", "[masking.py](../ivcore/masking.py) `tube`"]
    assert untrue(good) == []
    assert untrue([*good[:3], "[masking.py](../ivcore/masking.py) `tubes`"]) == [
        "gate: tubes is not in ivcore/masking.py"
    ]
    assert untrue([*good[:3], "[cma.py](../ivcore/masking.py) `tube`"]) == [
        "gate: names no file of its own name and no word in it"
    ]
    assert untrue([*good[:2], "[03](../notebooks/02_masking.ipynb)", good[3]]) == ["gate: a link of another number"]
