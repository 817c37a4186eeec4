"""UniFormerV2: equal to the published one, and to CLIP before it has learnt anything."""

import pytest
import torch

from ivcore import weights
from ivcore.encoders.clip import ImageEncoder
from ivcore.encoders.positions import resize
from ivcore.encoders.uniformerv2 import CrossAttention, LocalMHRA, UniFormerV2
from ivcore.errors import ParameterError

SMALL = {"width": 32, "layers": 3, "heads": 2, "patch": 8, "image": 24, "num_classes": 7}


def small(seed=0, **options):
    torch.manual_seed(seed)
    return UniFormerV2(**(SMALL | {"global_layers": (1, 2)} | options)).eval()


@pytest.fixture()
def video():
    return torch.randn(2, 3, 4, 24, 24, generator=torch.Generator().manual_seed(0))


def test_equals_the_published_one_with_local_blocks_and_temporal_downsampling(golden, close):
    g = golden("uniformerv2_double_lmhra_tdown")
    m = weights.from_official(g.weights, g.config)
    logits, seen = m(g.inputs["video"], return_intermediates=("tokens", "query_token", "features"))
    published_order = seen["tokens"][-1].permute(2, 0, 1, 3).flatten(1, 2)  # (1+hw, B*T, D)
    close(logits, g.outputs["logits"])
    close(published_order, g.outputs["resblock_last"])
    close(seen["query_token"][0], g.outputs["global_token_after_dec0"][0])
    close(seen["query_token"][-1], g.outputs["global_token_after_dec2"][0])
    close(m.features(g.inputs["video"]), g.outputs["feature_before_head"])


@pytest.mark.parametrize("local", [False, True])
def test_as_initialised_it_is_the_time_mean_of_clips_class_token(video, local):
    m = small(local=local)
    torch.manual_seed(1)
    clip = ImageEncoder(embed=16, width=32, layers=3, heads=2, patch=8, image=24).eval()
    m.load_clip(clip)
    frames = video.transpose(1, 2).flatten(0, 1)
    classes = clip(frames, return_intermediates=("tokens",))[1]["tokens"][-1][:, 0].view(2, 4, 32)
    features, seen = (
        m(video, return_intermediates=("query_token", "features"))[1]["features"][0],
        m(video, return_intermediates=("query_token",))[1],
    )
    assert torch.allclose(features, 0.5 * classes.mean(1), atol=1e-6)
    assert all(not query.any() for query in seen["query_token"])
    order = torch.tensor([2, 0, 3, 1])
    assert torch.allclose(m(video[:, :, order]), m(video), atol=1e-6)  # time means nothing yet


def test_local_parts_are_exactly_an_identity_at_first(video):
    plain = small()
    local = small(seed=1, local=True)
    local.load_state_dict(plain.state_dict(), strict=False)
    assert torch.equal(local(video), plain(video))


def test_temporal_downsampling_with_clips_kernel_sees_every_second_frame(video):
    m = small(temporal_downsample=True)
    clip = ImageEncoder(embed=16, width=32, layers=3, heads=2, patch=8, image=24)
    m.load_clip(clip)
    assert torch.equal(m.conv1.weight[:, :, 1], clip.conv1.weight) and not m.conv1.weight[:, :, [0, 2]].any()
    spoiled = video.clone()
    spoiled[:, :, 1::2] = 0
    assert torch.allclose(m(video), m(spoiled), atol=1e-6)


def test_a_single_query_without_projected_keys_is_multi_head_attention():
    torch.manual_seed(0)
    ours, theirs = CrossAttention(32, 4), torch.nn.MultiheadAttention(32, 4, batch_first=True)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    ours.load_state_dict(theirs.state_dict())
    query, tokens = torch.randn(3, 32), torch.randn(3, 11, 32)
    out, seen = None, {"global_attention": []}
    out = ours(query, tokens, seen)
    expected, attention = theirs(query[:, None], tokens, tokens, average_attn_weights=False)
    assert torch.allclose(out, expected[:, 0], atol=1e-5)
    assert torch.allclose(seen["global_attention"][0], attention[:, :, 0], atol=1e-5)


def test_local_aggregator_is_the_convolutions_it_is_named_after():
    torch.manual_seed(0)
    m = LocalMHRA(12, 1.5).train()
    torch.nn.init.normal_(m.pos_embed[3].weight)
    x = torch.randn(2, 5, 4, 12)
    volume = x.permute(0, 3, 1, 2)[..., None]  # (B, C, T, hw, 1)
    norm = torch.nn.BatchNorm3d(12)
    expected = m.pos_embed[1:](norm(volume))[..., 0].permute(0, 2, 3, 1)
    assert torch.allclose(m(x), expected, atol=1e-5)
    assert torch.allclose(m.pos_embed[0].running_var, norm.running_var, atol=1e-6)


def test_class_tokens_skip_the_local_parts():
    m = small(local=True)
    block = m.transformer.resblocks[0]
    torch.nn.init.normal_(block.lmhra1.pos_embed[3].weight)
    x = torch.randn(1, 4, 10, 32)
    assert torch.equal(block._local(block.lmhra1, x)[:, :, 0], x[:, :, 0])


def test_frozen_variant_reads_the_query_token_only(video):
    m = small(frozen=True)
    assert "transformer.balance" not in m.state_dict()
    assert not m.features(video).any()


def test_intermediates_do_not_change_the_result(video):
    m = small(local=True)
    out, seen = m(video, return_intermediates=("attention", "tokens", "global_attention", "video_tokens"))
    assert torch.allclose(out, m(video), atol=1e-5)
    assert seen["attention"][0].shape == (8, 2, 10, 10) and seen["global_attention"][1].shape == (2, 2, 40)
    assert seen["video_tokens"][0].shape == (2, 40, 32)


def test_layer_groups_for_layer_decay():
    from timm.optim import param_groups_layer_decay

    m = small()
    groups = param_groups_layer_decay(m, 0.05, m.no_weight_decay(), layer_decay=0.5)
    scale = {id(p): g["lr_scale"] for g in groups for p in g["params"]}
    assert scale[id(m.transformer.proj[2].weight)] == scale[id(m.transformer.dec[0].ln_1.weight)] == 1.0
    assert scale[id(m.transformer.resblocks[2].ln_1.weight)] == 0.5
    assert scale[id(m.conv1.weight)] == 0.5**4


def test_errors_say_what_is_wrong(video):
    with pytest.raises(ParameterError, match=r"expected \(B, 3, T, 24, 24\), got \(2, 3, 4, 24, 16\)"):
        small()(video[..., :16])
    with pytest.raises(ParameterError, match=r"global_layers: \(3,\) are not all in 0\.\.2"):
        small(global_layers=(3,))
    with pytest.raises(ParameterError, match="does not match this model"):
        small().load_clip(ImageEncoder(embed=16, width=32, layers=4, heads=2, patch=8, image=24))


def test_clips_positions_are_interpolated_where_frames_have_another_size(video):
    clip = ImageEncoder(embed=16, width=32, layers=3, heads=2, patch=8, image=32)
    table = clip.positional_embedding.detach()
    m = small().load_clip(clip)
    assert torch.equal(m.positional_embedding[0], table[0]) and m(video).shape == (2, 7)
    assert torch.equal(m.positional_embedding[1:], resize(table[None, 1:], (1, 4, 4), (1, 3, 3))[0])
    assert torch.equal(small(image=32).load_clip(clip).positional_embedding, table)


def test_frames_of_another_size_keep_the_learned_positions():
    m = small()
    table = m.positional_embedding.detach().clone()
    assert m.resize_positions(8, 48)(torch.zeros(1, 3, 8, 48, 48)).shape == (1, 7)
    assert torch.equal(m.positional_embedding[1:], resize(table[None, 1:], (1, 3, 3), (1, 6, 6))[0])
    with pytest.raises(ParameterError, match=r"frame \(48, 24\): not a square"):
        m.resize_positions(8, 48, 24)
