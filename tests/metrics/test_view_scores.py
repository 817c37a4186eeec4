"""Views merged and score files read as the published code does, numbers included; what does not fit is refused by line."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcore.ensemble import ensemble
from ivcore.errors import FormatError, ParameterError
from ivcore.metrics.view_scores import ClipScores, ViewScores, align, merge, pooled_views, read_view_scores

quick = settings(max_examples=30, database=None)
HOW = {"softmax_each_view": "softmax", "softmax": "softmax", "internvideo_prob": "softmax"}
HOW |= {"internvideo_score": "logits", "raw": "logits"}


@pytest.fixture(scope="module")
def cases(golden):
    return {case["name"]: case for case in golden("score_merging.json")["cases"]}


@pytest.fixture
def ranks(tmp_path):
    """ranks(texts, "model") writes 0.txt, 1.txt, … and returns their folder."""

    def write(texts, name="model"):
        folder = tmp_path / name
        folder.mkdir()
        for rank, text in enumerate(texts):
            (folder / f"{rank}.txt").write_text(text)
        return folder

    return write


def check(scores: ClipScores, expected: dict) -> None:
    assert set(scores.clips) == set(expected["per_video"])
    for name, label, row in zip(scores.clips, scores.labels, scores.scores):
        published = expected["per_video"][name]
        assert int(label) == published["label"] and int(row.argmax()) == published["prediction"]
        torch.testing.assert_close(
            row, torch.tensor(published["mean_scores"], dtype=torch.float64), rtol=1e-6, atol=1e-7
        )
    assert 100 * scores.top(1) == pytest.approx(expected["top1"])
    assert 100 * scores.top(5) == pytest.approx(expected["top5"])


def test_one_models_files_with_a_repeated_view(cases, ranks):
    case = cases["one_model_5x3_views_with_a_repeated_view"]
    views = read_view_scores(ranks(case["files"]))
    for how, expected in case["expected"].items():
        check(merge(views, HOW[how]), expected)
    assert set(views.clip.bincount().tolist()) == {15}  # the repeated view is not a sixteenth
    assert sum(text.count("[") for text in case["files"]) == len(views.clip) + 1


def test_two_models_views_are_pooled(cases, ranks):
    case = cases["ensemble_of_two_models"]
    models = [read_view_scores(ranks(case[f"files_model_{each}"], each)) for each in "ab"]
    for how, expected in case["expected"].items():
        check(merge(pooled_views(models), HOW[how]), expected)
    # equally many views of each: the same as the mean of the two models' scores
    merged = align([merge(model) for model in models])
    pooled = merge(pooled_views(models))
    assert torch.allclose(ensemble([model.scores for model in merged]), pooled.scores, atol=1e-12)


def test_chunk_and_split_are_not_joined_to_one_number(cases, ranks):
    assert len(read_view_scores(ranks(cases["view_key_collision"]["files"])).clip) == 3


def test_views_are_pooled_by_the_clips_names():
    names, labels = ["a", "b", "c"], torch.tensor([0, 1, 0])
    logits = torch.randn(3, 2)
    order = [1, 2, 0]  # not its own inverse
    first = ViewScores(names, labels, torch.arange(3), logits)
    other = ViewScores([names[n] for n in order], labels[order], torch.arange(3), logits[order])
    assert torch.allclose(merge(pooled_views([first, other])).scores, merge(first).scores, atol=1e-12)


@quick
@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.randoms())
def test_clips_may_have_different_numbers_of_views_in_any_order(numbers, random):
    logits = [torch.randn(number, 4) for number in numbers]
    rows = [(clip, view) for clip, number in enumerate(numbers) for view in range(number)]
    random.shuffle(rows)
    views = ViewScores(
        [str(clip) for clip in range(len(numbers))],
        torch.zeros(len(numbers), dtype=torch.long),
        torch.tensor([clip for clip, _ in rows]),
        torch.stack([logits[clip][view] for clip, view in rows]),
    )
    expected = torch.stack([each.double().softmax(-1).mean(0) for each in logits])
    assert torch.allclose(merge(views).scores, expected, atol=1e-12)


GOOD = "a.mp4 [0.5, -1.0] 1 0 0\n"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (GOOD, 1, "expected a header `top1, top5`"),
        ("0.0, 0.0\n", None, "at least one view"),
        ("0.0, 0.0\n" + GOOD + "a.mp4 0.5 -1.0 1 0 1\n", 3, "expected `name"),
        ("0.0, 0.0\n" + GOOD + "a.mp4 [0.5, nan] 1 0 1\n", 3, "finite numbers"),
        ("0.0, 0.0\n" + GOOD + "a.mp4 [0.5, NaN] 1 0 1\n", 3, "finite numbers"),
        ("0.0, 0.0\n" + GOOD + "a.mp4 [[0.5], [1]] 1 0 1\n", 3, "finite numbers|expected"),
        ("0.0, 0.0\n" + GOOD + "a.mp4 [0.5] 1 0 1\n", 3, "expected 2 scores as before, found 1"),
        ("0.0, 0.0\n" + GOOD + "a.mp4 [0.5, 1] 0 0 1\n", 3, "expected label 1 as before, found 0"),
        ("0.0, 0.0\n" + GOOD + "a.mp4 [0.5, 1] 1 0\n", 3, "expected `name"),
        ("0.0, 0.0\n" + GOOD + "a.mp4 [0.5, 1] x 0 1\n", 3, "whole numbers label chunk split"),
    ],
)
def test_malformed_files_are_named_by_line(tmp_path, text, line, message):
    (tmp_path / "0.txt").write_text(text)
    with pytest.raises(FormatError, match=message) as caught:
        read_view_scores(tmp_path / "0.txt")
    assert caught.value.line == line and "\n" not in str(caught.value)


def test_missing_files_and_folders_without_any(tmp_path):
    with pytest.raises(FormatError, match="No such file"):
        read_view_scores(tmp_path / "0.txt")
    with pytest.raises(FormatError, match=r"0\.txt, 1\.txt"):
        read_view_scores(tmp_path)


def test_ranks_are_read_in_the_order_of_their_numbers(ranks):
    texts = [f"0.0, 0.0\nclip{rank} [0.0, 1.0] 0 0 0\n" for rank in range(11)]
    assert read_view_scores(ranks(texts)).clips == [f"clip{rank}" for rank in range(11)]


def some(names, labels, seed=0):
    scores = torch.rand(len(names), 3, generator=torch.Generator().manual_seed(seed))
    return ClipScores(list(names), torch.tensor(labels), scores)


def test_models_are_lined_up_by_name():
    a, b = some("xyz", [0, 1, 2]), some("zxy", [2, 0, 1], 1)
    _, lined_up = align([a, b])
    assert lined_up.clips == a.clips
    assert torch.equal(lined_up.scores, b.scores[[1, 2, 0]])
    with pytest.raises(ParameterError, match=r"2 clips are scored by one only, e\.g\. w"):
        align([a, some("wxy", [0, 0, 1])])
    with pytest.raises(ParameterError, match="y has another label"):
        align([a, some("xyz", [0, 2, 2])])
    with pytest.raises(ParameterError, match="a clip is given twice"):
        some("xx", [0, 0])
    with pytest.raises(ParameterError, match="do not fit together"):
        some("xy", [0])


def test_bad_arguments():
    with pytest.raises(ParameterError, match="must be softmax or logits"):
        merge(ViewScores(["a"], torch.zeros(1), torch.zeros(1).long(), torch.zeros(1, 2)), "mean")
