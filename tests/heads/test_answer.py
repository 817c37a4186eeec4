"""Answers from clip, question and caption decoder: equal to the published ones, each feature alone, several questions a clip, saved and loaded."""

import pytest
import small_video_text
import torch

from ivcore import weights
from ivcore.encoders.caption_decoder import CaptionDecoder
from ivcore.errors import ParameterError
from ivcore.heads.answer import FEATURES, answering
from ivcore.train import save_weights


@pytest.mark.parametrize("decoder", ["plain", "published"])
@pytest.mark.parametrize("features", [FEATURES, ("caption",), ("video",), ("text",), ("text", "video")])
def test_several_questions_of_a_clip_are_answered_as_one_by_one(features, decoder):
    model = small(features, decoder=decoder)
    batch = small_video_text.batch(6)
    video, ids = model.prepare(batch["video"][:2]), batch["ids"].view(2, 3, -1)
    together = model(video, ids)
    assert together.shape == (2, 3, 5)
    for place in range(3):
        assert torch.allclose(together[:, place], model(video, ids[:, place]), atol=1e-5)
    assert model.features == tuple(name for name in FEATURES if name in features)


def small(features=FEATURES, layers=2, decoder="plain"):
    torch.manual_seed(1)
    published = CaptionDecoder(8, 16, 1, 2, small_video_text.VOCABULARY, 3) if decoder == "published" else None
    return answering(small_video_text.model(dtype=torch.float32, decoder=published), 5, features, layers).eval()


@pytest.mark.parametrize("features", [FEATURES, ("video", "text"), ("text",)])
def test_the_head_reads_the_features_side_by_side(features):
    model, batch = small(features), small_video_text.batch(4)
    video, ids = model.prepare(batch["video"]), batch["ids"]
    read = model.read(video, ids)
    assert read.shape == (4, sum(model.widths.values())) and tuple(model.widths) == features
    assert torch.equal(model.head(read), model(video, ids))
    for (name, wide), part in zip(model.widths.items(), read.split(list(model.widths.values()), dim=1)):
        assert torch.allclose(small((name,)).read(video, ids), part, atol=1e-6) and part.shape == (4, wide)
        assert model.head_over(name)(part).shape == (4, 5)


def test_answers_equal_the_published_ones(golden, close):
    g = golden("cotrain_vqa_vtc_cap")
    model = weights.from_official(g.weights, g.config)
    logits = model(g.inputs["video"].transpose(1, 2), g.inputs["text"].long())
    close(logits, g.outputs["vqa_logits"])
    close(torch.nn.functional.cross_entropy(logits, g.inputs["labels"]), g.outputs["vqa_loss"])


def test_ranks_equal_the_published_ones(golden, close):
    g = golden("cotrain_multiple_choice_vtc_cap")
    model = weights.from_official(g.weights, g.config)
    scores = model.rank(g.inputs["video"].transpose(1, 2), g.inputs["choices"].long())
    close(scores, g.outputs["scores"])


@pytest.mark.parametrize("layers", [2, 3])
@pytest.mark.parametrize("features", [FEATURES, ("video",), ("caption", "text")])
def test_a_saved_model_is_built_again(tmp_path, features, layers):
    model = small(features, layers)
    loaded = weights.load(save_weights(model, tmp_path / "model.safetensors", model.config))
    batch = small_video_text.batch(4)
    video, ids = model.prepare(batch["video"]), batch["ids"]
    assert loaded.features == model.features and len(loaded.head) == 4 * layers - 2
    assert torch.equal(loaded(video, ids), model(video, ids))


@pytest.mark.parametrize("features", [FEATURES, ("caption",), ("video",), ("text",)])
def test_only_parts_that_the_features_use_learn(features):
    model, batch = small(features), small_video_text.batch(4)
    model(model.prepare(batch["video"]), batch["ids"]).square().sum().backward()
    learns = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    moved = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert moved <= learns and (
        moved == learns or features == ("caption",)
    )  # whose decoder does not read the fused feature
    assert any(name.startswith("video_text.visual.") for name in learns) == (features != ("text",))
    assert any(name.startswith("video_text.text.") for name in learns) == (features != ("video",))


def test_an_end_token_in_the_last_place_is_read():
    model, batch = small(), small_video_text.batch(2)
    full = batch["ids"][:1].clone()
    full[:, -1] = small_video_text.END
    full[:, 1:-1] = full[:, 1:-1].clamp(max=small_video_text.END - 2)
    other = full.clone()
    other[:, 1] = 1 + (full[:, 1] % 3)
    video = model.prepare(batch["video"][:1])
    assert model(video, full).isfinite().all() and not torch.allclose(model(video, full), model(video, other))


@pytest.mark.parametrize("features", [(), ("sound",)])
def test_other_features_are_refused(features):
    with pytest.raises(ParameterError, match="must be one or more of caption, video, text"):
        small(features)


def test_without_a_caption_decoder_it_is_left_out():
    model = small_video_text.model(dtype=torch.float32)
    model.caption_decoder = None
    with pytest.raises(ParameterError, match="leave caption out"):
        answering(model, 5)
    assert answering(model, 5, ("video", "text")).features == ("video", "text")
