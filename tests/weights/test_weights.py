"""Published checkpoints: every layout is recognised, every tensor accounted for, nothing is run."""

import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ivcore import weights
from ivcore.encoders.clip import Clip, ImageEncoder, TextEncoder
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.video_text import VideoTextModel
from ivcore.encoders.videomae import MaskedAutoencoder, MaskedVideoEncoder, VideoClassifier
from ivcore.weights import WeightsError


def checkpoint_keys(entry):
    """Key -> shape of a published checkpoint, from the compact table."""
    shapes = {}
    for key, shape in entry["keys"].items():
        for i in range(shape[0]) if "{i}" in key else [None]:
            shapes[key.replace("{i}", str(i))] = tuple(shape[1:] if "{i}" in key else shape)
    return shapes


PUBLISHED = [
    "videomae_pretrain_base",
    "videomae_pretrain_large",
    "videomae_pretrain_huge",
    "videomae_finetune_base_k400",
    "videomae_finetune_large_k400",
    "videomae_finetune_huge_k400",
    "uniformerv2_b16_k400_f8x224",
    "uniformerv2_l14_k400_f8x224",
    "uniformerv2_l14_336_k400_f8x336",
    "uniformerv2_b16_k400_f8x224_frozen_variant",
    "uniformerv2_b16_ssv2_f16x224",
    "uniformerv2_l14_ssv2_f16x224",
    "internvideo_mm_b16",
    "internvideo_mm_b16_caption_decoder",
    "internvideo_mm_l14",
    "internvideo_mm_l14_caption_decoder",
]


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_size_loads_from_shapes_alone_with_its_parameter_count(golden, name):
    entry = golden("checkpoints.json")[name]
    shapes = checkpoint_keys(entry)
    assert len(shapes) == entry["n_keys"]
    state = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    model = weights.from_official(state)
    assert sum(p.numel() for p in model.parameters()) == entry["n_parameters"]
    ours = model.state_dict()
    assert len(ours) == entry["n_keys"]
    assert sorted(tuple(v.shape) for v in ours.values()) == sorted(shapes.values())


def test_heads_and_layers_of_published_sizes_are_inferred(golden):
    for name, heads, layers in [("b16_k400_f8x224", 12, (8, 9, 10, 11)), ("l14_ssv2_f16x224", 16, tuple(range(8, 24)))]:
        entry = golden("checkpoints.json")[f"uniformerv2_{name}"]
        state = {key: torch.empty(shape, device="meta") for key, shape in checkpoint_keys(entry).items()}
        model = weights.from_official(state)
        assert model.transformer.resblocks[0].attn.heads == heads and model.transformer.global_layers == layers
        assert model.conv1.stride[0] == (2 if "ssv2" in name else 1)


# --- small models to damage ------------------------------------------------------------------------------------------


def tiny_models():
    torch.manual_seed(0)
    clip = Clip(ImageEncoder(16, 64, 2, 1, 8, 16), TextEncoder(16, 64, 2, 1, 8, 30))
    tower = UniFormerV2(64, 2, 1, 8, 16, 0, (1,))
    return {
        "masked autoencoder": MaskedAutoencoder("tiny", decoder_heads=1, heads=2, depth=2),
        "classifier": VideoClassifier("tiny", num_classes=5, heads=2, depth=2),
        "uniformerv2": UniFormerV2(64, 2, 1, 8, 16, 5, (1,), local=True),
        "clip": clip,
        "video-text": VideoTextModel(tower, TextEncoder(16, 64, 2, 1, 8, 30, mask_embedding=True), 16),
    }


CLIP_SIZE = {"img_size": 32, "num_frames": 8}  # of VideoMAE's tiny models: shapes cannot tell


def published(model):
    """Our state dict under published names: text encoders stand at the root."""
    return {key.removeprefix("text."): value for key, value in model.state_dict().items()}


NAMES = ["masked autoencoder", "classifier", "uniformerv2", "clip", "video-text"]


@pytest.fixture(scope="module")
def models():
    return tiny_models()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ending", [".safetensors", ".pt"])
def test_a_file_comes_back_as_the_same_model(models, tmp_path, name, ending):
    path = tmp_path / f"model{ending}"
    state = {key: value.contiguous() for key, value in published(models[name]).items()}
    save_file(state, path) if ending == ".safetensors" else torch.save(state, path)
    loaded = weights.load(path, CLIP_SIZE)
    assert type(loaded) is type(models[name]) and not loaded.training
    assert all(torch.equal(value, models[name].state_dict()[key]) for key, value in loaded.state_dict().items())
    assert loaded.state_dict().keys() == models[name].state_dict().keys()


@pytest.mark.parametrize("wrapper", ["model", "module", "state_dict", "model_state"])
@pytest.mark.parametrize("prefix", ["", "module.", "backbone."])
def test_wrappers_and_prefixes_are_seen_through(models, tmp_path, wrapper, prefix):
    state = {prefix + key: value for key, value in published(models["classifier"]).items()}
    from argparse import Namespace

    torch.save({wrapper: state, "epoch": 3, "args": Namespace(lr=1e-3)}, tmp_path / "checkpoint.pth")
    assert isinstance(weights.load(tmp_path / "checkpoint.pth"), VideoClassifier)


def test_an_encoder_alone_is_an_encoder(models):
    state = {
        key: value for key, value in models["masked autoencoder"].state_dict().items() if key.startswith("encoder.")
    }
    state.pop("encoder_to_decoder.weight", None)
    assert isinstance(weights.from_official(state), MaskedVideoEncoder)


def test_half_precision_files_become_float32_and_the_callers_tensors_stay_his(models):
    state = {key: value.half() for key, value in published(models["clip"]).items()}
    loaded = weights.from_official(state)
    assert all(p.dtype == torch.float32 for p in loaded.parameters())
    full = published(models["clip"])
    copy = weights.from_official(full)
    with torch.no_grad():
        copy.logit_scale.add_(1)
    assert full["logit_scale"] != copy.logit_scale


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", ["missing", "extra", "misshapen", "not a tensor"])
def test_damage_is_named_in_one_sentence(models, name, damage):
    state = dict(published(models[name]))
    victim = next(key for key in state if key.endswith(("blocks.1.norm2.weight", "resblocks.1.ln_2.weight")))
    if damage == "missing":
        del state[victim]
    elif damage == "extra":
        state["surprise.weight"] = torch.zeros(3)
        victim = "surprise.weight"
    elif damage == "misshapen":
        state[victim] = torch.zeros(7)
    else:
        state[victim] = "text"
    with pytest.raises(WeightsError) as error:
        weights.from_official(state, CLIP_SIZE)
    assert victim in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 300


# published variants without these exist: no words to mask; frozen, so nothing to balance
OPTIONAL = {
    ("video-text", "text_mask_embedding"),
    ("uniformerv2", "transformer.balance"),
    ("video-text", "visual.transformer.balance"),
}


@pytest.mark.parametrize("name", NAMES)
def test_every_single_missing_tensor_is_noticed(models, name):
    whole = published(models[name])
    for key in whole:
        if (name, key) not in OPTIONAL:
            with pytest.raises(WeightsError) as error:
                weights.from_official({k: v for k, v in whole.items() if k != key}, CLIP_SIZE)
            assert key in str(error.value)


def test_unknown_layouts_are_refused_with_their_keys():
    with pytest.raises(WeightsError, match=r"not a layout that is known; its keys are conv1\.weight, fc\.bias"):
        weights.from_official({"conv1.weight": torch.zeros(1), "fc.bias": torch.zeros(1)})
    with pytest.raises(WeightsError, match="holds no state dict, but dict"):
        weights.from_official({})


class Payload:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("ending", [".pt", ".bin", ".safetensors", ".pyth"])
def test_a_pickle_with_a_payload_is_refused_and_does_not_run(models, tmp_path, ending):
    target = tmp_path / "ran"
    content = {"model": published(models["classifier"]), "surprise": Payload(target)}
    for name, write in {"new": torch.save, "old": lambda c, p: p.write_bytes(pickle.dumps(c, protocol=2))}.items():
        path = tmp_path / f"{name}{ending}"
        write(content, path)
        with pytest.raises(WeightsError) as error:
            weights.load(path)
        assert "\n" not in str(error.value) and str(path) in str(error.value)
        assert not target.exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04broken zip"])
@pytest.mark.parametrize("ending", [".pt", ".safetensors"])
def test_files_that_are_no_checkpoints(tmp_path, content, ending):
    path = tmp_path / f"file{ending}"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=str(path)):
        weights.load(path)


def test_missing_files_and_names_that_need_the_network(tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match="no such file or folder"):
        weights.load(tmp_path / "nothing.pt")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match="offline, download it elsewhere and give the path") as error:
        weights.load("OpenGVLab/InternVideo1.0")
    assert "\n" not in str(error.value)


def test_folders_with_shards_and_with_one_file(models, tmp_path):
    state = {key: value.contiguous() for key, value in published(models["classifier"]).items()}
    save_file(state, tmp_path / "anything.safetensors")
    assert isinstance(weights.load(tmp_path), VideoClassifier)
    (tmp_path / "anything.safetensors").unlink()
    names = sorted(state)
    parts = {"a.safetensors": names[:20], "b.safetensors": names[20:]}
    for file, keys in parts.items():
        save_file({key: state[key] for key in keys}, tmp_path / file)
    places = {key: file for file, keys in parts.items() for key in keys}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    assert isinstance(weights.load(tmp_path), VideoClassifier)
    index.write_text(json.dumps({"weight_map": places | {"head.weight": "../elsewhere.safetensors"}}))
    with pytest.raises(WeightsError, match="names a file outside its folder"):
        weights.load(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_a_run_folder_gives_back_what_was_trained(models, tmp_path, name):
    from ivcore.train import save_weights

    model = models[name].eval()
    (tmp_path / "checkpoints").mkdir()
    save_weights(model, tmp_path / "checkpoints" / "model.safetensors", model.config)
    loaded = weights.load(tmp_path)
    assert loaded.config == model.config and type(loaded) is type(model)
    clip, ids = torch.randn(1, 3, 8, 32, 32), torch.tensor([[28, 3, 29]])
    if name == "masked autoencoder":
        inputs = clip, torch.arange(64)[None] % 2 == 0
    else:
        inputs = {
            "classifier": (clip,),
            "clip": (clip[:, :, 0, :16, :16], ids),
            "uniformerv2": (clip[..., :16, :16],),
        }.get(name, (clip[..., :16, :16], ids))
    assert torch.equal(loaded(*inputs), model(*inputs))


def test_a_resized_classifier_comes_back_resized(models, tmp_path):
    from ivcore.train import save_weights

    model = VideoClassifier("tiny", 5, heads=2, depth=2).eval().resize_positions(12, 48)
    save_weights(model, tmp_path / "model.safetensors", model.config)
    loaded = weights.load(tmp_path / "model.safetensors")
    assert torch.equal(loaded.pos_embed, model.pos_embed) and loaded.grid == (6, 6, 6)


def test_empty_and_ambiguous_folders(tmp_path):
    with pytest.raises(WeightsError, match="no checkpoint in"):
        weights.load(tmp_path)
    for name in "ab":
        torch.save({}, tmp_path / f"{name}.pt")
    with pytest.raises(WeightsError, match=r"found a\.pt, b\.pt"):
        weights.load(tmp_path)


# --- TorchScript, OpenAI's form --------------------------------------------------------------------------------------


class Scripted(torch.nn.Module):
    """Just the tensors of a CLIP model, under its names, as a module that TorchScript can save."""

    def __init__(self, state):
        super().__init__()
        for key, value in state.items():
            *path, name = key.split(".")
            place = self
            for part in path:
                if not hasattr(place, part):
                    place.add_module(part, torch.nn.Module())
                place = getattr(place, part)
            place.register_parameter(name, torch.nn.Parameter(value.half()))
        self.register_buffer("input_resolution", torch.tensor(16))

    def forward(self, x):
        return x


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_torchscript_archive_gives_its_tensors_without_its_code(models, tmp_path):
    path = tmp_path / "ViT-T-8.pt"
    torch.jit.save(torch.jit.script(Scripted(published(models["clip"]))), path)
    loaded = weights.load(path)
    assert isinstance(loaded, Clip)
    expected = models["clip"].state_dict()
    assert all(torch.equal(value, expected[key].half().float()) for key, value in loaded.state_dict().items())


def test_a_torchscript_archive_with_a_payload_is_refused(models, tmp_path):
    import zipfile

    target, path = tmp_path / "ran", tmp_path / "clip.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("clip/constants.pkl", pickle.dumps(()))
        archive.writestr("clip/data.pkl", pickle.dumps(Payload(target)))
    with pytest.raises(WeightsError, match=r"refused, nothing in it was run: .*system is not part of"):
        weights.load(path)
    assert not target.exists()


def test_a_torchscript_archive_cannot_reach_outside_its_tensors(tmp_path):
    """as_strided over a storage that is too small raises instead of reading other memory."""
    from ivcore.weights.torchscript import _rebuild_tensor

    with pytest.raises(RuntimeError):
        _rebuild_tensor(torch.zeros(4), 0, (100,), (1,))


def test_the_fixtures_stay_small():
    assert sum(file.stat().st_size for file in (Path(__file__).parents[1] / "golden").iterdir()) < 4_000_000
