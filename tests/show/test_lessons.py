"""Figures of the notebooks on ideas: samplers, tubelets, positions, the map; exercises."""

import json
import re

import hygiene
import numpy as np
import pytest
from workbook import as_notebook

from ivcore import paths
from ivcore.encoders.positions import sine_cosine
from ivcore.run import chain, contents, notebook
from ivcore.show.exercise import EXERCISES, check
from ivcore.show.positions import position_likeness, position_table
from ivcore.show.samplers import samplers
from ivcore.show.tubelets import exploded


def test_samplers_are_drawn_in_seconds_one_line_a_clip():
    axes = samplers(100, 25, {"dense": np.array([0, 25, 50]), "views": [np.array([0]), np.array([99])]}).axes[0]
    assert [line.get_xdata().tolist() for line in axes.lines] == [[0, 1, 2], [0], [99 / 25]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["dense", "views", ""]


def test_exploded_tubelets_lose_no_pixel():
    clip = np.random.default_rng(0).integers(0, 250, (4, 16, 16, 3), np.uint8)
    canvas = np.asarray(exploded(clip, (2, 8, 8), slots=2).axes[0].images[0].get_array())
    assert set(np.unique(clip)) <= set(np.unique(canvas))


def test_a_token_is_most_like_itself():
    figure = position_likeness(sine_cosine(32, 64), (2, 4, 4), 21)
    first, second = (axes.images[0].get_array() for axes in figure.axes[:2])
    assert second.argmax() == 21 - 16 and second.max() == pytest.approx(1) and first.max() < 1
    assert position_table(sine_cosine(32, 64)).axes[0].images[0].get_array().shape == (32, 64)


def test_every_notebook_that_trains_or_measures_has_a_box_on_the_map():
    there = {notebook.number(path) for path in notebook.every()}
    named = [number for stage in chain.STAGES for number in stage.numbers]
    assert {number for number in there if "10" <= number < "90"} <= set(named) <= there
    assert {stage.state for stage in chain.STAGES} == {"notebook"}
    drawn = [" ".join(text.get_text().split()) for text in chain.chain().axes[0].texts]
    for stage in chain.STAGES:
        several = "s" if len(stage.numbers) > 1 else ""
        assert sum(text.startswith(f"notebook{several} {chain._listed(stage.standing)} ") for text in drawn) >= 1, stage


def test_the_words_of_each_box_lie_within_its_frame():
    figure = chain.chain()
    figure.canvas.draw()
    (axes,) = figure.axes
    boxes = [patch.get_window_extent() for patch in axes.patches if hasattr(patch, "get_boxstyle") and not hasattr(patch, "arrow_patch")]  # fmt: skip
    for text in axes.texts:
        if words := text.get_text():
            x, y = axes.transData.transform(text.get_position())
            (frame,) = [box for box in boxes if box.contains(x, y)]
            extent = text.get_window_extent()
            assert frame.contains(*extent.min) and frame.contains(*extent.max), words


def test_the_map_fills_a_box_only_for_a_notebook_that_is_there():
    assert chain.Stage("x", "3", 0, 0, ("98", "99"), "ivcore.no_such_module").state == "paper"
    assert chain.Stage("x", "3", 0, 0, (), "ivcore.masking").state == "code"
    assert chain.Stage("x", "3", 0, 0, ("", "1"), "ivcore.masking").state == "code"
    half = chain.Stage("x", "3", 0, 0, ("99", "13"), "ivcore.masking")
    assert (half.state, half.standing) == ("notebook", ["13"])


def test_the_contents_link_every_notebook_with_its_claim():
    text = contents.contents("notebooks/")
    for path in notebook.every():
        assert f"](notebooks/{path.name}) | {notebook.claim(path)} |" in text


def test_the_readme_lists_every_notebook_and_links_nothing_that_is_not_there():
    text = (paths.ROOT / "README.md").read_text()
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert {f"notebooks/{path.name}" for path in notebook.every()} <= set(links)
    assert [link for link in links if not (paths.ROOT / link).exists()] == []


@pytest.mark.parametrize(
    "answer, right, says",
    [(..., False, "not answered"), (9216, True, "right"), (None, False, "None is none. Count"),
     ("nine", False, "'nine' is none. Count"), ("show me", False, "the answer is 9216")],
)  # fmt: skip
def test_exercises_say_what_they_think(answer, right, says, capsys):
    assert check("01.tokens", answer) is right
    assert says in capsys.readouterr().out


def test_the_second_wrong_answer_gets_the_second_hint_and_the_third_the_way_out(capsys):
    for says in ("not yet: 1. Every clip", "not yet: 1. The best", 'Answer "show me"'):
        assert not check("05.labels", 1)
        assert says in capsys.readouterr().out


def test_every_exercise_is_in_a_notebook():
    cells = [notebook.source(cell) for path in notebook.every() for cell in notebook.cells(path)]
    asked = [name for cell in cells for name in re.findall(r'^check\("([^"]+)", answer\);$', cell, re.M)]
    assert sorted(asked) == sorted(EXERCISES)


ANSWERS = {name: right for name, (right, *_) in EXERCISES.items()}


@pytest.mark.parametrize("number", hygiene.LESSONS)
def test_a_lesson_predicts_runs_and_checks_and_shows_no_answer(number):
    wrong = hygiene.taught(notebook.find(number), ANSWERS)
    assert not wrong, wrong


PREDICTED = "# Before\n\n**Predict.** How many?"
CHECKED = "# Again\n\n"
FOLDED = "<details><summary>Why</summary>\n\nThere are 24.\n\n</details>"
EXERCISE = ["# Exercise\n\nHow many are there?", 'answer = ...\ncheck("x", answer);']


def lesson(tmp_path, *cells):
    """A notebook of three good cycles, and then these cells; a text that begins with # or < or * is prose."""
    made = ["# 10 · A lesson", "n: int = 1", *3 * ["# A\n\n**Predict.** How many are there, and of which kind?", "print(1)", f"**Check.**\n\n{FOLDED}"]]  # fmt: skip
    content = as_notebook([*made, *cells])
    for cell in content["cells"]:
        if cell["source"][0] in "#<*":
            cell["cell_type"] = "markdown"
    (path := tmp_path / "10_lesson.ipynb").write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    "cells, rule, says",
    [
        ([PREDICTED, CHECKED, "print(1)", f"**Check.**\n\n{FOLDED}"], "check", "How many?"),
        ([PREDICTED, "print(1)"], "check", "How many?"),
        ([PREDICTED, "print(1)", "**Check.** There are 24."], "check", "How many?"),
        ([PREDICTED, "print(1)", "**Check.**\n\n<details><summary>Why</summary>\nThere are 24.\n</details>"], "check", "How many?"),
        ([*EXERCISE, "# Solution\n\nThere are many."], "exercise", "no folded solution"),
        ([*EXERCISE, f"{FOLDED}\n\nSo there are 24."], "exercise", "shows its answer 24"),
        (["# Exercise\n\nAre there 24?", EXERCISE[1], FOLDED], "exercise", "shows its answer 24"),
        ([EXERCISE[0], 'answer = 24.00\ncheck("x", answer);', FOLDED], "exercise", "shows its answer 24.00"),
        (["print(1)\n" * 5 + "print(1)"] * 4, "median", "6 lines"),
        (["print(1)", "a = 1  # one two three four five six seven eight nine ten" * 9], "prose", "there must be more prose"),
    ],
)  # fmt: skip
def test_each_way_not_to_teach_is_seen(tmp_path, cells, rule, says):
    assert hygiene.taught(lesson(tmp_path), {}) == {}
    wrong = hygiene.taught(lesson(tmp_path, *cells), {"x": 24})
    assert list(wrong) == [rule] and says in wrong[rule]


def test_an_exercise_with_a_folded_solution_is_a_good_one_and_a_lesson_without_predictions_is_not(tmp_path):
    assert hygiene.taught(lesson(tmp_path, *EXERCISE, FOLDED), {"x": 24}) == {}
    (path := tmp_path / "11_none.ipynb").write_text(json.dumps(as_notebook(["# 11 · None at all here", "n: int = 1", "print(1)"])))  # fmt: skip
    assert hygiene.taught(path, {}) == {"predict": "0 predictions, at least 3"}
