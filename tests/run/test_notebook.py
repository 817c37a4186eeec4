"""What is read off a notebook's prose."""

import json

import pytest
from workbook import as_notebook

from ivcore.errors import ParameterError
from ivcore.run import notebook

WRITTEN = {
    "# 12 · Of labels\n\n> One line says it.\n\nMore.\n\n> A later quote.": ("Of labels", "One line says it."),
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


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"3",
        b"{",
        b"\xff\xfe\0",
        b'{"cells": [1]}',
        b'{"cells": [{}]}',
        b'{"cells": [{"cell_type": "code", "source": [1]}]}',
        b'{"cells": [{"cell_type": "code", "source": "", "metadata": {"tags": 3}}]}',
        b'{"cells": [{"cell_type": "code", "source": "", "metadata": []}]}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_notebook_is_said_in_a_line(content, tmp_path):
    path = tmp_path / "12_odd.ipynb"
    path.write_bytes(content)
    with pytest.raises(ParameterError, match=r"12_odd\.ipynb: not a notebook"):
        notebook.parameters_cell(path)


def test_a_notebook_that_cannot_be_read_is_said_in_a_line(tmp_path):
    with pytest.raises(ParameterError, match=r"cannot be read \(Is a directory\)"):
        notebook.title(tmp_path)


def test_a_notebook_is_found_from_the_working_folder_too(tmp_path, monkeypatch):
    (tmp_path / "mine.ipynb").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert notebook.find("mine.ipynb") == tmp_path / "mine.ipynb"
    with pytest.raises(ParameterError, match="no path"):
        notebook.find("x" * 5000 + ".ipynb")


@pytest.mark.parametrize(
    ("word", "names", "meant"),
    [
        ("base_lr", ["lr", "scale_lr"], "lr"),
        ("accumulate", ["micro_batch", "batch_size"], "micro_batch"),
        ("warmup", ["warmup_steps", "steps"], "warmup_steps"),
        ("recompute", ["activation_checkpointing", "repeats"], "activation_checkpointing"),
    ],
)
def test_a_name_of_before_or_of_elsewhere_leads_to_the_one_of_here(word, names, meant):
    assert notebook.nearest(word, names) == f"; did you mean {meant}?"
