"""Either pretrained encoder becomes a classifier that keeps what it has learned."""

import pytest
import small_video_text
import torch

from ivcore import weights
from ivcore.encoders.positions import resize, sine_cosine
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.videomae import MaskedAutoencoder, MaskedVideoEncoder, VideoClassifier
from ivcore.errors import ParameterError
from ivcore.heads.classifier import classifier, masked_encoder
from ivcore.train import save_weights

SHAPE = {"width": 32, "depth": 2, "heads": 2, "image": 16, "frames": 4}


def test_a_masked_autoencoder_gives_its_encoder_and_a_fresh_head():
    pretrained = MaskedAutoencoder("tiny", **SHAPE)
    model = classifier(pretrained, 5, drop_path=0.2, head_drop=0.5, frames=8, image=32)
    assert model(torch.zeros(2, 3, 8, 32, 32)).shape == (2, 5) and model.head_drop.p == 0.5
    assert torch.equal(model.blocks[1].attn.qkv.weight, pretrained.encoder.blocks[1].attn.qkv.weight)
    assert model.blocks[1].drop_path.drop_prob == 0.2


def test_a_video_text_model_gives_its_tower_and_the_norm_after_it():
    pretrained = small_video_text.model(dtype=torch.float32)
    torch.nn.init.normal_(pretrained.visual_ln_post.weight)
    video = torch.randn(2, 3, 2, pretrained.visual.image, pretrained.visual.image)
    before = pretrained.eval().visual_ln_post(pretrained.visual.features(video))
    model = classifier(pretrained, 5, drop_path=0.3, head_drop=0.4).eval()
    assert model.num_classes == 5 and torch.equal(model.transformer.proj[0](model.features(video)), before)
    assert model(video).shape == (2, 5) and model.transformer.proj[1].p == 0.4
    assert model.transformer.resblocks[-1].drop_path.drop_prob == 0.3


def test_of_a_classifier_all_but_its_head_is_taken():
    trained = VideoClassifier("tiny", 3, **SHAPE)
    torch.nn.init.normal_(trained.fc_norm.weight)
    model = classifier(trained, 5, frames=8, image=32)
    assert model(torch.zeros(2, 3, 8, 32, 32)).shape == (2, 5)
    again = classifier(trained, 5).eval()
    video = torch.randn(2, 3, 4, 16, 16)
    assert torch.equal(again.features(video), trained.eval().features(video))
    assert again.head.weight.abs().max() < 0.01  # fresh


def test_of_a_classifying_uniformerv2_all_but_its_last_layer_is_taken():
    trained = UniFormerV2(24, 2, 2, 8, 16, 3, (1,))
    torch.nn.init.normal_(trained.transformer.proj[0].weight)
    norm = trained.transformer.proj[0].weight.clone()
    model = classifier(trained, 5)
    assert torch.equal(model.transformer.proj[0].weight, norm)
    assert model(torch.zeros(2, 3, 2, 16, 16)).shape == (2, 5) and model.num_classes == 5


def test_what_is_no_encoder_is_refused():
    with pytest.raises(ParameterError, match="Linear has no encoder"):
        classifier(torch.nn.Linear(2, 2), 5)
    assert isinstance(classifier(UniFormerV2(24, 2, 2, 8, 16, 0, (1,)), 4), UniFormerV2)


def test_a_model_without_a_masked_encoder_is_named():
    assert masked_encoder(pretrained := MaskedAutoencoder("tiny", **SHAPE)) is pretrained.encoder
    with pytest.raises(ParameterError, match="masked_encoder: holds a VideoTextModel; must be of masked"):
        masked_encoder(small_video_text.model())


# --- clips of another length or size: the pretrained positions are kept, interpolated --------------------------------

INTERPOLATED = resize(sine_cosine(8, 32), (2, 2, 2), (4, 4, 4))  # 4 x 16 x 16 to 8 x 32 x 32


@pytest.mark.parametrize("kind", [MaskedAutoencoder, MaskedVideoEncoder, VideoClassifier])
def test_positions_of_the_pretrained_encoder_are_interpolated_not_drawn_afresh(kind):
    model = classifier(kind("tiny", **SHAPE), 5, frames=8, image=32)
    assert torch.equal(model.pos_embed, INTERPOLATED) and model.grid == (4, 4, 4)
    assert (model.pos_embed - sine_cosine(64, 32)).abs().max() > 0.5  # what a fresh table would be


def test_a_classifier_of_the_published_size_at_384_pixels_has_the_published_table(golden, close):
    published = golden("videomae_pos_table_resize").all["case3/table"]  # 16 x 224 pixels to 8 x 96
    size = {"width": 6, "depth": 1, "heads": 1, "patch": 16}
    pretrained = MaskedVideoEncoder("tiny", frames=16, image=224, **size)
    close(classifier(pretrained, 5, frames=8, image=96).pos_embed, published)
    ready = VideoClassifier("tiny", 5, frames=8, image=96, **size).load_encoder(pretrained)
    close(ready.pos_embed, published)


def test_positions_stay_those_of_pretraining_through_files_and_further_sizes(tmp_path):
    """Pretrained, post-pretrained at another size, saved, fine-tuned at a third, and back."""
    first = classifier(MaskedAutoencoder("tiny", **SHAPE), 5, frames=8, image=32).eval()
    save_weights(first, tmp_path / "model.safetensors", first.config)
    loaded = weights.load(tmp_path / "model.safetensors")
    assert torch.equal(loaded.pos_embed, first.pos_embed)
    assert torch.equal(classifier(loaded, 5).pos_embed, INTERPOLATED)  # as the encoder expects, not as its size says
    assert torch.equal(classifier(loaded, 5, frames=4, image=16).pos_embed, sine_cosine(8, 32))
    wide = classifier(loaded, 5, frames=4, image=48)
    save_weights(wide, tmp_path / "wide.safetensors", wide.config)
    assert torch.equal(weights.load(tmp_path / "wide.safetensors").pos_embed, wide.pos_embed)


def test_learnt_positions_and_other_options_come_along(tmp_path):
    pretrained = MaskedVideoEncoder("tiny", learnable_positions=True, init_values=0.1, qkv_bias=False, **SHAPE)
    model = classifier(pretrained, 5, frames=8, image=32)
    assert torch.equal(model.pos_embed, resize(pretrained.pos_embed, (2, 2, 2), (4, 4, 4)))
    assert "pos_embed" in dict(model.named_parameters()) and model.blocks[0].gamma_1 is not None
    save_weights(model, tmp_path / "model.safetensors", model.config)
    assert torch.equal(weights.load(tmp_path / "model.safetensors").pos_embed, model.pos_embed)


def test_a_uniformerv2_takes_frames_of_another_size():
    tower = UniFormerV2(24, 2, 2, 8, 16, 0, (1,))
    table = tower.positional_embedding.detach().clone()
    model = classifier(tower, 4, frames=6, image=32)
    assert torch.equal(model.positional_embedding[:1], table[:1])
    assert torch.equal(model.positional_embedding[1:], resize(table[None, 1:], (1, 2, 2), (1, 4, 4))[0])
    assert model(torch.zeros(2, 3, 6, 32, 32)).shape == (2, 4) and model.positional_embedding.requires_grad
    with pytest.raises(ParameterError, match=r"frame \(20, 20\): not a square of patches of 8"):
        classifier(tower, 4, image=20)
