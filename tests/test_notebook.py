"""What is read off a notebook's prose."""

import json

import pytest
from workbook import as_notebook

from ivcore import notebook

WRITTEN = {
    "# 12 · Of labels\n\n> One line says it.\n\nMore.\n\n> A later quote.": (
        "Of labels",
        "One line says it.",
    ),
    "# 12a: Of labels\n\n> What takes\n> two lines\n>\n>  or three. \nNo quote any more.": (
        "Of labels",
        "What takes two lines or three.",
    ),
    "## Only a second heading\n\nNo quote, 3 > 2.": ("12_labels", ""),
}


@pytest.mark.parametrize("prose", WRITTEN)
def test_title_and_claim(prose, tmp_path):
    path = tmp_path / "12_labels.ipynb"
    path.write_text(json.dumps(as_notebook([prose, "lr: float = 0.1"])))
    assert (notebook.title(path), notebook.claim(path)) == WRITTEN[prose]
