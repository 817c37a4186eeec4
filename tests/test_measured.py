"""The numbers in the README and in the notes are those of docs/results.json, and none of them is stale."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("measured", ROOT / "docs/measured.py")
measured = importlib.util.module_from_spec(spec)
spec.loader.exec_module(measured)


@pytest.mark.parametrize("name", measured.TEXTS)
def test_the_text_says_what_was_measured(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert measured.BLOCK.search(text)
    assert measured.fill(text, measured.read()) == text, "run `make numbers`"


@pytest.mark.parametrize("name", measured.names())
def test_no_number_is_stale(name):
    """Its presets lead to the same runs today, in number and in parameters."""
    runs, today = measured.read().named(name), measured.expected(name)
    assert len(runs) == len(today)
    for run, values in zip(runs, today):
        assert not measured.differ(run["params"], values), "measure again, then `make numbers`"


def test_every_number_has_a_commit_and_is_asked_for():
    results = json.loads(measured.RESULTS.read_text(encoding="utf-8"))
    assert sorted(results) == measured.names()
    assert all(len(run["commit"]) >= 7 for runs in results.values() for run in runs)
    assert not any("+" in run["commit"] for runs in results.values() for run in runs), "made with edited files"


@pytest.mark.parametrize("commit", ["", "3c9cc5131caa+"])
def test_a_run_of_edited_files_is_not_collected(commit, tmp_path, monkeypatch):
    (values,), folder = measured.expected("09/tiny"), tmp_path / "09_map/tiny-1"
    folder.mkdir(parents=True)
    (folder / "params.yaml").write_text(json.dumps(values))
    (folder / "metrics.json").write_text('{"one": 1}')
    (folder / "env.json").write_text(json.dumps({"commit": "3c9cc5131caa"}))
    monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path))
    assert measured.measured("09/tiny")[0]["metrics"] == {"one": 1}
    (folder / "env.json").write_text(json.dumps({"commit": commit}))
    with pytest.raises(measured.Missing, match="made with edited files"):
        measured.measured("09/tiny")


RESULTS = {
    "30/tiny": [{"commit": "a" * 12, "params": {"seed": 0, "lr": 0.1}, "metrics": {"top1": 0.5}}],
    "30/sweep": [
        {"commit": "b" * 12, "params": {"seed": seed, "lr": 0.1}, "metrics": {"top1": 0.5 + seed / 10}}
        for seed in (0, 1)
    ],
}


def test_a_block_is_written_from_its_template(tmp_path, monkeypatch):
    monkeypatch.setattr(measured, "TABLES", tmp_path)
    (tmp_path / "t.md").write_text(
        '{{ of("30/tiny", "top1") }} {{ over("30/sweep", "top1") }} {{ commit("30/tiny") }}\n'
    )
    text = "a\n<!-- numbers: t -->\nold\n<!-- /numbers -->\nb\n"
    assert measured.fill(text, measured.Results(RESULTS)) == text.replace("old", "0.500 0.550 ± 0.071 aaaaaaa")


@pytest.mark.parametrize("ask", ['of("30/none", "top1")', 'of("30/tiny", "none")', 'over("30/sweep", "top1", seed=7)'])
def test_what_is_missing_is_not_made_up(ask, tmp_path, monkeypatch):
    monkeypatch.setattr(measured, "TABLES", tmp_path)
    (tmp_path / "t.md").write_text("{{ " + ask + " }}\n")
    with pytest.raises(measured.Missing):
        measured.fill("<!-- numbers: t -->\n<!-- /numbers -->", measured.Results(RESULTS))


def test_a_changed_value_is_stale_and_a_new_name_is_not():
    assert measured.differ({"lr": 0.1, "old": 1}, {"lr": 0.2, "new": 2}) == ["lr"]
