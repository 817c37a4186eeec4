"""Five finished runs become a box, or one line says why not."""

import json
import shutil

import boxed
import pytest
import torch
from safetensors.torch import load_file

from ivcore import files, weights
from ivcore.data import embedded
from ivcore.encoders.tokenizer import Tokenizer
from ivcore.errors import UserError
from ivcore.stages import box_scores, pack_box
from ivcore.train import save_weights
from ivcore.weights import box, usage


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_BOX", str(tmp_path / "box"))
    monkeypatch.setattr(box_scores, "measure", lambda name, clips: {} if clips == "creatures" else {"top1": 0.5})
    return boxed.runs(monkeypatch, tmp_path / "outputs")


def test_a_run_of_13_brings_the_four_that_it_comes_from(runs):
    card = pack_box.pack([runs["13/quick"]])
    assert [*card["models"]] == box.names() and len(box.names()) == 5
    assert card == box.card()


def test_models_come_back_but_for_the_rounding(runs):
    pack_box.pack(list(runs.values()))
    for name, run in zip(box.names(), runs.values()):
        loaded, saved = weights.load(name), weights.load(run)
        assert type(loaded) is type(saved) and loaded.config == saved.config
        for key, value in saved.state_dict().items():
            assert torch.equal(loaded.state_dict()[key], value.half().float()), key


def test_frozen_encoders_are_stored_once(runs):
    pack_box.pack([runs["13/quick"]])
    kept = load_file(box.place("ivcore/small-coordinated"))
    assert not [key for key in kept if ".blocks." in key or ".resblocks." in key]
    assert any(key.startswith("cma.") for key in kept)


def test_classes_vocabulary_and_sampling_travel_along(runs):
    pack_box.pack([runs["13/quick"]])
    of = {name.removeprefix("ivcore/small-"): usage.of(name, weights.load(name)) for name in box.names()}
    for name in ("masked-classifier", "multimodal-classifier", "coordinated"):
        assert list(of[name].classes) == boxed.CLASSES
    tokenizer = Tokenizer(**of["multimodal"].tokenizer)
    assert tokenizer.caption(tokenizer(boxed.SENTENCES[0])[0]) == boxed.SENTENCES[0]
    assert of["multimodal-classifier"].frame_sampling == "segment" and of["coordinated"].multimodal_frames == 4


def test_what_the_runs_file_says_itself_is_kept(runs):
    file = runs["12/quick"] / "checkpoints" / "model.safetensors"
    model = weights.load(file)
    said = {usage.USAGE: {"image_size": 48, "num_frames": 8, "classes": [*"abcde"]}}
    save_weights(model, file, model.config | said)
    pack_box.pack([runs["13/quick"]])
    assert usage.of("ivcore/small-masked-classifier", model).image_size == 48


def test_the_card_tells_how_each_was_made(runs):
    of = pack_box.pack([runs["13/quick"]])["models"]["ivcore/small-multimodal-classifier"]
    assert of["command"] == "iv run 12 quick_multimodal"
    assert (of["steps"], of["hours"], of["commit"], of["device"]) == (7, 0.01, "0123456789ab", "cpu (2 cores)")
    assert of["data"] == {"source": "moving shapes", "training_clips": 60} and of["scores"] == {"top1": 0.25}
    assert of["sha256"] == box.digest(box.place("ivcore/small-multimodal-classifier"))


def test_the_card_names_no_place_on_the_machine(runs, tmp_path):
    models = pack_box.pack([runs["13/quick"]])["models"]
    of = models["ivcore/small-coordinated"]["params"]
    assert (of["masked_encoder"], of["multimodal_encoder"]) == ("12/quick", "12/quick_multimodal")
    assert str(tmp_path) not in (box.folder() / box.CARD).read_text()


def test_scores_are_those_of_the_sets_that_can_be_had(runs, monkeypatch, capsys):
    monkeypatch.setattr(box_scores, "lacking", lambda clips: "make sim" if clips == "bodies" else "")
    scores = pack_box.pack([runs["13/quick"]])["scores"]
    assert scores["sets"] == {"moving shapes": {"train": 150, "test": 150}, "creatures": {"train": 150, "test": 150}}
    assert scores["of"]["ivcore/small-masked"] == {"moving shapes": {"top1": 0.5}}
    assert "not measured on bodies: make sim" in capsys.readouterr().out


@pytest.mark.parametrize("unfinished", [True, False])
def test_an_unfinished_or_stale_run_is_refused(runs, unfinished):
    metrics = runs["10/quick"] / "metrics.json"
    if unfinished:
        metrics.unlink()
    else:
        metrics.write_text(json.dumps(json.loads(metrics.read_text()) | {"top1": 0.3}))
    with pytest.raises(
        UserError, match="not finished" if unfinished else "is stale: its encoder 10/quick has been made anew"
    ):
        pack_box.pack([runs["13/quick"]])
    assert box.names() == []


def test_a_missing_and_a_second_model_are_named(runs, tmp_path):
    with pytest.raises(
        UserError, match="no run given for small-masked-classifier, small-multimodal-classifier, small-coordinated"
    ):
        pack_box.pack([runs["10/quick"], runs["11/quick"]])
    again = runs["10/quick"].with_name("quick-00000000")
    shutil.copytree(runs["10/quick"], again)
    with pytest.raises(UserError, match=r"small-masked: .* both hold one"):
        pack_box.pack([again, runs["13/quick"]])


def test_what_half_precision_cannot_hold_is_refused(runs):
    model = weights.load(runs["10/quick"])
    with torch.no_grad():
        model.mask_token.fill_(1e6)
    save_weights(model, runs["10/quick"] / "checkpoints" / "model.safetensors", model.config)
    with pytest.raises(UserError, match=r"mask_token holds 1e\+06, more than half precision can"):
        pack_box.pack([runs["13/quick"]])


def test_a_box_that_is_too_large_leaves_the_old_one(runs, monkeypatch):
    before = pack_box.pack([runs["13/quick"]])
    monkeypatch.setattr(box, "MOST_BYTES", 1000)
    with pytest.raises(UserError, match="MB, at most 0 MB are allowed"):
        pack_box.pack([runs["13/quick"]])
    assert box.card() == before and not list(box.folder().glob(".packing*"))


def test_the_command_says_what_is_wrong_in_one_line(runs, capsys):
    assert pack_box.main(["13/nothing"]) == 2
    assert capsys.readouterr().err.startswith("pack_box: 13_cross_model_interaction has no preset 'nothing'")
    assert pack_box.main([str(runs["13/quick"])]) == 0
    assert "5 models in half precision" in capsys.readouterr().out


def test_generated_sets_are_named_with_their_clips(runs, tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_CACHE", str(tmp_path))
    (listed,) = (tmp_path / folder for folder in embedded.parts("creatures").values())
    listed.mkdir()
    (listed / "train.csv").write_text("a 0\nb 1\n")
    data = pack_box._data(tmp_path, {"train_csv": "creatures"}, {"data": "creatures"})
    assert data == {"source": "creatures", "sets": {"creatures": {"set": listed.name, "training_clips": 2}}}
    data = pack_box._data(tmp_path, {"label_sets": "hybrid"}, {"data": "hybrid:shapes+creatures"})
    assert [*data["sets"]] == ["shapes", "creatures"] and data["sets"]["shapes"]["training_clips"] is None


def test_the_users_lists_are_named_with_their_lines(runs, tmp_path):
    facts = {"lines": 12, "bytes": 99, "sha256": "f00d" * 16}
    files.write_json(tmp_path / "inputs.json", {"mine": {"kind": "folder", "files": {"mine/a/train.csv": facts}}})
    data = pack_box._data(tmp_path, {"label_sets": "mine"}, {"data": "mine"})
    assert data == {"source": "mine", "lists": {"mine/a/train.csv": {"lines": 12, "sha256": "f00d" * 4}}}
