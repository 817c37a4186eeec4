"""What a notebook, README.md and benchmarks/README.md say of how long a notebook opened alone takes is what was measured."""

import importlib.util
import json
from pathlib import Path

import pytest

from ivcore.run import notebook

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("opening_texts", ROOT / "docs/opening.py")
opening = importlib.util.module_from_spec(spec)
spec.loader.exec_module(opening)


def test_every_notebook_was_measured_and_fits():
    rows = opening.read()
    assert list(rows) == [notebook.number(path) for path in notebook.every()]
    slow = {n: row for n, row in rows.items() if row["all"] > opening.LONGEST or row["picture"] > opening.FIRST}
    assert not slow


@pytest.mark.parametrize("file", opening.texts(), ids=lambda file: file.name)
def test_the_text_says_what_was_measured(file):
    text = file.read_text(encoding="utf-8")
    assert opening.filled(file, text, opening.read()) == text, "run `python docs/opening.py write`"
    places = opening.TAKES if file.suffix == ".ipynb" else opening.RANGE if file.parent == ROOT else opening.TABLE
    assert len(places.findall(text)) == 1


def test_a_notebook_that_takes_too_long_has_no_words():
    assert opening.words({"all": 14.9}) == "seconds" and opening.words({"all": 80.0}) == "a minute and a half"
    with pytest.raises(ValueError, match="91 processor seconds: a notebook opened alone may take 90"):
        opening.words({"all": 91.0})


def test_other_numbers_make_another_text():
    rows = {"10": {"picture": 3.2, "all": 50.0}}
    text = "**Takes** seconds as opened"
    assert opening.filled(Path("10_a.ipynb"), text, rows) == "**Takes** about a minute as opened"
    text = "<!-- numbers: opening -->\nold\n<!-- /numbers -->"
    assert "| 10 | 3 | 50 |\n" in opening.filled(Path("README.md"), text, rows)


def test_a_run_that_broke_off_is_not_collected(tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "MEASURED", tmp_path / "opening.json")
    row = {"notebook": "10_a", "processor": 20.04, "picture_processor": 3.0, "error": ""}
    (tmp_path / "a.json").write_text(json.dumps([row]))
    opening.collect([str(tmp_path / "a.json")])
    assert opening.read()["10"]["all"] == 20.0
    (tmp_path / "a.json").write_text(json.dumps([row | {"error": "cell 3: KeyError"}]))
    with pytest.raises(SystemExit, match="10_a: cell 3: KeyError"):
        opening.collect([str(tmp_path / "a.json")])
