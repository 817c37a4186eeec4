"""VideoMAE beside transformers' implementation: the same outputs from its weights, and from ours in its classes."""

import json

import pytest
import torch
from safetensors.torch import save_file

from ivcore import masking, weights
from ivcore.encoders.videomae import MaskedAutoencoder, VideoClassifier
from ivcore.losses.reconstruction import reconstruction, targets
from ivcore.weights import WeightsError
from ivcore.weights.videomae import to_transformers

SHAPE = {"image_size": 32, "patch_size": 8, "num_frames": 8, "hidden_size": 64, "num_hidden_layers": 2}
SHAPE |= {"num_attention_heads": 2, "intermediate_size": 256, "decoder_hidden_size": 32, "decoder_num_hidden_layers": 2}
SHAPE |= {"decoder_num_attention_heads": 2, "decoder_intermediate_size": 128, "layer_norm_eps": 1e-6}


def theirs(kind, **options):
    import transformers

    torch.manual_seed(0)
    model = getattr(transformers, kind)(transformers.VideoMAEConfig(**SHAPE, **options)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, mean=float(parameter.dim() == 1), std=0.15)
    return model


@pytest.fixture()
def clip():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 3, 8, 32, 32, generator=generator), masking.tube(2, (4, 4, 4), 0.75, generator)


PRECISIONS = [(torch.float32, 1e-4), (torch.bfloat16, 5e-2)]


@pytest.mark.parametrize("dtype, tolerance", PRECISIONS)
@pytest.mark.parametrize("final_norm", [True, False])
def test_pretraining_equals_transformers(clip, close, dtype, tolerance, final_norm):
    reference = theirs("VideoMAEForPreTraining", use_mean_pooling=not final_norm)
    ours = weights.from_official(reference.state_dict(), SHAPE).to(dtype)
    video, mask = clip[0].to(dtype), clip[1]
    with torch.no_grad():
        expected = reference.to(dtype)(video.transpose(1, 2), bool_masked_pos=mask)
        predictions = ours(video, mask)
        close(predictions.float(), expected.logits.float(), tolerance)
        close(reconstruction(predictions, targets(video, masking.split(mask)[1], 8)), expected.loss.float(), tolerance)


@pytest.mark.parametrize("dtype, tolerance", PRECISIONS)
@pytest.mark.parametrize("mean_pool", [True, False])
def test_classifier_equals_transformers(clip, close, dtype, tolerance, mean_pool):
    reference = theirs("VideoMAEForVideoClassification", num_labels=5, use_mean_pooling=mean_pool)
    ours = weights.from_official(reference.state_dict(), SHAPE).to(dtype)
    video = clip[0].to(dtype)
    with torch.no_grad():
        close(ours(video).float(), reference.to(dtype)(video.transpose(1, 2)).logits.float(), tolerance)


def test_attention_equals_transformers(clip, close):
    reference = theirs("VideoMAEForVideoClassification", num_labels=5)
    reference.set_attn_implementation("eager")
    ours = weights.from_official(reference.state_dict(), SHAPE)
    with torch.no_grad():
        expected = reference(clip[0].transpose(1, 2), output_attentions=True).attentions
        _, seen = ours(clip[0], return_intermediates=("attention",))
    for mine, published in zip(seen["attention"], expected, strict=True):
        close(mine, published)


def test_bias_names_of_older_files(clip):
    state = theirs("VideoMAEForVideoClassification", num_labels=5).state_dict()
    old = {k.replace("query.bias", "q_bias").replace("value.bias", "v_bias"): v for k, v in state.items()}
    assert torch.equal(weights.from_official(old, SHAPE)(clip[0]), weights.from_official(state, SHAPE)(clip[0]))


def test_a_missing_projection_is_named():
    state = theirs("VideoMAEForVideoClassification", num_labels=5).state_dict()
    del state["videomae.encoder.layer.1.attention.attention.key.weight"]
    with pytest.raises(WeightsError, match=r"missing: key weight of encoder\.blocks\.1"):
        weights.from_official(state, SHAPE)


def small(cls, *args, **kwargs):
    torch.manual_seed(2)
    size = {"heads": 2, "width": 64, "depth": 2, "decoder_width": 32, "decoder_heads": 2}
    return cls("tiny", *args, **size, **kwargs).eval()


@pytest.mark.parametrize("kind", ["pretraining", "classifier", "classifier without mean"])
def test_exported_folder_loads_in_transformers_and_here(clip, close, tmp_path, kind):
    import transformers

    mean_pool = (
        {} if kind == "pretraining" else {"num_classes": 5, "mean_pool": kind == "classifier", "init_scale": 1.0}
    )
    ours = small(MaskedAutoencoder if kind == "pretraining" else VideoClassifier, **mean_pool)
    state, config = to_transformers(ours)
    save_file(
        {key: value.contiguous() for key, value in state.items()}, tmp_path / "model.safetensors", {"format": "pt"}
    )
    (tmp_path / "config.json").write_text(json.dumps(config))
    reference, report = getattr(transformers, config["architectures"][0]).from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
    back = weights.load(tmp_path)
    with torch.no_grad():
        if kind == "pretraining":
            expected = reference.eval()(clip[0].transpose(1, 2), bool_masked_pos=clip[1]).logits
            close(ours(*clip), expected)
            assert torch.equal(back(*clip), ours(*clip))
        else:
            close(ours(clip[0]), reference.eval()(clip[0].transpose(1, 2)).logits)
            assert torch.equal(back(clip[0]), ours(clip[0]))


def test_a_classifier_that_transformers_saved_loads_whatever_its_config_says_of_a_decoder(clip, close, tmp_path):
    """config.json of a published classifier names the heads of a decoder that the file does not have."""
    reference = theirs("VideoMAEForVideoClassification", num_labels=5)
    reference.config.decoder_hidden_size, reference.config.decoder_num_attention_heads = 384, 6
    reference.save_pretrained(tmp_path)
    with torch.no_grad():
        close(weights.load(tmp_path)(clip[0]), reference(clip[0].transpose(1, 2)).logits)


def test_what_transformers_lacks_is_not_exported():
    with pytest.raises(WeightsError, match="neither layer scale"):
        to_transformers(small(VideoClassifier, num_classes=5, init_values=0.1))
    with pytest.raises(WeightsError, match="a resized one cannot be exported"):
        to_transformers(small(VideoClassifier, num_classes=5).resize_positions(16, 32))
