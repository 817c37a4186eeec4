"""Shared by the stages that learn from united label sets: kinds of classes as far as clips are of them, and a pair that must be given."""

from types import SimpleNamespace

import boxed
import pytest
import torch

from ivcore.data import formats
from ivcore.data.videos import VideoSet
from ivcore.errors import ParameterError
from ivcore.stages import label_sets

DATA = SimpleNamespace(union=SimpleNamespace(classes=["Grow", "red thing", "orbit"]), motion=[0, 2], appearance=[1],
                       kinds={"Grow": "motion", "red thing": "appearance", "orbit": "motion"})  # fmt: skip


def test_top1_of_each_kind_that_occurs():
    scores = torch.eye(3)[[0, 0, 2, 1]]
    assert label_sets.top1_by_kind(DATA, scores, torch.tensor([0, 1, 2, 1]), "probe") == {
        "probe": 0.75,
        "probe_motion": 1.0,
        "probe_appearance": 0.5,
    }
    assert set(label_sets.top1_by_kind(DATA, scores, torch.tensor([0, 2, 2, 0]))) == {"top1", "top1_motion"}


def test_a_constant_answer_is_told_from_one_that_is_right_as_often():
    train = VideoSet([SimpleNamespace(path=f"{i}", label=label) for i, label in enumerate((2, 1, 1, 0))], [], "own")
    labels = torch.tensor([0, 1, 1, 1])
    balance = label_sets.class_balance(SimpleNamespace(train=train), torch.eye(3)[[1, 1, 1, 1]], labels)
    assert balance == {"answered_classes": 1, "commonest_class": 0.75}
    assert VideoSet([], [], "own").commonest == 0


def test_names_are_written_as_their_set_writes_them():
    assert label_sets.class_names(DATA)[0] == "Grow" and label_sets.kind_names(DATA)["Grow"] == "motion"


def test_a_pair_needs_both():
    run = SimpleNamespace(upstream=lambda name: None if name == "multimodal_encoder" else "a file")
    with pytest.raises(ParameterError, match="two classifiers of notebook 12"):
        label_sets.load_pair(run, (8, 4), 32, DATA)


def test_a_pair_of_the_box_answers_for_the_classes_of_the_sets(tmp_path, monkeypatch, capsys):
    boxed.packed(monkeypatch, tmp_path / "box", tmp_path / "outputs")
    names = {
        "masked_encoder": "ivcore/small-masked-classifier",
        "multimodal_encoder": "ivcore/small-multimodal-classifier",
    }
    run = SimpleNamespace(upstream=names.get, params=names, from_box=[*names.values()], dir=tmp_path)
    data = SimpleNamespace(union=SimpleNamespace(classes=["Grow", "large red thing", "shrink"]))
    pair = label_sets.load_pair(run, (4, 2), 32, data)
    assert [model.num_classes for model in pair] == [3, 3] and pair[0].clip == (4, 32, 32)
    assert "ivcore/small-masked-classifier was taught 5 classes: its layer is cut to these 3" in capsys.readouterr().out
    data.union.classes = boxed.CLASSES
    assert label_sets.load_pair(run, (4, 2), 32, data)[1].num_classes == 5
    assert "ivcore/small-multimodal-classifier was taught these classes" in capsys.readouterr().out


def pair_of(tmp_path, rows, names, **params):
    """A run whose masked encoder has so many rows, called so, and a pair of which the other one fits DATA."""
    folders = {name: tmp_path / name for name in label_sets.PAIR}
    for folder in folders.values():
        (folder / "union").mkdir(parents=True)
    if names:
        formats.write_class_names(folders["masked_encoder"] / "union/classes.txt", names)
    values = {"masked_encoder": "12/tiny", "multimodal_encoder": "12/tiny_multimodal", **params}
    return SimpleNamespace(upstream=folders.get, params=values), [SimpleNamespace(num_classes=n) for n in (rows, 3)]


@pytest.mark.parametrize("rows, names", [(3, ["grow", "Red-thing", "orbit"]), (3, None)])
def test_a_pair_that_was_taught_these_classes_is_taken(tmp_path, rows, names):
    label_sets.require_taught(*pair_of(tmp_path, rows, names), DATA.union.classes)


@pytest.mark.parametrize(
    "rows, names, what",
    [
        (19, None, "was taught 19 other classes than the 3 of label_sets"),
        (3, ["grow", "red thing", "jump"], "was taught 3 other classes than the 3 of label_sets"),
        (3, ["red thing", "grow", "orbit"], "was taught these classes in another order"),
    ],
)
def test_a_pair_that_was_taught_others_is_refused_in_one_line_that_says_what_to_run(tmp_path, rows, names, what):
    run, pair = pair_of(tmp_path, rows, names, label_sets="my sets", video_root="mine", class_order="found")
    with pytest.raises(ParameterError) as caught:
        label_sets.require_taught(run, pair, DATA.union.classes)
    command = "iv run 12 tiny -p 'label_sets=my sets' -p video_root=mine"
    assert str(caught.value) == f"masked_encoder = '12/tiny': {what}; run `{command}` first and give its folder"
