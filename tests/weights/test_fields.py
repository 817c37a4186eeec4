"""Configurations: every field that makes another model is honoured or refused by name, and nonsense is one line."""

import json
import warnings

import pytest
import torch
from safetensors.torch import save_file

from ivcore import weights
from ivcore.encoders.build import size_of, video_text_model
from ivcore.encoders.clip import Clip, ImageEncoder, TextEncoder
from ivcore.encoders.positions import resize, sine_cosine
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.videomae import MaskedAutoencoder, VideoClassifier
from ivcore.errors import ParameterError
from ivcore.heads.classifier import classifier
from ivcore.train import save_weights
from ivcore.weights import WeightsError

VIDEOMAE = {"image_size": 32, "patch_size": 8, "num_frames": 8, "hidden_size": 64, "num_hidden_layers": 2}
VIDEOMAE |= {"num_attention_heads": 2, "intermediate_size": 256, "num_labels": 5}


def scattered(model):
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        parameter.data.normal_(float(parameter.dim() == 1), 0.15, generator=generator)
    return model.eval()


def videomae(**fields):
    import transformers

    config = transformers.VideoMAEConfig(**VIDEOMAE | fields)
    return scattered(transformers.VideoMAEForVideoClassification(config))


HONOURED = [
    {"num_attention_heads": 4},
    {"layer_norm_eps": 0.05},
    {"layer_norm_eps": 1e-12},
    {"num_frames": 4},
    {"image_size": 16},
    {"tubelet_size": 4},
    {"patch_size": 4},
    {"use_mean_pooling": False},
    {"qv_bias": False},
    {"intermediate_size": 192},
    {"hidden_act": "gelu"},
    {"hidden_dropout_prob": 0.3, "attention_probs_dropout_prob": 0.2, "initializer_range": 0.5, "norm_pix_loss": False},
]


@pytest.mark.parametrize("fields", HONOURED, ids=str)
def test_what_videomaes_config_says_is_honoured(close, tmp_path, fields):
    reference = videomae(**fields)
    reference.save_pretrained(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = weights.load(tmp_path)
    video = torch.randn(2, 3, *ours.clip, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        close(ours(video), reference(video.transpose(1, 2)).logits)


def test_an_odd_epsilon_stays_through_files_and_fine_tuning(tmp_path):
    videomae(layer_norm_eps=0.05).save_pretrained(tmp_path / "theirs")
    model = classifier(weights.load(tmp_path / "theirs"), 3)
    save_weights(model, tmp_path / "model.safetensors", model.config)
    back = weights.load(tmp_path / "model.safetensors")
    assert model.blocks[0].norm1.eps == back.blocks[1].norm2.eps == 0.05


REFUSED = {
    "hidden_act": "relu",
    "qv_bias": False,
    "use_mean_pooling": False,
    "tubelet_size": 4,
    "patch_size": 16,
    "num_hidden_layers": 1,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_channels": 1,
    "num_attention_heads": 3,
    "layer_norm_eps": "small",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_file_is_not_is_refused_by_name(tmp_path, name):
    reference = videomae()
    reference.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {name: REFUSED[name]}))
    with pytest.raises(WeightsError, match="heads 3" if "heads" in name else f"{name}: {REFUSED[name]!r}, must be"):
        weights.load(tmp_path)


def test_what_is_not_known_is_told(tmp_path):
    reference = videomae()
    reference.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"rotary": True, "unused": None, "off": False}))
    with pytest.warns(UserWarning, match="not known here were ignored: rotary$"):
        weights.load(tmp_path)


# --- CLIP --------------------------------------------------------------------------------------------------------------

TEXT = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 60,
        "max_position_embeddings": 10, "projection_dim": 16, "eos_token_id": 59, "bos_token_id": 58}  # fmt: skip
VISION = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 16,
          "patch_size": 8, "projection_dim": 16}  # fmt: skip
TOWERS = [
    ({}, {}),
    ({"hidden_act": "gelu"}, {"hidden_act": "gelu"}),
    ({"hidden_act": "gelu"}, {}),
    ({}, {"hidden_act": "gelu"}),
    ({"num_attention_heads": 4}, {"num_attention_heads": 1}),
    ({"eos_token_id": 7}, {}),
    ({"eos_token_id": 2}, {}),
]


@pytest.mark.parametrize("text, vision", TOWERS, ids=str)
def test_what_clips_config_says_is_honoured(close, tmp_path, text, vision):
    import transformers

    towers = {"text_config": TEXT | {"intermediate_size": 256} | text, "vision_config": VISION | vision}
    reference = scattered(transformers.CLIPModel(transformers.CLIPConfig(**towers, projection_dim=16)))
    reference.save_pretrained(tmp_path / "theirs")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = weights.load(tmp_path / "theirs")
    save_weights(ours, tmp_path / "model.safetensors", ours.config)
    images, ids = (
        torch.randn(2, 3, 16, 16),
        torch.tensor([[58, 3, 7, 5, 59, 0, 0, 0, 0, 0], [58, 7, 4, 59, 0, 0, 0, 0, 0, 0]]),
    )
    for model in (ours, weights.load(tmp_path / "model.safetensors")):
        with torch.no_grad():
            expected = reference(input_ids=ids, pixel_values=images)
            close(torch.nn.functional.normalize(model.encode_image(images), dim=-1), expected.image_embeds)
            close(torch.nn.functional.normalize(model.encode_text(ids), dim=-1), expected.text_embeds)


def small_clip(quick_gelu=True):
    torch.manual_seed(0)
    vision = ImageEncoder(16, 64, 2, 1, 8, 16, quick_gelu=quick_gelu)
    return scattered(Clip(vision, TextEncoder(16, 64, 2, 1, 10, 60, quick_gelu=quick_gelu)))


def published(model):
    return {key.removeprefix("text."): value for key, value in model.state_dict().items()}


NOT_A_CLIP = [
    ("hidden_act", {"vision_config": {"hidden_act": "relu"}}),
    ("layer_norm_eps", {"text_config": {"layer_norm_eps": 1e-3}}),
    ("patch_size", {"vision_config": {"patch_size": 16}}),
    ("timm_model_name", {"model_cfg": {"vision_cfg": {"timm_model_name": "vit"}}}),
    ("image_size", {"model_cfg": {"vision_cfg": {"image_size": 224}}}),
    ("hf_model_name", {"model_cfg": {"text_cfg": {"hf_model_name": "roberta"}}}),
    ("pool_type", {"model_cfg": {"text_cfg": {"pool_type": "last"}}}),
    ("quick_gelu", {"model_cfg": {"quick_gelu": "yes"}}),
    ("model_cfg", {"model_cfg": 3}),
    ("quick_gelu", {"quick_gelu": 1}),
    ("vision_heads", {"vision_heads": 7}),
]


@pytest.mark.parametrize("name, config", NOT_A_CLIP, ids=str)
def test_what_a_clip_is_not_is_refused_by_name(name, config):
    with pytest.raises(WeightsError, match=rf"{name}: .*, must be"):
        weights.from_official(published(small_clip()), config)


def test_open_clips_activation_goes_along_into_the_video_model(close, tmp_path):
    """A CLIP with GELU begins a video-text model that has GELU too, and keeps it in its file."""
    for quick in (True, False):
        state = published(small_clip(quick))
        clip = weights.from_official(state, {"model_cfg": {"quick_gelu": True} if quick else {"vision_cfg": {}}})
        model = video_text_model(size_of(clip, global_layers=1), clip).eval()
        save_weights(model, tmp_path / "model.safetensors", model.config)
        image, ids = torch.randn(1, 3, 16, 16), torch.tensor([[58, 3, 59, 0, 0, 0, 0, 0, 0, 0]])
        for one in (model, weights.load(tmp_path / "model.safetensors", {"vision_heads": 1, "transformer_heads": 1})):
            with torch.no_grad():
                close(one.encode_text(ids), clip.encode_text(ids))
                # half of the class token's time mean, before the norm that follows: the norm forgets the half
                close(one.encode_video(image[:, :, None]), clip.encode_image(image), 1e-3)


def test_what_is_no_clip_is_named():
    with pytest.raises(ParameterError, match="clip: holds a VideoClassifier, must be CLIP"):
        size_of(VideoClassifier("tiny", 3, depth=1))


# --- clips of another size than the file says --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [MaskedAutoencoder, VideoClassifier])
def test_other_clips_than_the_file_says_are_met_by_interpolation(tmp_path, kind):
    model = kind("tiny", depth=1)
    save_weights(model, tmp_path / "model.safetensors", model.config)
    loaded = weights.load(tmp_path / "model.safetensors", {"num_frames": 16, "image_size": 48})
    table = getattr(loaded, "encoder", loaded).pos_embed
    assert torch.equal(table, resize(sine_cosine(64, 128), (4, 4, 4), (8, 6, 6)))
    assert loaded.config["resized_to"] == [16, 48, 48]


def test_a_file_that_says_nothing_is_taken_at_the_callers_word():
    state = MaskedAutoencoder("tiny", depth=1).encoder.state_dict()
    assert weights.from_official(state, {"num_frames": 4, "img_size": 16, "num_heads": 4}).pos_embed.shape == (
        1,
        8,
        128,
    )


# --- nonsense ----------------------------------------------------------------------------------------------------------

VALUES = [0, -1, 7, 1e9, 10**6, "x", [], {}, True, [[0, 0]], float("nan"), 2.5]


def models():
    tower = UniFormerV2(64, 2, 2, 8, 16, 5, (1,))
    return {
        "autoencoder": MaskedAutoencoder("tiny", depth=1),
        "classifier": VideoClassifier("tiny", 5, depth=1),
        "uniformerv2": tower,
    }


@pytest.mark.parametrize("name", ["autoencoder", "classifier", "uniformerv2"])
def test_nonsense_in_a_config_is_one_line(tmp_path, name):
    model, path = models()[name], tmp_path / "model.safetensors"
    for field in model.config:
        for value in VALUES:
            save_file(model.state_dict(), path, {"config": json.dumps(model.config | {field: value})})
            with pytest.raises((WeightsError, ParameterError)) as error:
                weights.load(path)
            assert "\n" not in str(error.value) and len(str(error.value)) < 300


def test_nonsense_in_a_coordinated_config_is_one_line(tmp_path):
    from ivcore.cma import Coordinated

    torch.manual_seed(0)
    shape = {"width": 32, "depth": 2, "heads": 2, "image": 16, "frames": 4}
    model = Coordinated(
        VideoClassifier("tiny", 3, **shape), UniFormerV2(24, 2, 2, 8, 16, 3, (0, 1)), stages=2, frames=4
    )
    for field, sound in model.config["coordinated"].items():
        for value in ("x", [[0]], {"a": 1}, -(10**9)):
            if value == sound or (field == "placement" and value == []):
                continue
            config = model.config | {"coordinated": model.config["coordinated"] | {field: value}}
            save_file(model.state_dict(), tmp_path / "m.safetensors", {"config": json.dumps(config)})
            with pytest.raises((WeightsError, ParameterError)) as error:
                weights.load(tmp_path / "m.safetensors")
            assert "\n" not in str(error.value)
