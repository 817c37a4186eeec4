"""The names of the models in the box, what their files say, and what happens where something is not there."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from ivcore import weights
from ivcore.encoders.videomae import MaskedVideoEncoder
from ivcore.weights import box
from ivcore.weights.accounting import WeightsError
from ivcore.weights.sketch import sketch


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("IVCORE_BOX", str(tmp_path))
    return tmp_path


def write(place, name, state, model, shared=()):
    config = {"class": type(model).__name__} | model.config | ({box.BOX: shared} if shared else {})
    save_file(
        {key: value.half() for key, value in state.items()},
        place / f"{name}.safetensors",
        {"config": json.dumps(config)},
    )


@pytest.fixture
def pair(place):
    """An encoder, and another that shares all of it but one tensor."""
    torch.manual_seed(0)
    model = MaskedVideoEncoder("tiny", depth=1)
    state = model.state_dict()
    write(place, "small-masked", state, model)
    other = state["norm.weight"] + 1
    same = [name for name in state if name != "norm.weight"]
    shared = {
        "file": "small-masked",
        "under": "",
        "sha256": box.digest(place / "small-masked.safetensors"),
        "names": same,
    }
    write(place, "small-coordinated", {"norm.weight": other}, model, shared=[shared])
    return model


def test_a_name_loads_float32_from_half_precision(pair, place):
    loaded = weights.load("ivcore/small-masked")
    assert {value.dtype for value in loaded.state_dict().values()} == {torch.float32}
    for name, value in pair.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value.half().float())
    assert type(sketch(place / "small-masked.safetensors")) is MaskedVideoEncoder


def test_the_list_of_shared_tensors_is_no_field_of_the_model(pair, place, recwarn):
    weights.load("ivcore/small-coordinated")
    assert not recwarn


def test_shared_tensors_come_from_the_other_file(pair, place):
    loaded, whole = weights.load("ivcore/small-coordinated").state_dict(), pair.state_dict()
    assert list(load_file(place / "small-coordinated.safetensors")) == ["norm.weight"]
    assert torch.equal(loaded["norm.weight"], (whole["norm.weight"] + 1).half().float())
    assert torch.equal(loaded["blocks.0.attn.qkv.weight"], whole["blocks.0.attn.qkv.weight"].half().float())


@pytest.mark.parametrize("gone", [True, False])
def test_another_file_than_it_was_packed_with_is_refused(pair, place, gone):
    file = place / "small-masked.safetensors"
    file.unlink() if gone else write(place, "small-masked", {"norm.bias": torch.ones(128)}, pair)
    with pytest.raises(WeightsError, match=r"shares tensors with small-masked\.safetensors"):
        weights.load("ivcore/small-coordinated")


def test_names_come_in_the_order_of_the_chain(pair):
    assert box.names() == ["ivcore/small-masked", "ivcore/small-coordinated"]


def test_an_unknown_name_lists_what_is_there(pair):
    with pytest.raises(
        WeightsError, match=r"^ivcore/foo: not in the box; there are ivcore/small-masked, ivcore/small-coo"
    ):
        weights.load("ivcore/foo")


def test_an_empty_box_says_so(place):
    with pytest.raises(WeightsError, match="ivcore/small-masked: this installation carries no weights"):
        weights.load("ivcore/small-masked")
    with pytest.raises(WeightsError, match=r"this installation carries no weights: there is no card.json"):
        box.card()


def test_a_card_that_does_not_read_is_named(place):
    (place / box.CARD).write_text("{")
    with pytest.raises(WeightsError, match=r"card\.json: cannot be read"):
        box.card()


@pytest.mark.parametrize(
    "card", [[], {}, {"bytes": 1}, {"bytes": "x", "models": {"a": {}}}, {"bytes": 10**400, "models": {}}]
)
def test_a_card_without_its_numbers_is_named(place, card):
    with pytest.raises(WeightsError, match=r"card\.json: is damaged"):
        box.text(card)


@pytest.mark.parametrize("shared", [7, [7], [{"file": "a/b"}], [{"file": "small-masked"}], {"a": 1}])
def test_a_file_that_does_not_say_what_it_shares_is_named(pair, place, shared):
    with pytest.raises(WeightsError, match=r"small-coordinated.*does not say which tensors it shares"):
        box.complete({}, {box.BOX: shared}, place / "small-coordinated.safetensors")


def test_the_card_in_words_has_its_numbers():
    model = {
        "command": "iv run 10 small",
        "steps": 7,
        "hours": 0.5,
        "device": "cpu (2 cores)",
        "commit": "abc",
        "bytes": 1_500_000,
    }
    lists = {"train.csv": {"lines": 12, "sha256": "f00d"}}
    models = {
        "ivcore/a": model | {"data": {"source": "train.csv", "lists": lists}, "scores": {"top1": 0.25}},
        "ivcore/b": model | {"data": {"source": "moving shapes", "training_clips": 60}, "scores": {}},
        "ivcore/c": model
        | {"data": {"source": "hybrid:x", "sets": {"x": {"set": "x-01", "training_clips": 9}}}, "scores": {}},
    }
    scores = {
        "sets": {"creatures": {"train": 90, "test": 150}},
        "tolerance": 0.03,
        "of": {"ivcore/a": {"creatures": {"top1": 0.5}}},
    }
    text = box.text({"bytes": 3_000_000, "models": models, "scores": scores})
    assert "| `ivcore/a` | `iv run 10 small` | 7 | 0.5 | cpu (2 cores) | abc | 1.5 |" in text
    assert "| `ivcore/a` | train.csv: train.csv (12 lines, f00d) | top1 0.250 |" in text
    assert "| `ivcore/b` | moving shapes, 60 training clips |" in text
    assert "| `ivcore/c` | hybrid:x, training clips: 9 of x (x-01) |" in text
    assert (
        "150 creatures (90 to learn from)" in text
        and "| `ivcore/a` | creatures | top1 0.500 |" in text
        and "3.0 MB" in text
    )
