"""Open-set recognition: training by evidence, the ways of asking what is unknown, and the datasets' presets from files to metric."""

import json

import pytest
import torch
from torch import nn

from ivcore.data import mini
from ivcore.data.videos import VideoSet
from ivcore.data.views import views_of
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.videomae import VideoClassifier
from ivcore.losses.evidential import evidential
from ivcore.run import execute as run
from ivcore.stages import open_set
from ivcore.stages.open_set import OpenSetOutputs
from ivcore.train import save_weights
from ivcore.weights.usage import Usage

GROWS = {"annealing": "exp", "start": 0.01, "rising": 10}
TERMS = {"kind": "log", "evidence": "exp", "divergence": True, "calibration": False}


class Model(nn.Linear):
    def prepare(self, video):
        return video


def test_the_terms_grow_with_training():
    torch.manual_seed(0)
    loss, model = open_set.EvidentialLoss("ordered", 50, **GROWS, **TERMS), Model(4, 3)
    batch = {"video": torch.randn(5, 4), "label": torch.tensor([0, 1, 2, 0, 1])}
    found = []
    for share, weight in ((0.0, 0.01), (0.5, 0.1), (1.0, 1.0)):
        loss.at(share)
        value, numbers = loss(model, batch, None)
        expected, _ = evidential(model(batch["video"]), batch["label"], kind="log", divergence=True, weight=weight)
        assert value.item() == pytest.approx(expected.item(), rel=1e-4)
        found.append(numbers["loss_kl"].item())
    assert found[0] < found[1] < found[2]


@pytest.mark.parametrize(
    "model", [VideoClassifier("tiny", 3, depth=1, head_drop=0.5), UniFormerV2(32, 2, 1, 8, 32, 3, (1,))]
)
def test_answers_are_the_models_own_over_all_views(model):
    torch.manual_seed(0)
    model = model.eval()
    video = (torch.rand(4, 8, 32, 40, 3) * 255).byte().numpy()
    records = [Decoded(frames, n % 3, f"{n}.mp4") for n, frames in enumerate(video)]
    views = views_of(VideoSet(records, ["a", "b", "c"], "own"), in_memory=False, size=32, num_frames=8, num_crops=3)
    found = open_set.answers(model.resize_positions(8, 32), {"test": views}, "ordered")["test"]
    clips = torch.from_numpy(views[1]["views"])
    with torch.no_grad():
        torch.testing.assert_close(found.logits[1], model(model.prepare(clips)).mean(0), rtol=1e-4, atol=1e-5)
    assert found.labels.tolist() == [0, 1, 2, 0] and (open_set.clip_of(views, 1) == views[1]["views"][0]).all()
    assert [label for _, label in open_set.examples(views, 2)] == [0, 0]


class Decoded:
    def __init__(self, video, label, path):
        self.video, self.label, self.path = video, label, path


def told(labels, spread=0.5, shift=0.0):
    """Answers whose largest logit is mostly that of the label, as far from the others as 4."""
    torch.manual_seed(len(labels))
    features = 4 * torch.eye(3)[labels][:, None] + shift + spread * torch.randn(len(labels), 1, 3)
    return OpenSetOutputs(features[:, 0], features, labels)


@pytest.fixture(scope="module")
def found():
    labels = torch.arange(90) % 3
    torch.manual_seed(0)
    features = 2 + 0.3 * torch.rand(60, 1, 3)
    strange = OpenSetOutputs(features[:, 0], features, torch.arange(60) % 4)
    return {"train": told(labels), "val": told(labels[:60]), "test": told(labels[:45]), "others": strange}


@pytest.fixture(scope="module")
def scores(found):
    model = VideoClassifier("tiny", 3, depth=1)
    model.head = nn.Linear(3, 3, bias=True)
    nn.init.eye_(model.head.weight), nn.init.zeros_(model.head.bias)
    by = open_set.by_softmax(model, found, rate=0.5, passes=8, seed=0)
    return by | {open_set.EVIDENCE: open_set.by_evidence(found, "exp"), open_set.RANDOM: open_set.at_random(found, 0)}


def test_every_way_of_asking_tells_clips_between_the_classes(scores):
    assert set(scores) == {"evidence", "softmax", "OpenMax", "dropout entropy", "dropout information", "random"}
    for method, by in scores.items():
        row = open_set.measures(by, ["others"], 0.95)
        if method == open_set.RANDOM:
            assert abs(row["auc_others"] - 0.5) < 0.15
        elif not method.startswith("dropout"):  # of three features too much is missing
            assert row["auc_others"] > 0.8 and (method == open_set.OPENMAX or row["auc_at_threshold_others"] > 0.7)
            assert (by["train"] <= row["threshold"]).double().mean() >= 0.95
    slip = open_set.measures(scores["evidence"], ["others"], 0.95, as_published=True)
    assert slip["kept"] < 0.5, "the published threshold turns away what it means to keep"


def test_the_measures_of_four_known_and_four_unknown_clips_by_hand():
    """Two of forty training clips may be too many at 95 %, so the threshold is the second largest; test clips above it count as unknown."""
    val = torch.linspace(0.03, 0.6, 20)
    scores = {"train": torch.arange(1, 41) / 40, "val": val, "test": torch.tensor([0.1, 0.5, 0.98, 0.99])}
    scores["a b"] = torch.tensor([0.97, 0.99, 1.0, 0.2])
    row = open_set.measures(scores, ["a b"], 0.95)
    assert row == pytest.approx({
        "threshold": 39 / 40, "kept": 2 / 4, "auc_a_b": (2 + 3.5 + 4 + 1) / 16, "auc_at_threshold_a_b": (2 / 4 + 2 / 4) / 2,
        "auc_at_val_threshold_a_b": (2 / 4 + 3 / 4) / 2, "fpr95_a_b": 3 / 4,
        "aupr_a_b": (2 + (1 + 2 / 3) + (1 / 2 + 3 / 5) + (1 / 2 + 4 / 7)) / 8,
    })  # fmt: skip
    slip = open_set.measures(scores, ["a b"], 0.95, as_published=True)
    assert (slip["threshold"], slip["kept"], slip["auc_at_threshold_a_b"]) == pytest.approx((2 / 40, 0, 1 / 2))


def test_the_openness_curve_by_hand():
    """Closed, all three known clips are answered 0, 1 and unknown; open, two unknown clips come, answered unknown and 1."""
    test = OpenSetOutputs(torch.tensor([[2.0, 0], [0, 2], [2, 0]]), torch.zeros(3, 1, 1), torch.tensor([0, 0, 1]))
    strange = OpenSetOutputs(torch.tensor([[0.0, 2], [0, 2]]), torch.zeros(2, 1, 1), torch.tensor([0, 1]))
    by = {"test": torch.tensor([0.1, 0.2, 0.9]), "a": torch.tensor([0.8, 0.3])}
    closed, one, both = open_set.openness_curve(by, {"test": test, "a": strange}, "a", 0.5, draws=20, seed=0)
    assert closed == (0, [pytest.approx((2 / 3 + 0 + 0) / 3)])
    assert both == (pytest.approx(1 - (4 / 6) ** 0.5), [pytest.approx((2 / 3 + 0 + 1 / 2) / 3)])
    drawn = {round(value, 6) for value in one[1]}
    assert drawn == {round(4 / 9, 6), round(2 / 9, 6)}  # only the one told unknown, only the one taken for 1


def test_unknown_clips_are_held_against_those_told_right_and_those_told_wrong():
    known, strange = torch.tensor([0.1, 0.2, 0.8]), torch.tensor([0.5, 0.9])
    row = open_set.told_apart({"test": known, "a b": strange}, torch.tensor([True, True, False]), ["a b"])
    assert row == {"auc_a_b_against_right": 1.0, "auc_a_b_against_wrong": 0.5}
    assert list(open_set.told_apart({"test": known, "a": strange}, torch.ones(3, dtype=torch.bool), ["a"])) == [
        "auc_a_against_right"
    ]


def test_dropout_is_no_change_on_average():
    torch.manual_seed(0)
    layer, features = nn.Linear(50, 3), torch.randn(4, 2, 50) / 50
    drawn = open_set.dropout_passes(layer, features, 0.5, 400, seed=0)
    assert drawn.shape == (4, 3, 400) and drawn.std(2).min() > 0
    torch.testing.assert_close(drawn.mean(2), layer(features).mean(1).softmax(1).detach(), atol=0.01, rtol=0.05)


def test_openmax_is_left_out_where_a_class_is_never_told(found, capsys):
    lacking = found | {"train": told(torch.zeros(9, dtype=torch.long))}
    model = VideoClassifier("tiny", 3, depth=1)
    assert list(open_set.by_softmax(model, lacking, rate=0.0, passes=2, seed=0)) == ["softmax"]
    assert "OpenMax is left out: class 1" in capsys.readouterr().out


def test_the_openness_curve_begins_closed_and_ends_with_all_classes(scores, found):
    by = scores[open_set.EVIDENCE]
    threshold = open_set.measures(by, ["others"], 0.95)["threshold"]
    curve = open_set.openness_curve(by, found, "others", threshold, draws=5, seed=0)
    assert [len(values) for _, values in curve] == [1, 5, 5, 5, 1]
    assert [openness for openness, _ in curve] == sorted(openness for openness, _ in curve) and curve[0][0] == 0
    random = open_set.openness_curve(scores[open_set.RANDOM], found, "others", 0.95, draws=5, seed=0)
    assert curve[-1][1][0] > random[-1][1][0]


SMALL = {"image_size": "32", "num_frames": "8", "steps": "2", "batch_size": "4", "micro_batch": "0"}
SMALL |= {"in_memory": "true", "num_workers": "0", "precision": "fp32", "draws": "2"}


@pytest.mark.slow
@pytest.mark.parametrize("preset, unknown", [("ucf101_hmdb51", "hmdb51"), ("ucf101_mit", "mit")])
def test_the_preset_of_a_dataset_goes_from_its_files_to_a_metric(preset, unknown, tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_OUTPUTS", str(tmp_path / "outputs"))
    torch.manual_seed(0)
    model = VideoClassifier("tiny", 4, depth=2)
    used = Usage(32, 8, classes=("a", "b", "c", "d")).saved(model)
    save_weights(model, tmp_path / "encoder.safetensors", model.config | used)
    given = {"data": str(mini.write(preset, tmp_path / preset)), "encoder": str(tmp_path / "encoder.safetensors")}
    folder = run.execute(run.jobs("39", preset, SMALL | given)[0], timeout=300)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["test_scored"] == metrics["test_videos"] == 8 and metrics[f"{unknown}_scored"] == 9
    for name in (f"auc_at_threshold_{unknown}", f"open_f1_{unknown}"):
        assert 0 <= metrics[name] <= 1
    counted = {
        "accuracy": 8,
        "kept": 8,
        f"auc_{unknown}": 2 * 8 * 9,
    }  # of so many: clips, and pairs of which ties are half
    assert {name: (metrics[name] * of) % 1 for name, of in counted.items()} == pytest.approx(dict.fromkeys(counted, 0))
    assert metrics["headline"][:2] == [f"auc_{unknown}", f"auc_at_threshold_{unknown}"]
