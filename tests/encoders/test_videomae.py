"""The masked video encoder: equal to the published one, blind to what is hidden, resizable."""

import pytest
import torch

from ivcore import masking
from ivcore.encoders import sizes
from ivcore.encoders.positions import resize, sine_cosine
from ivcore.encoders.videomae import MaskedAutoencoder, MaskedVideoEncoder, VideoClassifier
from ivcore.errors import ParameterError
from ivcore.losses.reconstruction import reconstruction, targets

GRID = sizes.size("tiny").grid


@pytest.fixture()
def clip():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 3, 8, 32, 32, generator=generator), masking.tube(2, GRID, 0.75, generator)


def model(cls, *args, **kwargs):
    torch.manual_seed(0)
    return cls(*args, **kwargs).eval()


def test_masked_autoencoder_equals_the_published_one(golden, close):
    g = golden("videomae_pretrain")
    small = sizes.Size(48, 2, 3, 32, 2, 2, patch=8, frames=16, image=24)
    m = model(MaskedAutoencoder, small)
    m.load_state_dict(g.weights)
    video, mask = g.inputs["video"], g.inputs["mask"]
    close(m.encoder(video, mask), g.outputs["encoder_visible_tokens"])
    predictions = m(video, mask)
    close(predictions[:, ::8], g.outputs["pred"])
    _, hidden = masking.split(mask)
    loss = reconstruction(predictions, targets(video, hidden, patch=8))
    close(loss, g.outputs["loss"], 1e-5)
    close(
        reconstruction(predictions, targets(video, hidden, 8, normalise=False)),
        g.outputs["loss_unnormalised_pixels"],
        1e-5,
    )
    loss.backward()
    gradients = {name: parameter.grad for name, parameter in m.named_parameters()}
    close(torch.stack([g.norm() for g in gradients.values()]).norm(), g.outputs["grad_norm_all"], 1e-3)
    for name, published in g.outputs.items():
        if name.startswith("grad/"):
            close(gradients[name.removeprefix("grad/")][: len(published)], published, 1e-3)


def test_classifier_with_layer_scale_equals_the_published_one(golden, close):
    g = golden("videomae_finetune_layerscale")
    small = sizes.Size(48, 2, 3, 32, 2, 2, patch=8, frames=8, image=32)
    m = model(VideoClassifier, small, num_classes=11, init_values=0.1)
    m.load_state_dict(g.weights)
    logits, seen = m(g.inputs["video"], return_intermediates=("features", "tokens"))
    close(logits, g.outputs["logits"])
    close(seen["features"][0], g.outputs["features"])
    close(seen["tokens"][-1], g.outputs["last_block"])
    close(m.features(g.inputs["video"]), g.outputs["features"])


def test_position_table():
    table = sine_cosine(1568, 768)
    assert torch.equal(table[0, 0], torch.tensor([0.0, 1.0]).repeat(384))
    assert float(table[0, 1, 0]) == pytest.approx(0.8414709848)
    assert "pos_embed" not in MaskedVideoEncoder("tiny").state_dict()


def test_resized_position_table_equals_the_published_one(golden, close):
    published = golden("videomae_pos_table_resize").all["case3/table"]  # 16 x 224 pixels to 8 x 96
    close(resize(sine_cosine(1568, 6), (8, 14, 14), (4, 6, 6)), published)


def test_hidden_pixels_have_no_influence_at_all(clip):
    video, mask = clip
    m = model(MaskedAutoencoder, "tiny")
    spoiled = video.clone()
    cells = mask.unflatten(1, GRID).repeat_interleave(2, 1).repeat_interleave(8, 2).repeat_interleave(8, 3)
    spoiled[cells[:, None].expand_as(video)] = torch.nan
    assert torch.equal(m(video, mask), m(spoiled, mask))


def test_predictions_follow_token_order(clip):
    """Row i of a prediction belongs to the i-th hidden token: moving a clip within the batch moves its rows with it."""
    video, mask = clip
    m = model(MaskedAutoencoder, "tiny")
    _, hidden = masking.split(mask)
    seen = m(video, mask, return_intermediates=("decoder_tokens",))[1]["decoder_tokens"]
    assert seen[0].shape[1] == mask.shape[1] and seen[-1].shape[1] == hidden.shape[1]
    assert torch.allclose(m(video.flip(0), mask.flip(0)), m(video, mask).flip(0), atol=1e-6)


def test_last_block_on_hidden_tokens_only_changes_nothing(clip):
    block = model(MaskedAutoencoder, "tiny").decoder.blocks[0]
    x = torch.randn(2, 12, 64)
    assert torch.allclose(block(x, last=5), block(x)[:, -5:], atol=1e-6)


def test_intermediates_are_what_the_model_computes(clip):
    video, mask = clip
    m = model(MaskedAutoencoder, "tiny")
    out, seen = m(
        video, mask, return_intermediates=("tokens", "attention", "decoder_attention", "visible_tokens", "patch_tokens")
    )
    assert torch.allclose(out, m(video, mask), atol=1e-5)
    visible = int((~mask[0]).sum())
    assert [a.shape for a in seen["attention"]] == [(2, 4, visible, visible)] * 4
    assert torch.allclose(seen["attention"][0].sum(-1), torch.ones(()), atol=1e-5)
    assert [t.shape for t in seen["tokens"]] == [(2, visible, 128)] * 4
    assert seen["decoder_attention"][-1].shape == (2, 2, 64 - visible, 64)
    with pytest.raises(ParameterError, match="'nothing' is not one of patch_tokens, tokens"):
        m(video, mask, return_intermediates=("nothing",))


def test_keys_have_no_bias(clip):
    attention = model(MaskedVideoEncoder, "tiny").blocks[0].attn
    x = torch.randn(1, 5, 128)
    with torch.no_grad():
        attention.q_bias.fill_(1), attention.v_bias.fill_(2)
        q, k, v = attention.project(x)
        free = x @ attention.qkv.weight.T
    assert torch.allclose(k, free[..., 128:256], atol=1e-6)
    assert torch.allclose(q, free[..., :128] + 1, atol=1e-6) and torch.allclose(v, free[..., 256:] + 2, atol=1e-6)


def test_prepare_normalises_with_imagenet_statistics():
    video = MaskedVideoEncoder("tiny").prepare(torch.zeros(1, 8, 32, 32, 3, dtype=torch.uint8))
    assert video.shape == (1, 3, 8, 32, 32)
    assert video[0, :, 0, 0, 0].tolist() == pytest.approx([-2.1179, -2.0357, -1.8044], abs=1e-4)
    with pytest.raises(ParameterError, match=r"expected uint8 \(B, T, H, W, 3\)"):
        MaskedVideoEncoder("tiny").prepare(torch.zeros(1, 3, 8, 32, 32))


def test_wrong_clip_size_says_what_is_expected(clip):
    with pytest.raises(ParameterError, match=r"expected \(B, 3, 8, 32, 32\), got \(2, 3, 8, 64, 64\)"):
        MaskedVideoEncoder("tiny")(torch.zeros(2, 3, 8, 64, 64))


@pytest.mark.parametrize("learnable", [False, True])
def test_resize_positions_reads_other_clips_and_keeps_the_parameter(learnable):
    m = model(VideoClassifier, "tiny", num_classes=5, learnable_positions=learnable).resize_positions(12, 48)
    assert m(torch.zeros(1, 3, 12, 48, 48)).shape == (1, 5)
    assert ("pos_embed" in dict(m.named_parameters())) == learnable
    with pytest.raises(ParameterError, match=r"clip \(12, 50, 50\): not a multiple"):
        m.resize_positions(12, 50)


def test_an_autoencoder_at_another_size_keeps_both_tables():
    m = model(MaskedAutoencoder, "tiny").resize_positions(16, 64)
    for table, width in ((m.encoder.pos_embed, 128), (m.decoder_positions, 64)):
        assert torch.equal(table, resize(sine_cosine(64, width), GRID, (8, 8, 8)))
    mask = torch.arange(512)[None] % 4 > 0
    assert m(torch.zeros(1, 3, 16, 64, 64), mask).shape[1] == 384
    assert m.config["resized_to"] == [16, 64, 64]


def test_fresh_head_is_nearly_silent():
    head = model(VideoClassifier, "tiny", num_classes=400).head
    assert 1.9e-5 < float(head.weight.detach().std()) < 2.1e-5 and not head.bias.any()


def test_classifier_takes_a_pretrained_encoder(clip):
    encoder = model(MaskedAutoencoder, "tiny").encoder
    m = model(VideoClassifier, "tiny", num_classes=3).load_encoder(encoder)
    tokens = encoder(clip[0], return_intermediates=("tokens",))[1]["tokens"][-1]
    assert torch.equal(m.tokens(clip[0]), tokens)
    with pytest.raises(ParameterError, match=r"do not match the classifier's: blocks\.0\.gamma_1"):
        VideoClassifier("tiny", init_values=0.1).load_encoder(encoder)
    with pytest.raises(ParameterError, match=r"do not match the classifier's: patch_embed\.proj\.weight"):
        VideoClassifier("tiny", patch=16).load_encoder(encoder)


def test_drop_path_grows_with_depth_and_only_acts_in_training(clip):
    m = model(VideoClassifier, "tiny", num_classes=3, drop_path=0.3, init_scale=1.0)
    assert [round(getattr(b.drop_path, "drop_prob", 0.0), 6) for b in m.blocks] == [0.0, 0.1, 0.2, 0.3]
    assert torch.equal(m(clip[0]), m(clip[0]))
    m.train()
    assert not torch.equal(m(clip[0]), m(clip[0]))


def test_layer_groups_for_layer_decay():
    from timm.optim import param_groups_layer_decay

    m = VideoClassifier("tiny", num_classes=3)
    groups = param_groups_layer_decay(m, 0.05, m.no_weight_decay(), layer_decay=0.8)
    scale = {id(p): g["lr_scale"] for g in groups for p in g["params"]}
    assert scale[id(m.head.weight)] == scale[id(m.fc_norm.weight)] == 1.0
    assert scale[id(m.blocks[3].mlp.fc1.weight)] == pytest.approx(0.8)
    assert scale[id(m.patch_embed.proj.weight)] == pytest.approx(0.8**5)


def test_size_errors_name_the_field():
    for wrong, message in [
        (lambda: sizes.size("tinny"), "'tinny' is not one of tiny, mini, small, base, large, huge, giant"),
        (lambda: sizes.size("tiny", wdth=3), "no field 'wdth'"),
        (lambda: sizes.size("tiny", image=30), "image 30 is not a positive multiple of patch 8"),
    ]:
        with pytest.raises(ParameterError, match=message):
            wrong()


def published(golden):
    return {name: entry for name, entry in golden("checkpoints.json").items() if name.startswith("videomae")}


@pytest.mark.parametrize("name", ["base", "large", "huge"])
@pytest.mark.parametrize("kind", ["pretrain", "finetune"])
def test_published_sizes_have_the_published_parameters(golden, name, kind):
    entry = published(golden)[f"videomae_{kind}_{name}" + ("_k400" if kind == "finetune" else "")]
    with torch.device("meta"):
        m = MaskedAutoencoder(name) if kind == "pretrain" else VideoClassifier(name, num_classes=400)
    assert sum(p.numel() for p in m.parameters()) == entry["n_parameters"]
    expected = {}
    for key, shape in entry["keys"].items():
        numbers = range(shape[0]) if "{i}" in key else [None]
        expected |= {key.replace("{i}", str(i)): tuple(shape[1:] if "{i}" in key else shape) for i in numbers}
    assert {key: tuple(value.shape) for key, value in m.state_dict().items()} == expected


def test_decoder_of_the_videomae_release():
    with torch.device("meta"):
        m = MaskedAutoencoder("huge", decoder_width=640)
    assert sum(p.numel() for p in m.parameters()) == 672_795_776


def test_giant_is_the_one_of_videomae_v2():
    with torch.device("meta"):
        m = VideoClassifier("giant", num_classes=400)
    assert m.blocks[0].mlp.fc1.weight.shape == (6144, 1408) and m.size.tokens == 2048
