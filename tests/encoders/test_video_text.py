"""InternVideo's multimodal model: equal to the published one, and to CLIP before it has learnt anything."""

import pytest
import small_video_text
import torch
import torch.nn.functional as F

from ivcore import weights
from ivcore.encoders import build, sizes
from ivcore.encoders.caption_decoder import PlainCaptionDecoder
from ivcore.encoders.clip import Clip, ImageEncoder, TextEncoder
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.video_text import VideoTextModel
from ivcore.heads.answer import AnswerModel
from ivcore.train.checkpoints import save_weights
from ivcore.train.optim import parameter_groups


@pytest.fixture(scope="module")
def published(golden):
    g = golden("cotrain_losses")
    model = weights.from_official(g.weights, g.config)
    return g, model, g.inputs["video"].transpose(1, 2), g.inputs["text"].long()


def test_embeddings_and_contrastive_loss_equal_the_published_ones(published, close):
    g, model, video, ids = published
    close(model.encode_video(video), g.outputs["video_feats"])
    close(model.encode_text(ids), g.outputs["text_feats"])
    logits = model(video, ids)
    close(logits, g.outputs["contrastive_image_logits"])
    pairs = torch.arange(3)
    close((F.cross_entropy(logits, pairs) + F.cross_entropy(logits.T, pairs)) / 2, g.outputs["contrastive_loss"], 1e-5)
    assert torch.allclose(model.zero_shot(video, ids).sum(1), torch.ones(3))


def test_captions_and_gradients_equal_the_published_ones(published, close):
    g, model, video, ids = published
    captions = model.caption_logits(video, ids)
    close(captions, g.outputs["cap_logits"])
    labels = ids[:, 1:].masked_fill(g.inputs["special_tokens_mask"][:, 1:], -100)
    caption_loss = F.cross_entropy(captions.flatten(0, 1), labels.flatten())
    close(caption_loss, g.outputs["cap_loss"], 1e-5)
    logits, pairs = model(video, ids), torch.arange(3)
    model.zero_grad()
    (caption_loss + (F.cross_entropy(logits, pairs) + F.cross_entropy(logits.T, pairs)) / 2).backward()
    for name, ours in {
        "caption_decoder.visual_queries": model.caption_decoder.visual_queries,
        "clip.logit_scale": model.logit_scale,
        "clip.text_projection": model.text.text_projection,
        "clip.visual.transformer.dec.0.attn.in_proj_weight": model.visual.transformer.dec[0].attn.in_proj_weight,
    }.items():
        close(ours.grad, g.outputs[f"grad/{name}"], 1e-3)


@pytest.fixture()
def fresh():
    torch.manual_seed(0)
    clip = Clip(ImageEncoder(16, 32, 3, 2, 8, 24), TextEncoder(16, 24, 2, 2, 12, 50)).eval()
    tower = UniFormerV2(32, 3, 2, 8, 24, 0, (1, 2))
    return clip, VideoTextModel(tower, TextEncoder(16, 24, 2, 2, 12, 50, mask_embedding=True), 16).eval().load_clip(
        clip
    )


def test_before_training_a_still_clip_has_clips_embedding(fresh):
    clip, model = fresh
    image = torch.randn(2, 3, 24, 24)
    published = F.normalize(clip.encode_image(image), dim=-1)
    for frames in (1, 8):
        still = image[:, :, None].expand(-1, -1, frames, -1, -1)
        assert (published - F.normalize(model.encode_video(still), dim=-1)).abs().max() < 5e-5
    # what is left is the epsilon of a LayerNorm that sees half the token
    clip.visual.ln_post.eps = model.visual_ln_post.eps = 0
    assert (model.encode_video(still) - clip.encode_image(image)).abs().max() < 5e-6
    ids = torch.tensor([[48, 3, 4, 49, 0], [48, 7, 49, 0, 0]])
    assert torch.equal(model.encode_text(ids), clip.encode_text(ids))


def test_a_moving_clip_is_not_the_mean_of_frame_embeddings(fresh):
    clip, model = fresh
    video = torch.randn(2, 3, 4, 24, 24)
    assert (model.encode_video(video) - clip.encode_video(video)).abs().max() > 1e-3


def test_masked_words_take_the_learnt_embedding(fresh):
    _, model = fresh
    torch.nn.init.normal_(model.text.text_mask_embedding)
    ids = torch.tensor([[48, 3, 4, 49]])
    masked = torch.tensor([[False, True, False, False]])
    other = ids.clone()
    other[0, 1] = 9
    assert torch.equal(model.encode_text(ids, masked), model.encode_text(other, masked))
    assert not torch.equal(model.encode_text(ids, masked), model.encode_text(ids))


def answering(golden, head, answers):
    """The published towers without projections and predictor, under a fresh head."""
    g = golden("cotrain_losses")
    state = {
        k: v
        for k, v in g.weights.items()
        if not k.endswith(("visual_proj", "text_projection")) and "predictor" not in k
    }
    torch.manual_seed(0)
    width = 16 + 2 * 24
    shapes = {"1.weight": (2 * width, width), "1.bias": (2 * width,), "2.weight": (2 * width,), "2.bias": (2 * width,)}
    shapes |= {"5.weight": (answers, 2 * width), "5.bias": (answers,)}
    state |= {f"{head}.{key}": torch.randn(shape) * 0.1 for key, shape in shapes.items()}
    ids = torch.where(torch.arange(12) == 11, 0, g.inputs["text"].long())  # the end token must not come last
    return weights.from_official(state, g.config), g.inputs["video"].transpose(1, 2), ids


def test_answers_depend_on_clip_and_question(golden):
    model, video, ids = answering(golden, "vqa_classifier", 5)
    scores = model(video, ids)
    assert isinstance(model, AnswerModel) and scores.shape == (3, 5)
    assert not torch.allclose(scores, model(video.flip(0), ids)) and not torch.allclose(
        scores, model(video, ids.flip(0))
    )


def test_ranking_scores_each_pair_of_clip_and_text(golden):
    model, video, ids = answering(golden, "rank_output", 1)
    choices = torch.stack((ids, ids.flip(0)), dim=1)
    scores = model.rank(video, choices)
    assert torch.allclose(scores, torch.cat((model(video, ids), model(video, ids.flip(0))), dim=1), atol=1e-5)


def test_captions_can_be_told_the_order_of_frames():
    """The published decoder reads tokens that know one frame each; with the query token among them the order reaches it."""
    torch.manual_seed(0)
    video, ids = torch.randn(2, 3, 4, 32, 32), torch.tensor([[97, 5, 6, 98, 0], [97, 7, 98, 0, 0]])
    for query in (False, True):
        model = small(PlainCaptionDecoder(32, 48, 32, 1, 2, 99), query)
        model.visual.transformer.init_from_scratch()
        same = torch.allclose(model.caption_logits(video, ids), model.caption_logits(video.flip(2), ids), atol=1e-5)
        assert same != query
        assert not torch.allclose(model.encode_video(video), model.encode_video(video.flip(2)), atol=1e-3)


@pytest.mark.parametrize("query", [False, True])
def test_a_saved_model_with_the_papers_decoder_comes_back(tmp_path, query):
    model = small(PlainCaptionDecoder(32, 48, 64, 2, 2, 99), query)
    save_weights(model, tmp_path / "model.safetensors", model.config)
    again = weights.load(tmp_path / "model.safetensors")
    video, ids = torch.randn(2, 3, 2, 32, 32), torch.tensor([[97, 5, 98], [97, 98, 0]])
    assert torch.equal(again.caption_logits(video, ids), model.caption_logits(video, ids))
    assert again.caption_query is query


def small(decoder, query: bool) -> VideoTextModel:
    vision = UniFormerV2(48, 2, 3, 16, 32, 0, (0, 1), mlp_dropout=0.0)
    return VideoTextModel(vision, TextEncoder(24, 32, 1, 2, 8, 99), 24, decoder, query).eval()


def test_learning_rates_by_layer_reach_both_towers():
    model = small(PlainCaptionDecoder(32, 48, 32, 1, 2, 99), False)
    groups = parameter_groups(model, 0.2, 0.5)
    name_of = {id(p): name for name, p in model.named_parameters()}
    rate = {name_of[id(p)]: g["lr_scale"] for g in groups for p in g["params"]}
    decay = {name_of[id(p)]: g["weight_decay"] for g in groups for p in g["params"]}
    assert set(rate) == set(name_of.values())
    for tower in ("visual", "text"):
        assert rate[f"{tower}.transformer.resblocks.0.attn.in_proj_weight"] == 0.25
    assert rate["visual.conv1.weight"] == rate["text.token_embedding.weight"] == 0.125
    assert rate["visual.transformer.resblocks.1.attn.in_proj_weight"] == 0.5
    for fresh in ("visual.transformer.dec.0.attn.in_proj_weight", "caption_decoder.clip_in.1.weight", "logit_scale"):
        assert rate[fresh] == 1
    assert decay["visual.positional_embedding"] == 0 and decay["visual.conv1.weight"] == 0.2


def test_a_question_that_fills_the_context_is_answered_like_a_shorter_one(golden):
    model, video, ids = answering(golden, "vqa_classifier", 5)
    end, length = int(ids.argmax(-1).max()), model.video_text.text.context
    full = ids.clone()
    full[:, 1:-1], full[:, -1] = ids[:, 1:2], ids.max()  # the end token stands last
    assert ids.shape[1] == length and end < length - 1
    assert model(video, full).shape == (3, 5)
    cut = ids[:, : end + 1]  # without padding: the same question, whose end is its last token
    assert torch.allclose(model(video, cut), model(video, ids), atol=1e-5)


@pytest.mark.parametrize("layer_decay", [None, 0.5])
@pytest.mark.parametrize("decoder", ["plain", "published"])
def test_weight_decay_leaves_embeddings_and_queries_alone(decoder, layer_decay):
    size = sizes.video_text_size("tiny")
    model = build.video_text_model(size, None, build.caption_decoder(decoder, size, 96, 1))
    groups = parameter_groups(model, 0.2, layer_decay)
    name_of = {id(p): name for name, p in model.named_parameters()}
    decayed = {name_of[id(p)] for g in groups for p in g["params"] if g["weight_decay"]}
    matrices = {name for name, p in model.named_parameters() if p.ndim > 1 and "conv" not in name}
    spared = {name.split(".")[-1] for name in matrices - decayed if "embedding" not in name}
    assert not [name for name in decayed if "embedding" in name or "queries" in name]
    assert spared <= {"temporal_cls_token", "visual_queries"} and len(decayed) > 10


def test_frozen_parts_stay_asleep_while_the_rest_trains():
    model = small_video_text.model(dropout=0.5, dtype=torch.float32)
    video = model.prepare(small_video_text.batch(2)["video"])
    model.freeze("visual").train()
    assert model.training and model.text.training and not any(m.training for m in model.visual.modules())
    with torch.no_grad():
        assert torch.equal(model.encode_video(video), model.encode_video(video))  # no dropout
    assert not any(p.requires_grad for p in model.visual.parameters())
    model.eval().train()
    assert not model.visual.training and model.visual_ln_post.training and model.visual_proj.requires_grad
    awake = small_video_text.model(dropout=0.5, dtype=torch.float32).train()
    with torch.no_grad():
        assert not torch.equal(awake.encode_video(video), awake.encode_video(video))
