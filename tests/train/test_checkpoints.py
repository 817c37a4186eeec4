"""Checkpoints: whole or not there; broken ones are passed over with a warning; old ones go."""

import json
import stat
import warnings

import pytest
import torch
from safetensors import safe_open
from torch import nn

from ivcore.errors import UserError
from ivcore.train.checkpoints import Checkpoints, load_weights, save_weights


@pytest.fixture
def store(tmp_path):
    return Checkpoints(tmp_path / "checkpoints", keep=3)


def filled(value):
    model = nn.Linear(2, 2)
    nn.init.constant_(model.weight, value)
    return model


def save(store, *steps):
    for step in steps:
        store.save(step, filled(step), {"step": step, "generator": torch.arange(3)})


def test_saved_and_loaded(store):
    save(store, 7)
    model = nn.Linear(2, 2)
    state = store.state(store.newest())
    store.weights_into(model, 7)
    assert state["step"] == 7
    assert state["generator"].tolist() == [0, 1, 2]
    assert model.weight.eq(7).all()


def test_the_newest_are_kept(store):
    save(store, 1, 2, 3, 9, 10)
    assert store.steps() == [3, 9, 10]
    assert {file.name[5:13] for file in store.folder.iterdir()} == {"00000003", "00000009", "00000010"}
    assert not list(store.folder.glob("*.tmp"))


def broken(file, how):
    data = file.read_bytes()
    if how == "missing":
        file.unlink()
    elif how == "empty":
        file.write_bytes(b"")
    elif how == "cut":
        file.write_bytes(data[: len(data) // 2])
    else:
        middle = len(data) // 2
        file.write_bytes(data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])


@pytest.mark.parametrize("how", ["missing", "empty", "cut", "one bit"])
@pytest.mark.parametrize("part", [0, 1])
def test_a_broken_newest_falls_back_to_the_one_before(store, part, how):
    save(store, 4, 5)
    broken(store.files(5)[part], how)
    with pytest.warns(UserWarning, match=rf"step 5 passed over: {store.files(5)[part].name}"):
        newest = store.newest()
    assert newest == 4
    store.tidy(newest)
    assert {file.name[5:13] for file in store.folder.iterdir()} == {"00000004"}


@pytest.mark.parametrize("how", ["empty", "cut"])
def test_a_broken_mark_falls_back_too(store, how):
    save(store, 4, 5)
    broken(store.files(5)[2], how)
    with pytest.warns(UserWarning, match="step 5 passed over: its mark"):
        assert store.newest() == 4


def test_files_without_their_mark_do_not_count(store):
    save(store, 4, 5)
    store.files(5)[2].unlink()
    (store.folder / ".step-00000006.safetensors.99.tmp").write_bytes(b"half")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a kill while writing is no reason to warn
        assert store.newest() == 4
    store.tidy(4)
    assert {file.name[:13] for file in store.folder.iterdir()} == {"step-00000004"}


def test_nothing_there(store):
    assert store.newest() is None
    store.tidy(None)
    save(store, 1)
    for file in store.files(1)[:2]:
        broken(file, "cut")
    with pytest.warns(UserWarning):
        assert store.newest() is None


def test_other_files_in_the_folder_are_left_alone(store):
    save_weights(filled(1), store.folder / "model.safetensors", {"size": "tiny"})
    save(store, 1, 2, 3, 4)
    store.tidy(None)
    assert [file.name for file in store.folder.iterdir()] == ["model.safetensors"]


def metadata(path):
    with safe_open(str(path), framework="pt") as file:
        return file.metadata()


def test_weights_with_a_config(tmp_path):
    config = {"size": "tiny", "frames": 8, "ratio": 0.75}
    path = save_weights(filled(3), tmp_path / "deep" / "model.safetensors", config)
    assert metadata(path) == {"config": json.dumps({"class": "Linear"} | config)}  # one entry: see save_weights
    model = nn.Linear(2, 2)
    load_weights(model, path)
    assert model.weight.eq(3).all()
    assert metadata(save_weights(model, tmp_path / "bare.safetensors"))["config"] == '{"class": "Linear"}'
    (tmp_path / "plain").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


def test_tied_weights_are_stored_once_and_stay_tied(tmp_path):
    def tied():
        model = nn.Sequential(nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False))
        model[1].weight = model[0].weight
        return model

    first, second = tied(), tied()
    path = save_weights(first, tmp_path / "tied.safetensors")
    load_weights(second, path)
    assert torch.equal(first[1].weight, second[1].weight)
    assert second[0].weight is second[1].weight
    assert path.stat().st_size < 2 * 8 * 8 * 4


@pytest.mark.parametrize("other", [nn.Linear(3, 2), nn.Linear(2, 2, bias=False), nn.Bilinear(2, 2, 2)])
def test_weights_that_do_not_fit_are_refused_in_one_line(tmp_path, other):
    path = save_weights(filled(1), tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=f"model.safetensors: weights do not fit {type(other).__name__}") as error:
        load_weights(other, path)
    assert "\n" not in str(error.value)


def test_a_state_that_would_run_code_is_not_loaded(store, tmp_path):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    store.save(1, filled(1), {"step": Payload()})
    with pytest.raises(Exception, match=r"(?i)weights.only"):
        store.state(1)
    assert not (tmp_path / "ran").exists()


def test_the_mark_is_readable(store):
    save(store, 12)
    mark = json.loads(store.files(12)[2].read_text())
    assert mark["step"] == 12
    assert mark["files"]["step-00000012.safetensors"]["bytes"] == store.files(12)[0].stat().st_size
