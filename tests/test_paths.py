"""Paths that users write: what they lead to, and text that is no path, in one line."""

import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ivcore import paths
from ivcore.errors import ParameterError

TEXT = st.text(st.characters(codec=None), max_size=40)


@given(TEXT)
@example("~nobody999/x")
@example("a\0b")
@example("\ud800")
@example("a" * 5000)
@example("/".join(["ab"] * 3000))
def test_any_text_is_a_path_or_refused_in_one_line(text):
    try:
        found = paths.resolve(text)
    except ParameterError as error:
        assert "\n" not in str(error) and str(error).isprintable() and len(str(error)) < 400
    else:
        assert found.is_absolute() and os.path.exists(found) in (True, False)
        found.exists()  # pathlib raises for what the system cannot even look for


def test_a_path_that_leads_from_the_working_folder_alone_is_kept_so_that_it_leads_from_everywhere(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/x").touch()
    monkeypatch.chdir(tmp_path / "a/b")
    assert paths.placed("../x", typed=True) == "a/x"
    assert paths.placed("nowhere", typed=True) == "nowhere"
    assert paths.placed(str(tmp_path / "a/x"), typed=True) == str(tmp_path / "a/x")
    (tmp_path / "x").touch()
    (tmp_path / "a/b/x").touch()
    assert [paths.placed("x", typed) for typed in (True, False)] == ["a/b/x", "x"]
    monkeypatch.chdir(tmp_path)
    assert paths.placed("./x", typed=True) == "./x", "from the project root a path stays as it is written"


def test_a_working_folder_that_was_removed_is_no_place_to_look(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert paths.candidates("x") == [paths.ROOT / "x"]


def test_places_of_a_parameter_are_tilde_and_all(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths.resolve("~/x") == tmp_path / "x"
    with pytest.raises(ParameterError, match="there is no user 'nobody999'"):
        paths.resolve("~nobody999")
