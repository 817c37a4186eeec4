"""The paper's figures, drawn from models: what their boxes say is what the modules are."""

import matplotlib.pyplot as plt
import pytest
import torch

from ivcore.cma import Coordinated
from ivcore.encoders.build import caption_decoder, video_text_model
from ivcore.encoders.sizes import video_text_size
from ivcore.encoders.uniformerv2 import UniFormerV2
from ivcore.encoders.videomae import MaskedAutoencoder, VideoClassifier
from ivcore.show import architecture


def words(figure) -> list[str]:
    """What stands in the boxes, each on one line."""
    said = [text.get_text().replace("\n", " ") for text in figure.axes[0].texts if text.get_text()]
    assert_words_fit(figure)
    plt.close(figure)
    return said


def assert_words_fit(figure):
    """Every text lies inside its box, and no two boxes lie on each other."""
    axes = figure.axes[0]
    boxes = [patch.get_window_extent() for patch in axes.patches if type(patch).__name__ == "FancyBboxPatch"]
    texts = [text.get_window_extent() for text in axes.texts if text.get_text()]
    assert len(boxes) == len(texts)
    for box, text in zip(boxes, texts):
        assert box.x0 < text.x0 and text.x1 < box.x1 and box.y0 < text.y0 and text.y1 < box.y1
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def meta(make):
    with torch.device("meta"):
        return make()


def test_masked_modelling_at_the_published_size():
    said = words(architecture.masked_pretraining(meta(lambda: MaskedAutoencoder("huge"))))
    assert (
        "tubelets of 2 × 16 × 16: 8 × 14 × 14 = 1,568" in said
        and "160 visible tubelets (90% hidden, tube mask)" in said
    )
    assert any("32 blocks, width 1,280, 16 heads" in one for one in said)
    assert "projection 1,280 → 512, and 1,408 mask tokens" in said and "1,408 × 1,536 predicted pixels" in said


def test_another_mask_and_size_are_told():
    model = MaskedAutoencoder("tiny")
    said = words(architecture.masked_pretraining(model, 0.5, "random"))
    assert "32 visible tubelets (50% hidden, random mask)" in said and "clip: 8 frames of 32 × 32" in said


@pytest.mark.parametrize("kind, layers", [("plain", 6), ("published", 4)])
def test_video_and_text_with_either_decoder(kind, layers):
    size = video_text_size("large")
    model = meta(lambda: video_text_model(size, decoder=caption_decoder(kind, size, layers=layers), caption_query=True))
    said = words(architecture.video_text(model))
    assert "global blocks 21 to 24: one query attends to 2,056 tokens" in said
    assert (
        f"caption decoder: {layers} layers, width 768 the sentence's tokens attend to the clip's tokens and query"
        in said
    )
    assert "text encoder, causal: 12 blocks, width 768, 12 heads" in said and "sentence: up to 77 tokens" in said


def test_without_a_decoder_there_is_contrast_alone():
    figure = architecture.video_text(meta(lambda: video_text_model(video_text_size("tiny"))), frames=4)
    assert not [one for one in words(figure) if "caption" in one]


def coordinated(**options) -> Coordinated:
    return meta(lambda: Coordinated(VideoClassifier("huge", 400), UniFormerV2(1024, 24, 16, 14, 224, 400), **options))


def test_the_interaction_of_the_papers_pair():
    figure = architecture.interaction(coordinated())
    assert legend(figure) == ["data", "trained", "frozen"]
    said = words(figure)
    blocks = ["blocks 1 to 8", "blocks 9 to 16", "blocks 17 to 24", "blocks 25 to 32"]
    assert [one for one in said if one in blocks] == blocks and {
        "blocks 1 to 6",
        "blocks 7 to 12",
        "blocks 13 to 18",
        "blocks 19 to 24",
    } <= {*said}
    assert said.count("cross-model attention, 16 heads, 19.0 M; attends to tokens on the right") == 3
    assert said.count("cross-model attention, 16 heads, 13.1 M; query attends to the left") == 1
    assert {"masked encoder 1,568 tokens of 1,280", "multimodal encoder 2,056 tokens of 1,024"} <= {*said}


def test_other_designs_are_drawn_as_they_are():
    plain = words(architecture.interaction(coordinated(placement=(), reverse=False)))
    assert not [one for one in plain if "attention" in one] and "blocks 1 to 32" in plain and "blocks 1 to 24" in plain
    twice = words(architecture.interaction(coordinated(placement=((3, 5), (7, 5)), per_class=True)))
    assert twice.count("blocks 1 to 6") == 1 and "fusion: sigmoid, 400 weights" in twice
    to_the_end = words(architecture.interaction(coordinated(placement=((0, 0), (31, 23)))))
    assert [one for one in to_the_end if one.startswith("block")] == [
        "block 1",
        "block 1",
        "blocks 2 to 32",
        "blocks 2 to 24",
    ]
    figure = architecture.interaction(coordinated(frozen=False))
    assert legend(figure) == ["data", "trained"]
    plt.close(figure)
