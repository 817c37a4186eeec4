"""How a model is used on videos is in its file; what a file does not say, the model and the published sampling say."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from ivcore import weights
from ivcore.cma import Coordinated
from ivcore.encoders.caption_decoder import PlainCaptionDecoder
from ivcore.encoders.clip import TextEncoder
from ivcore.encoders.tokenizer import Tokenizer
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.video_text import VideoTextModel
from ivcore.encoders.videomae import MaskedAutoencoder, VideoClassifier
from ivcore.train import save_weights
from ivcore.weights import usage
from ivcore.weights.usage import Usage

SMALL = {"width": 16, "depth": 2, "heads": 2, "frames": 4, "image": 16, "patch": 8}
NAMES = ["slide left", "größer, breit", "走る"]


def masked():
    return VideoClassifier("tiny", 3, **SMALL)


def multimodal():
    return UniFormerV2(16, 2, 2, 8, 16, 3, (1,))


def video_text(words=600):
    return VideoTextModel(UniFormerV2(16, 2, 2, 8, 16, 0, (1,)), TextEncoder(12, 16, 2, 2, 8, words), 12)


MODELS = {
    "10": (lambda: MaskedAutoencoder("tiny", **SMALL), {"num_frames": 4, "sampling_rate": 2, "image_size": 16}, ()),
    "12": (multimodal, {"num_frames": 6, "frame_sampling": "segment_shared", "sampling_rate": 2, "image_size": 16, "test_clips": 2}, NAMES),
    "13": (lambda: Coordinated(masked(), multimodal(), stages=2, frames=6),
           {"masked_frames": 4, "multimodal_frames": 6, "sampling_rate": 3, "clip_seconds": 2.5, "image_size": 16, "test_crops": 3}, NAMES),
    "30": (masked, {"num_frames": 4, "sampling_rate": 2, "image_size": 16, "frame_order": "shuffled"}, NAMES),
}  # fmt: skip


def saved(path, model, used: Usage):
    return save_weights(model, path, model.config | used.saved(model))


@pytest.mark.parametrize("name", MODELS)
def test_the_usage_of_a_run_comes_back_from_its_file(tmp_path, recwarn, name):
    build, params, names = MODELS[name]
    model = build()
    used = usage.of_run(params, model, names)
    file = saved(tmp_path / "run" / "checkpoints" / "model.safetensors", model, used)
    for source in (file, tmp_path / "run", file.parent):
        loaded = weights.load(source)
        assert usage.of(source, loaded) == used and loaded.config == model.config
    assert not recwarn.list, "a field of its own is not warned of"
    assert used.known and used.classes == tuple(names) and used.num_frames == 6 - 2 * (name != "12")
    with safe_open(file, "pt") as opened:
        assert list(opened.metadata()) == ["config"]  # one entry: equal models are equal files


def test_the_views_are_those_that_data_views_takes():
    used = Usage(32, 8, "segment", 2, 4, 3, 2, clip_seconds=3.0)
    wanted = {
        "num_frames": 8,
        "stride": 2,
        "seconds": 3.0,
        "size": 32,
        "segment": True,
        "num_segments": 4,
        "num_clips": 3,
        "num_crops": 2,
    }
    assert used.views() == wanted and not Usage(32, 8).views()["segment"]


def test_a_tokenizer_comes_along_and_is_the_same(tmp_path):
    tokenizer = Tokenizer.for_texts(["a red square slides left"], 8)
    model = video_text(tokenizer.vocabulary)
    used = usage.of_run({"num_frames": 4, "frame_sampling": "segment"}, model, tokenizer=tokenizer)
    file = saved(tmp_path / "model.safetensors", model, used)
    again = Tokenizer(**usage.of(file, weights.load(file)).tokenizer)
    assert used.image_size == 16 and again.encode("a square of glass") == tokenizer.encode("a square of glass")


def test_normalisation_says_what_prepare_does():
    clips = torch.randint(0, 256, (1, 2, 4, 4, 3), dtype=torch.uint8)
    for model in (masked(), multimodal(), video_text()):
        told = usage.normalisation(model)
        mean, std = (torch.tensor(told[name]) for name in ("image_mean", "image_std"))
        by_hand = ((clips / 255 - mean) / std).permute(0, 4, 1, 2, 3)
        assert torch.allclose(model.prepare(clips), by_hand, atol=1e-3)
    both = usage.normalisation(Coordinated(masked(), multimodal(), stages=2))
    assert both["masked"] != both["multimodal"] == usage.normalisation(multimodal())


def test_what_a_file_does_not_say_is_published(tmp_path):
    models = {"masked": masked(), "multimodal": multimodal(), "both": Coordinated(masked(), multimodal(), stages=2)}
    models["text"] = video_text()
    got = {}
    for name, model in models.items():
        file = save_weights(model, tmp_path / f"{name}.safetensors", model.config)
        got[name] = usage.of(file, weights.load(file))
    assert got["masked"] == Usage(16, 4, "dense", 4, known=False)
    assert got["multimodal"] == got["text"] == Usage(16, 8, "segment", known=False)
    assert got["both"].multimodal_frames == 8 and got["both"].num_frames == 4
    decoder = PlainCaptionDecoder(32, 64, 64, 1, 4, 30)
    file = save_weights(decoder, tmp_path / "decoder.safetensors", decoder.config)
    with pytest.raises(weights.WeightsError, match=r"decoder\.safetensors: holds a PlainCaptionDecoder, which alone"):
        usage.of(file, weights.load(file))


def test_class_names_as_transformers_writes_them(tmp_path):
    model = masked()
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    for table, names in (({"0": "run", "1": "sit", "2": "go"}, ("run", "sit", "go")),
                         ({str(i): f"LABEL_{i}" for i in range(3)}, ()), ({"0": "run"}, ())):  # fmt: skip
        (tmp_path / "config.json").write_text(json.dumps(model.config | {"id2label": table}))
        assert usage.of(tmp_path, weights.load(tmp_path)).classes == names


@pytest.mark.parametrize("name", ["12", "13"])
def test_nonsense_in_a_usage_is_one_line_that_names_the_field(tmp_path, name):
    build, params, names = MODELS[name]
    model, path = build(), tmp_path / "m.safetensors"
    whole = usage.of_run(params, model, names).saved(model)["usage"]
    for field in (*(key for key in whole if key != "normalisation"), "tokenizer"):
        for value in ("x", -1, ["a"], {"context": "x"}, 10**9):
            if field == "tokenizer" and value == 10**9:
                continue
            save_weights(model, path, model.config | {"usage": whole | {field: value}})
            with pytest.raises(weights.WeightsError, match=rf"config: usage\.{field}") as error:
                usage.of(path, weights.load(path))
            assert "\n" not in str(error.value)
    del whole["num_frames"]
    save_weights(model, path, model.config | {"usage": whole})
    with pytest.raises(weights.WeightsError, match=r"usage\.num_frames: None, must be given"):
        usage.of(path, weights.load(path))
