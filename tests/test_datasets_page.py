"""docs/datasets.md shows every dataset as its miniature is written today."""

import importlib.util
from pathlib import Path

import pytest

from ivcore.data import mini

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("datasets", ROOT / "docs/datasets.py")
datasets = importlib.util.module_from_spec(spec)
spec.loader.exec_module(datasets)


def test_no_dataset_is_missing():
    text = datasets.PAGE.read_text(encoding="utf-8")
    assert text.startswith(datasets.HEAD), "python docs/datasets.py"
    titles = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert titles == [each.title for each in mini.DATASETS.values()], "python docs/datasets.py"


@pytest.mark.parametrize("name", mini.DATASETS)
def test_the_page_shows_what_is_written(name, written):
    assert datasets.section(name, written(name)) in datasets.PAGE.read_text(encoding="utf-8"), "python docs/datasets.py"
