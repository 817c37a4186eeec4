"""Checkpoints as people have them: what trainers, wrappers and other libraries write around the weights is seen through, or named."""

import argparse
import copy
import json
import pathlib

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ivcore import weights
from ivcore.encoders.positions import sine_cosine
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.videomae import VideoClassifier
from ivcore.errors import UserError
from ivcore.weights import WeightsError, sketch

CLIP = {"img_size": 32, "num_frames": 8, "num_heads": 2}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return VideoClassifier("tiny", 5, heads=2, depth=2, init_scale=1.0).eval()


@pytest.fixture(scope="module")
def state(model):
    return model.state_dict()


def load(content, path, config=CLIP, **options):
    torch.save(content, path / "checkpoint.pth")
    return weights.load(path / "checkpoint.pth", config, **options)


def same(loaded, state):
    return all(torch.equal(value, state[key]) for key, value in loaded.state_dict().items())


PREFIXES = [
    "_orig_mod.",
    "net.",
    "module.",
    "module._orig_mod.",
    "model.",
    "_orig_mod.module.",
    "model._orig_mod.",
    "model.net._orig_mod.module.",
    "_forward_module.model.backbone.",
    "encoder._orig_mod.",
]


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("wrapper", ["", "state_dict"])
def test_prefixes_of_wrappers_are_dropped(state, tmp_path, prefix, wrapper):
    content = {prefix + key: value for key, value in state.items()}
    assert same(load({wrapper: content} if wrapper else content, tmp_path), state)


def test_a_compiled_part_has_its_prefix_in_the_middle(state):
    inner = {key.replace("blocks.1.", "blocks.1._orig_mod."): value for key, value in state.items()}
    assert same(weights.from_official(inner, CLIP), state)
    with pytest.raises(WeightsError, match=r"two tensors are called head\.bias"):
        weights.from_official(state | {"module.head.bias": state["head.bias"]}, CLIP)


def mmaction(state, backbone="backbone."):
    names = {
        "patch_embed.proj.": "patch_embed.projection.",
        ".mlp.fc1.": ".mlp.layers.0.0.",
        ".mlp.fc2.": ".mlp.layers.1.",
    }
    renamed = {}
    for key, value in state.items():
        for ours, theirs in names.items():
            key = key.replace(ours, theirs)
        renamed["cls_head.fc_cls." + key[5:] if key.startswith("head.") else backbone + key] = value
    return renamed


def test_mmaction2s_vision_transformer_with_its_saved_table_and_preprocessor(state, tmp_path):
    theirs = mmaction(state) | {"backbone.pos_embed": sine_cosine(64, 128)}
    pixels = {"data_preprocessor.mean": torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1, 1),
              "data_preprocessor.std": torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1, 1)}  # fmt: skip
    assert same(load({"state_dict": theirs | pixels, "meta": {"epoch": 3}}, tmp_path), state)
    with pytest.warns(UserWarning, match=r"pixels' mean is .*, but prepare\(\) takes \[0\.485, 0\.456, 0\.406\]"):
        load({"state_dict": theirs | pixels | {"data_preprocessor.mean": torch.full((3,), 127.5)}}, tmp_path)
    with pytest.raises(WeightsError, match=r"the file is for other clips; give num_frames and img_size"):
        load({"state_dict": theirs}, tmp_path, CLIP | {"num_frames": 16})


def test_mmaction2s_uniformerv2(tmp_path):
    torch.manual_seed(0)
    state = UniFormerV2(64, 2, 1, 8, 16, 5, (1,)).state_dict()
    theirs = {
        "backbone." + key.replace("transformer.proj.0.", "transformer.norm."): value
        for key, value in state.items()
        if not key.startswith("transformer.proj.2.")
    }
    theirs |= {f"cls_head.fc_cls.{part}": state[f"transformer.proj.2.{part}"] for part in ("weight", "bias")}
    assert same(load({"state_dict": theirs}, tmp_path, {}), state)


def test_lightnings_extras(state, tmp_path):
    content = {
        "epoch": 3,
        "pytorch-lightning_version": "2.5",
        "state_dict": {f"model.{k}": v for k, v in state.items()} | {"criterion.weight": torch.ones(5)},
        "hyper_parameters": {"num_frames": 8, "img_size": 32, "num_heads": 2, "lr": 1e-3, "extra": [1, {"a": None}]},
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.5), "dirpath": "/x"}},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 1e-3}]}],
    }
    loaded = load(content, tmp_path, {})
    assert same(loaded, state) and loaded.clip == (8, 32, 32) and loaded.size.heads == 2
    with pytest.raises(WeightsError, match=r"not expected: surprise\.weight"):
        content["state_dict"]["model.surprise.weight"] = torch.ones(1)
        load(content, tmp_path, {})


def test_the_arguments_of_a_training_script_say_for_which_clips_it_trained(state, tmp_path):
    args = argparse.Namespace(num_frames=8, input_size=32, num_heads=2, lr=1e-3, model="vit_tiny")
    loaded = load({"model": state, "args": args, "epoch": 3}, tmp_path, {})
    assert loaded.clip == (8, 32, 32) and torch.equal(loaded.pos_embed, sine_cosine(64, 128))


@pytest.mark.parametrize("name", ["model_ema", "state_dict_ema", "ema", "teacher", "student"])
def test_the_only_set_of_weights_is_taken(state, tmp_path, name):
    assert same(load({name: {f"module.{k}": v for k, v in state.items()}, "epoch": 3}, tmp_path), state)


def test_the_caller_names_one_of_several_sets_of_weights(state, tmp_path):
    other = {key: value + 1 for key, value in state.items()}
    for content in (
        {"teacher": other, "student": state},
        {f"{role}.backbone.{key}": v for role, s in (("teacher", other), ("student", state)) for key, v in s.items()},
    ):
        with pytest.raises(WeightsError, match=r"several sets of weights: teacher, student; choose one") as error:
            load(content, tmp_path)
        assert "\n" not in str(error.value) and "entry='teacher'" in str(error.value)
        assert same(load(content, tmp_path, entry="student"), state)
        assert same(load(content, tmp_path, entry="teacher"), other)
        with pytest.raises(WeightsError, match="has no entry 'nobody'"):
            load(content, tmp_path, entry="nobody")
    with pytest.warns(UserWarning, match=r"holds model_ema besides; took model; entry='model_ema'"):
        assert same(load({"model": state, "model_ema": other}, tmp_path), state)
    assert same(load({"model": state, "model_ema": other}, tmp_path, entry="model_ema"), other)


def test_a_bare_model_of_transformers(tmp_path):
    import transformers

    shape = {"image_size": 32, "patch_size": 8, "num_frames": 8, "hidden_size": 64, "num_hidden_layers": 2}
    shape |= {"num_attention_heads": 2, "intermediate_size": 256}
    for mean_pool in (True, False):
        theirs = transformers.VideoMAEModel(transformers.VideoMAEConfig(**shape, use_mean_pooling=mean_pool)).eval()
        theirs.save_pretrained(tmp_path)
        video = torch.randn(1, 3, 8, 32, 32)
        with torch.no_grad():
            expected = theirs(video.transpose(1, 2)).last_hidden_state
            assert torch.allclose(weights.load(tmp_path)(video), expected, atol=1e-5)


def test_a_deepspeed_folder(state, tmp_path):
    run, inner = tmp_path / "run", tmp_path / "run" / "global_step7"
    inner.mkdir(parents=True)
    torch.save({"module": state}, inner / "mp_rank_00_model_states.pt")
    torch.save({"optimizer_state_dict": {}}, inner / "bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt")
    torch.save({}, inner / "zero_pp_rank_0_mp_rank_00_optim_states.pt")
    (run / "latest").write_text("global_step7")
    (run / "zero_to_fp32.py").write_text("")
    assert same(weights.load(inner, CLIP), state) and same(weights.load(run, CLIP), state)
    torch.save({"module": {}}, inner / "zero_pp_rank_0_mp_rank_00_model_states.pt")
    with pytest.raises(WeightsError, match=r"put them together with .*zero_to_fp32\.py"):
        weights.load(inner)


def test_plain_values_beside_the_weights_are_no_danger(state, tmp_path):
    beside = {"best": np.float64(0.5), "steps": np.int64(3), "seen": [np.float32(1), np.bool_(True)], "out": pathlib.Path("/x/y"),
              "args": argparse.Namespace(where=pathlib.PurePosixPath("a"), lr=np.float32(1e-3))}  # fmt: skip
    assert same(load({"model": state} | beside, tmp_path), state)


class Told(Exception):
    pass


def _tell(*_):
    raise Told


class Payload:
    def __reduce__(self):
        return _tell, ()


@pytest.mark.parametrize("place", ["beside", "in a path", "in a number", "in the arguments"])
def test_nothing_else_is(state, tmp_path, place):
    hidden = {
        "beside": {"x": Payload()},
        "in a path": {"x": [pathlib.Path("/x"), Payload()]},
        "in a number": {"x": np.array(Payload(), dtype=object)},
        "in the arguments": {"args": argparse.Namespace(x=Payload())},
    }[place]
    with pytest.raises(WeightsError, match="refused, nothing in it was run") as error:
        load({"model": state} | hidden, tmp_path)
    assert "\n" not in str(error.value)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 344931234\n"


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors", "a.pth", "model.safetensors.index.json"])
def test_a_git_lfs_pointer_is_called_one(tmp_path, name):
    (tmp_path / name).write_text(POINTER)
    for source in (tmp_path, tmp_path / name):
        with pytest.raises(WeightsError, match=r"a Git LFS pointer, not the file itself; fetch it: git lfs"):
            weights.load(source)


def test_a_web_page_is_called_one(tmp_path):
    (tmp_path / "a.pth").write_text("<!DOCTYPE html><html>sign in</html>")
    with pytest.raises(WeightsError, match="a web page, not a checkpoint"):
        weights.load(tmp_path / "a.pth")


NONSENSE = [b"", b"{", b"[1]", b'"x"', b"3", b"\x80\x03binary", b"[" * 100_000]


@pytest.mark.parametrize("content", NONSENSE)
@pytest.mark.parametrize("name", ["config.json", "model.safetensors.index.json", "preprocessor_config.json"])
def test_nonsense_in_place_of_a_table_is_one_line(state, tmp_path, name, content):
    save_file({key: value.contiguous() for key, value in state.items()}, tmp_path / "model.safetensors")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=name) as error:
        weights.load(tmp_path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize(
    "places", [[], {}, {"head.bias": 3}, {"head.bias": None}, "x", {"head.bias": "none.safetensors"}]
)
def test_an_index_that_names_no_files_is_one_line(tmp_path, places):
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    with pytest.raises(WeightsError):
        weights.load(tmp_path)


@pytest.mark.parametrize("text", ["{", "[1]", "3"])
def test_nonsense_in_the_metadata_is_one_line(state, tmp_path, text):
    path = tmp_path / "model.safetensors"
    save_file({key: value.contiguous() for key, value in state.items()}, path, {"config": text})
    with pytest.raises(WeightsError, match="the config in its metadata is"):
        weights.load(path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_torchscript_archive_of_something_else(tmp_path):
    import pickle
    import zipfile

    for content in ([1, 2], {}, 3):
        with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
            archive.writestr("x/constants.pkl", pickle.dumps(()))
            archive.writestr("x/data.pkl", pickle.dumps(content))
        with pytest.raises(WeightsError, match=f"archive of a {type(content).__name__}, not of a model"):
            weights.load(tmp_path / "x.pt")


def test_hostile_names_and_shapes_are_one_line(state):
    huge = state | {"blocks.1000000000.norm1.weight": state["blocks.0.norm1.weight"]}
    with pytest.raises(WeightsError, match=r"missing: blocks\.2\."):
        weights.from_official(huge, CLIP)
    for key in state:
        for shape in ((), (0,), (3, 0, 2), (1, 1, 1, 1, 1, 1)):
            damaged = copy.copy(state) | {key: torch.zeros(shape)}
            with pytest.raises(WeightsError) as error:
                weights.from_official(damaged, CLIP)
            assert "\n" not in str(error.value)


METRICS = {"train_acc.tp": torch.zeros(5, dtype=torch.long), "val_loss.mean_value": torch.tensor(0.5)}


@pytest.mark.parametrize("prefix", ["net.", "model."])
def test_metrics_and_averages_beside_a_model_are_left_out_and_told(state, tmp_path, prefix):
    model = {prefix + key: value for key, value in state.items()}
    with pytest.warns(UserWarning, match="left out besides: train_acc, val_loss$"):
        assert same(load({"state_dict": model | METRICS}, tmp_path), state)
    averaged = {f"ema_model.module.{key}": value + 1 for key, value in state.items()}
    averaged |= {"ema_model.n_averaged": torch.tensor(3)}
    with pytest.warns(UserWarning, match="ema_model; entry='ema_model' takes that"):
        assert same(load({"state_dict": model | averaged}, tmp_path), state)


def test_layers_beside_a_model_are_named_and_not_left_out(state, tmp_path):
    content = {f"net.{key}": value for key, value in state.items()} | {"my_head.weight": torch.ones(5, 5)}
    with pytest.raises(WeightsError, match=r"most share a prefix, but not my_head\.weight") as error:
        load({"state_dict": content}, tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [{1: torch.ones(1), "a": torch.ones(1)}, {"model": {(1, 2): torch.ones(1)}}])
def test_keys_that_are_not_names_are_one_line(tmp_path, content):
    with pytest.raises(WeightsError, match="these are not: "):
        load(content, tmp_path)


def test_a_config_nested_without_end_is_one_line(state, tmp_path, monkeypatch):
    monkeypatch.setattr(sketch, "SMALL", 0)  # of a large file the header is looked at
    text = "[" * 100_000
    save_file({k: v.contiguous() for k, v in state.items()}, tmp_path / "x.safetensors", {"config": text})
    for read in (weights.load, sketch.sketch):
        with pytest.raises(UserError, match="recursion"):
            read(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    "made, told",
    [
        (lambda value: value.to("meta"), "saved on the meta device, without their numbers: norm.weight"),
        (lambda value: value.to(torch.complex64), "norm.weight is complex"),
        (lambda value: value.to_sparse(), "norm.weight is sparse"),
        (lambda value: value * float("nan"), "norm.weight holds NaN"),
        (lambda value: value.half() / 0, "norm.weight holds infinity"),
    ],
)
def test_what_is_no_finite_number_is_refused_by_name(state, tmp_path, made, told):
    name = next(key for key in state if "norm" in key and key.endswith("weight"))
    with pytest.raises(WeightsError, match=told.replace("norm.weight", name)):
        load(state | {name: made(state[name])}, tmp_path)
